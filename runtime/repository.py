"""Bundles on disk become served models: load, unload, versions, hot reload, atomic switch."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError
from .batcher import Batcher, Limits
from .config import EnginesConfig
from .discover import ModelOnDisk, chosen, discover, read, stamp
from .engine import Engine, Pool
from .engine_keeper import EngineKeeper
from .engines.cycle import Cycle
from .errors import AisleError, Busy, Failed, Invalid, NotFound
from .ladder import Ladder, Step
from .loading import Opened
from .served import Served
from .shares import Shares
from .stats import Stats

log = logging.getLogger("aisle.repository")
Decode = Callable[..., Any]      # of (data, cover=None); see pictures.decoder
AGAIN_S = 300.0       # a version that hangs twice within this time is not opened a third time


@dataclass
class State:
    """What the index says of one version."""

    state: str = "UNKNOWN"
    reason: str = ""


@dataclass
class Model:
    """One name: what serves now, what is known of its versions, and the disk's stamp at the last load."""

    name: str
    versions: dict[str, Served] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    stamps: dict[str, Hashable] = field(default_factory=dict)
    seen: Hashable = None             # stamp of the last look, to wait until copying has ended
    parked: bool = False              # unloaded on request: not loaded again by itself
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Repository:
    """All models of one folder. Every method runs on the event loop; disk and sessions are touched on the pool."""

    def __init__(self, root: Path, device: DeviceProfile, pool: Pool, *, limits: Limits | None = None,
                 decode: Decode | None = None, required: tuple[str, ...] = ("*",), state: Path | None = None,
                 engines: EnginesConfig | None = None, every: bool = False, updates: bool = True) -> None:
        self.root = root
        self.updates = updates                          # whether clients may change what a job knows; see config
        self.state = state
        self.device = device
        self.pool = pool
        self.engines = EngineKeeper(engines or EnginesConfig(), device, state)
        self.limits = limits or Limits()
        self.shares = Shares(device.threads or len(os.sched_getaffinity(0)))
        self.cooling = False                            # while hot, every model is answered by its fastest variant
        self.every = every                              # open all variants of a model, to choose by deadline or heat
        self.decode = decode
        self.required = required
        self.models: dict[str, Model] = {}
        self.starting = True
        self.hung: dict[tuple[str, str], str] = {}      # (name, version) -> what is wrong; see pulse
        self._restarted: dict[tuple[str, str], float] = {}
        self._closing: set[asyncio.Task[None]] = set()

    # ---- asking

    def get(self, name: str, version: str | None = None) -> Served:
        """The served model; without a version the newest that serves. NotFound, or Busy while it loads."""
        model = self.models.get(name)
        if model is None:
            if self.starting:
                raise Busy(f"the server is still reading its models; '{name}' may be among them")
            raise NotFound(f"Request for unknown model: '{name}' is not found")
        if version is None:
            if model.versions:
                return model.versions[max(model.versions, key=version_order)]
            if model.lock.locked():
                raise Busy(f"Request for model '{name}': it is being loaded")
            reason = next((f": {s.reason}" for s in model.states.values() if s.reason), "")
            raise NotFound(f"Request for unknown model: '{name}' has no available versions{reason}")
        if version in model.versions:
            return model.versions[version]
        if model.states.get(version, State()).state == "LOADING":
            raise Busy(f"Request for model '{name}' version {version}: it is being loaded")
        raise NotFound(f"Request for unknown model: '{name}' version {version} is not found")

    def served(self) -> list[Served]:
        """Everything that answers now, by name and version."""
        return [m.versions[v] for _, m in sorted(self.models.items())
                for v in sorted(m.versions, key=version_order)]

    def _engine_of(self, job: str, name: str) -> Engine:
        """What `Engine.station` gives."""
        newest = {s.name: s for s in self.served() if s.job == job}
        names = ", ".join(newest) or "none"
        if len(newest) != 1 and not name:
            raise NotFound(f"{len(newest)} stations answer {job}; expected one, or a name: they are {names}")
        found = newest.get(name) if name else next(iter(newest.values()))
        if found is None:
            raise NotFound(f"there is no {job} station {name!r}; the stations are {names}")
        return found.engine

    def lost(self) -> str:
        """What a session says of a device that this process cannot use any more, whatever is tried; empty while all is well."""
        sessions = (worker.session for served in self.served() for batcher in served.owned for worker in batcher.workers)
        return next((lost for session in sessions if (lost := getattr(session, "lost", ""))), "")

    def index(self, ready: bool = False) -> list[dict[str, str]]:
        """The repository index of OIP: name, version, state, reason of every model known."""
        items: list[dict[str, str]] = []
        for name, model in sorted(self.models.items()):
            if not model.states and not ready:
                items.append({"name": name})
            for version, state in sorted(model.states.items(), key=lambda item: version_order(item[0])):
                if ready and state.state != "READY":
                    continue
                item = {"name": name, "version": version, "state": state.state}
                items.append(item | ({"reason": state.reason} if state.reason else {}))
        return items

    def blockers(self) -> list[str]:
        """Why the server is not ready, a sentence each: still starting, or a required model does not serve."""
        if self.starting:
            return ["models are being loaded"]
        lost = self.lost()
        found = [*([lost] if lost else []), *self.hung.values()]
        for name in self._required():
            model = self.models.get(name)
            if model is None:
                found.append(f"required model '{name}' is not in {self.root}")
            elif not model.versions and not model.parked:
                reason = next((s.reason for s in model.states.values() if s.reason), "it is not loaded")
                found.append(f"model '{name}' does not serve: {reason}")
        return found

    def _required(self) -> list[str]:
        return sorted(self.models) if "*" in self.required else list(self.required)

    def cool(self, on: bool) -> int:
        """Answer everything by the fastest variants while `on`; how many models have several."""
        self.cooling = on
        ladders = [served.ladder for served in self.served() if served.ladder is not None]
        for ladder in ladders:
            ladder.cooling = on
        return len(ladders)

    # ---- changing

    async def start(self) -> None:
        """Load everything in the folder; a model that fails is said in the index and does not stop the others."""
        try:
            for name, disk in sorted((await self.pool.run(discover, self.root)).items()):
                await self._renew(name, disk)
        finally:
            self.starting = False

    async def load(self, name: str) -> None:
        """(Re)load a model from disk; its old version serves until the new one has answered."""
        disk = (await self.pool.run(discover, self.root)).get(name)
        if disk is None:
            raise NotFound(f"failed to load '{name}': there is no folder of that name in {self.root}; it has "
                           f"{sorted(self.models)[:20]}")
        model = self.models.setdefault(name, Model(name))
        model.parked = False
        model.stamps.clear()
        problems = await self._renew(name, disk)
        if problems:
            raise Invalid(f"failed to load '{name}': {'; '.join(problems)}")

    async def unload(self, name: str) -> None:
        """Stop serving a model; queued requests are answered first. An unknown name is NotFound."""
        model = self.models.get(name)
        if model is None:
            raise NotFound(f"failed to unload '{name}': no model of that name is known")
        async with model.lock:
            model.parked = True
            self._retire(model, keep=())

    async def replace(self, served: Served) -> str:
        """Put something that works in the place of a version whose thread hangs; says what was done.

        Its requests fail at once. It is opened again; a version that hangs again within `AGAIN_S` is replaced by the
        newest older version on disk that opens. Failed where nothing does: the model is then unavailable.
        """
        name, version = served.name, served.version
        sentence = self.hung[name, version]
        model = self.models[name]
        async with model.lock:
            if model.versions.get(version) is not served:
                self.hung.pop((name, version), None)
                return "it was replaced meanwhile"
            disk = (await self.pool.run(discover, self.root)).get(name)
            del model.versions[version]
            for batcher in served.owned:
                batcher.abandon(f"{sentence}; the request was given up: ask again")
            again = time.monotonic() - self._restarted.get((name, version), -AGAIN_S) < AGAIN_S
            self._restarted[name, version] = time.monotonic()
            tries = [] if disk is None or disk.error else older(disk.versions, version) if again else [version]
            for one in tries:
                if await self._load_version(model, disk, one) is None:    # type: ignore[arg-type]
                    if one != version:
                        model.states[version] = State("UNAVAILABLE", f"{sentence}, twice; version {one} serves instead")
                    self.hung.pop((name, version), None)
                    return f"version {one} serves again" if one == version else f"version {one} serves instead of {version}"
            model.states[version] = State("UNAVAILABLE", sentence)
            self.hung.pop((name, version), None)
        raise Failed(f"{sentence} and nothing could take its place")

    async def switch(self, cycle: Cycle, opened: Opened) -> bool:
        """Put a model onto its engine, at one stroke: what asks from now on is answered by it. See EngineKeeper."""
        name, version = opened.bundle.name, opened.bundle.version
        model = self.models.get(name)
        if model is not None:
            async with model.lock:
                old = model.versions.get(version)
                if old is not None and old.cycle is cycle:
                    self._put(model, opened, old, old.stats)      # the same model: it goes on counting
                    log.info("model '%s' version %s is switched from %s to its engine (%s %s)", name, version, old.backend,
                             opened.backend, opened.precision)
                    return True
        await self.pool.run(opened.close)
        return False

    async def poll(self) -> None:
        """One look at the folder: load what changed and is no longer being written, retire what is gone."""
        disks = await self.pool.run(discover, self.root)
        for name, disk in sorted(disks.items()):
            model = self.models.setdefault(name, Model(name))
            look = await self.pool.run(stamp, disk)
            settled, model.seen = look == model.seen, look
            known = model.stamps.get("")
            if settled and look != known and (not model.parked or known is not None):
                model.parked = False
                await self._renew(name, disk)
        for name in [n for n in self.models if n not in disks]:
            model = self.models[name]
            async with model.lock:
                self._retire(model, keep=())
                del self.models[name]
            log.info("model '%s' is gone from %s and no longer served", name, self.root)

    async def close(self) -> None:
        """Retire every model and wait until the last queued request is answered."""
        for model in self.models.values():
            self._retire(model, keep=())
        await asyncio.gather(*self._closing)

    async def _renew(self, name: str, disk: ModelOnDisk) -> list[str]:
        model = self.models.setdefault(name, Model(name))
        async with model.lock:
            model.seen = model.stamps[""] = await self.pool.run(stamp, disk)
            if disk.error:
                model.states["1"] = State("UNAVAILABLE", disk.error)
                return [disk.error]
            wanted = chosen(disk)
            problems = [p for v in wanted if (p := await self._load_version(model, disk, v))]
            if any(v in model.versions for v in wanted) and not problems:
                self._retire(model, keep=tuple(wanted))
            return problems

    async def _load_version(self, model: Model, disk: ModelOnDisk, version: str) -> str | None:
        state = model.states.setdefault(version, State())
        old = model.versions.get(version)
        if old is None:
            state.state, state.reason = "LOADING", ""
        try:
            opened = await self.pool.run(self._open, disk, version)
        except (BundleError, AisleError, OSError) as error:
            sentence = str(error)
            log.error("model '%s' version %s was not loaded: %s", model.name, version, sentence)
            state.state = "READY" if old else "UNAVAILABLE"
            state.reason = f"the newer files were refused and the previous ones serve: {sentence}" if old else sentence
            return sentence
        self._put(model, opened, old)
        state.state, state.reason = "READY", ""
        log.info("model '%s' version %s serves (%s %s)", model.name, version, opened.backend or opened.job,
                 opened.precision)
        self.engines.follow(model.name, version, opened.cycle)
        return None

    def _put(self, model: Model, opened: Opened, old: Served | None, stats: Stats | None = None) -> None:
        """The switch: one assignment on the event loop. Whoever still holds the old one is answered all the same."""
        new = model.versions[opened.bundle.version] = self._serve(opened, stats or Stats())
        if old is not None:
            old.successor = new
            self._close_later(old)

    def _open(self, disk: ModelOnDisk, version: str) -> Opened:
        bundle: Bundle = read(disk, version)
        return self.engines.open(bundle, every=self.every)

    def _serve(self, opened: Opened, stats: Stats) -> Served:
        bundle = opened.bundle
        counted = Stats() if opened.job else stats     # a job counts its own requests, its backbone's runs are counted apart
        owned = [Batcher(rung.sessions, bundle.name, counted, limits=self.limits, policy=bundle.queue, shares=self.shares,
                         way=rung.way.name) for rung in opened.rungs]
        ladder = None
        if len(owned) > 1:
            ladder = Ladder([Step(rung.way, one) for rung, one in zip(opened.rungs, owned, strict=True)])
            ladder.cooling = self.cooling
        batcher = ladder or (owned[0] if owned else None)
        engine = Engine(opened.asset, {"backbone": batcher} if batcher and opened.job else {}, self.pool,
                        self._engine_of, self.updates)
        return Served(bundle, backend=opened.backend, precision=opened.precision,
                      batcher=None if opened.job else batcher, engine=engine, stats=stats, job=opened.job,
                      workload=opened.workload, decode=self.decode, owned=tuple(owned), cycle=opened.cycle,
                      refused=opened.refused, ladder=ladder, notes=opened.notes, why=opened.why)

    def _retire(self, model: Model, keep: tuple[str, ...]) -> None:
        for version in [v for v in model.versions if v not in keep]:
            self._close_later(model.versions.pop(version))
            self.engines.follow(model.name, version, None)
            model.states[version] = State("UNAVAILABLE", "unloaded")

    def _close_later(self, served: Served) -> None:
        task = asyncio.get_running_loop().create_task(served.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def older(versions: Iterable[str], version: str) -> list[str]:
    """The versions before `version`, the newest first."""
    return sorted((v for v in versions if version_order(v) < version_order(version)), key=version_order, reverse=True)


def version_order(version: str) -> tuple[int, str]:
    """Versions are numbers; anything else sorts before them."""
    return (int(version) if version.isdigit() else -1, version)
