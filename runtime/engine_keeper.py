"""Brings models onto engines while a fallback serves them: what is built, compared and switched, and when again."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError
from .backends.onnx_facts import cache_folder
from .config import EnginesConfig
from .engine_check import compare, truth_of
from .engine_wish import Refused, wish_of
from .engines import BuildError
from .engines.build import Built, Limits, run_build
from .engines.cache import EngineCache, Held
from .engines.cycle import Cycle, Stage, advance, reuse
from .engines.wish import Wish, without_engines
from .errors import AisleError
from .loading import Opened, open_bundle

log = logging.getLogger("aisle.engines")
LOOK_S = 0.5                 # between looks whether something is due
MISTAKE_S = 3600.0
UNUSABLE_S = 60.0            # before a folder that could not be used is tried again
MEMORY_SHARE = 0.5           # of the machine's, for a builder, where nothing is said


def folder_of(settings: EnginesConfig) -> Path:
    """Where engines are kept. BundleError where there is no home and no path is given."""
    base = cache_folder()
    if settings.path:
        return Path(settings.path)
    if base is None:
        raise BundleError("there is no home folder to keep engines in; name one: engines.path")
    return base / "engines"


def limits_of(settings: EnginesConfig) -> Limits:
    """What one build may take."""
    half = int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * MEMORY_SHARE) >> 20
    return Limits(settings.memory_mb or half, settings.minutes)


class Switch(Protocol):
    """What the keeper needs of the repository, on the event loop."""

    async def switch(self, cycle: Cycle, opened: Opened) -> bool:
        """Put `opened` in the place of the version whose engine this is; False, and closed, where that is gone."""


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


class EngineKeeper:
    """One for a server. `open` runs on the pool, `run` on the event loop, builds one after another on a thread of its own."""

    def __init__(self, settings: EnginesConfig, device: DeviceProfile, state: Path | None = None) -> None:
        self.settings = settings
        self.device = device
        self.state = state
        self.builds = 0                  # begun since the start
        self._kept: dict[tuple[str, str], Cycle] = {}
        self._bytes = 0                  # of all engines, when they were last looked at
        self._cache: EngineCache | None = None
        self._thread = ThreadPoolExecutor(1, "aisle-engines")
        self._busy: Cycle | None = None

    # ---- opening, on the pool

    def open(self, bundle: Bundle, *, every: bool = False) -> Opened:
        """The bundle on its engine where there is a good one, else on what the device runs without; see `open_bundle`.

        Raises what `open_bundle` raises for the latter. `cycle` of what is opened says how the engine fares.
        """
        wish = wish_of(bundle, self.device) if bundle.files else None
        if not isinstance(wish, Wish):
            opened = open_bundle(*without_engines(bundle, self.device), self.state, every=every)
            if isinstance(wish, Refused):
                opened.refused = f"{wish.backend} cannot take this model: {wish.reason}; {opened.backend} serves it"
                log.warning("model '%s' version %s: %s", bundle.name, bundle.version, opened.refused)
            return opened
        cycle = self._kept.get((bundle.name, bundle.version))
        found = None
        if cycle is not None and cycle.wish.key.digest == wish.key.digest:      # a reload ends no build of the same engine
            cycle.wish, cycle.every = wish, every
        else:
            cycle = Cycle(wish, every=every)
            found = self._reused(cycle)
        opened = found or open_bundle(*without_engines(bundle, self.device), self.state, every=every)
        opened.cycle = cycle
        return opened

    def _reused(self, cycle: Cycle) -> Opened | None:
        try:
            return reuse(cycle, self.cache(), lambda held: self._open_on(cycle, held))
        except (OSError, BundleError) as error:
            cycle.reason = f"the engines' folder cannot be used: {error}"
            log.error("model '%s': %s", cycle.wish.bundle.name, cycle.reason)
            return None
        finally:
            self._look(cycle)

    def cache(self) -> EngineCache:
        """The cache, made when something first asks for it. OSError or BundleError where it cannot be used."""
        if self._cache is None:
            self._cache = EngineCache(folder_of(self.settings), self.settings.max_mb << 20)
        return self._cache

    def _open_on(self, cycle: Cycle, held: Held) -> Opened:
        """The bundle on this engine, its canary answered. BuildError says why not."""
        try:
            return open_bundle(cycle.wish.bundle, self.device, self.state, every=cycle.every, engine=(cycle.wish, held))
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(sentence_of(error)) from error

    # ---- following, on the event loop

    def follow(self, name: str, version: str, cycle: Cycle | None) -> None:
        """From now on bring this version onto its engine; None: it has none to have, or is no longer served.

        What was followed for it before is forgotten, and a build for that ends.
        """
        before = self._kept.pop((name, version), None)
        if before is not None and before is not cycle:
            before.stop.set()
        if cycle is not None and cycle.stage is not Stage.SERVING:
            self._kept[name, version] = cycle

    async def run(self, switch: Switch) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                due = await loop.run_in_executor(self._thread, self._due) if self._kept else None
                if due is None:
                    await asyncio.sleep(LOOK_S)
                else:
                    await self._go(due, switch)
        finally:
            for cycle in self._kept.values():
                cycle.stop.set()
            if self._busy is not None:
                self._busy.stop.set()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _go(self, cycle: Cycle, switch: Switch) -> None:
        self._busy = cycle
        try:
            opened = await asyncio.get_running_loop().run_in_executor(self._thread, self._advance, cycle)
        finally:
            self._busy = None
        if opened is None:
            return
        self._kept = {name: one for name, one in self._kept.items() if one is not cycle}
        opened.cycle = cycle
        if not await switch.switch(cycle, opened):
            log.info("engine of '%s' came too late: the version is gone", cycle.wish.bundle.name)

    # ---- working, on the keeper's thread

    def _due(self) -> Cycle | None:
        """The one to advance next. One whose engine another process has built meanwhile always is: `aisle model compile`."""
        now, kept = time.monotonic(), list(self._kept.values())
        for cycle in kept if self.settings.build else ():
            if cycle.due(now):
                return cycle
        for cycle in kept:
            if cycle.stage in (Stage.WAITING, Stage.FAILED, Stage.GIVEN_UP) and self._cache is not None \
                    and _inode(self._cache.path(cycle.wish.key)) not in (0, cycle.seen):
                if cycle.stage is Stage.GIVEN_UP:
                    cycle.move(Stage.WAITING, "an engine has appeared in the cache")
                return cycle
        return None

    def _advance(self, cycle: Cycle) -> Opened | None:
        if cycle.stop.is_set():
            return None
        try:
            if not self.settings.build:
                return reuse(cycle, self.cache(), lambda held: self._checked(cycle, held))
            return advance(cycle, self.cache(), lambda held: self._checked(cycle, held), limits=limits_of(self.settings),
                           build=self._build)
        except (OSError, BundleError) as error:
            cycle.reason = f"the engines' folder cannot be used: {error}"
            cycle.retry_at = time.monotonic() + UNUSABLE_S
        except Exception as error:  # a mistake of ours must not end what the fallback serves
            log.exception("the engine of '%s' was given up for an hour", cycle.wish.bundle.name)
            cycle.abandon(f"{type(error).__name__}: {error}; this is a mistake of Aisle's, its log has more")
            cycle.retry_at = time.monotonic() + MISTAKE_S
        finally:
            self._look(cycle)
        return None

    def _build(self, *order: Any, **how: Any) -> Built:
        self.builds += 1
        return run_build(*order, **how)

    def _look(self, cycle: Cycle) -> None:
        """Remember what is on the disk, so that nobody on the event loop has to look."""
        if self._cache is not None:
            cycle.seen = _inode(self._cache.path(cycle.wish.key))
            self._bytes = sum(self._cache.sizes().values())

    def _checked(self, cycle: Cycle, held: Held) -> Opened:
        return checked(cycle.wish, self.device, lambda: self._open_on(cycle, held))

    # ---- telling

    def told(self) -> dict[str, Any]:
        """Of all engines together: bytes kept, the limit, builds begun."""
        return {"bytes": self._bytes, "limit": self.settings.max_mb << 20, "builds": self.builds}


def checked(wish: Wish, device: DeviceProfile, opening: Callable[[], Opened]) -> Opened:
    """What `opening` opened, once it has answered as the model's own file does. BuildError where it does not."""
    truth = truth_of(wish, device)      # before the engine is opened: both at once may not fit the memory
    opened: Opened | None = None
    try:
        opened = opening()
        worst = max(compare(session, truth) for session in opened.sessions)
    except BaseException as error:
        if opened is not None:
            opened.close()
        if isinstance(error, BuildError) or not isinstance(error, Exception):
            raise
        raise BuildError(sentence_of(error)) from error      # whatever a library raises
    log.info("engine of '%s' differs from its model by %.3g of an output's largest value; %g is allowed", wish.bundle.name,
             worst, truth.tolerance)
    return opened


def sentence_of(error: Exception) -> str:
    """What went wrong, also where only a library knows."""
    ours = isinstance(error, (AisleError, BundleError))
    return str(error) if ours else f"the engine cannot be used: {type(error).__name__}: {error}"
