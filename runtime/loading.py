"""A bundle on disk becomes something that answers: check, open, warm up, ask the canary. Runs off the loop."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError, verify
from .backends import FreeSession, Session, make_backend
from .backends.tensors import free_note, zero
from .choice import choose
from .engines.cache import Held
from .engines.cycle import Cycle
from .engines.wish import Wish, without_engines
from .served import is_free
from .ways import Way, narrowed, usable, ways
from .workloads import BUNDLE_ROLES, make_workload

log = logging.getLogger("aisle.loading")
Opening = Callable[[Bundle, DeviceProfile], Session | FreeSession]
# How far a canary's answer may be off in a precision that is not the stored one's, as a share of the output's span.
LOOSE = {"fp16": 0.01, "bf16": 0.03, "int8": 0.1}


@dataclass
class Rung:
    """One way that was opened, with one session an instance."""

    way: Way
    sessions: tuple[Session | FreeSession, ...]


@dataclass
class Opened:
    """What loading made; the repository puts one queue in front of the sessions of each rung."""

    bundle: Bundle
    rungs: tuple[Rung, ...] = ()     # the device's preferred way first; more only where variants are asked for
    notes: tuple[str, ...] = ()      # what was preferred and could not be had, and why
    why: str = ""                    # the preferred way is preferred, where there is a choice
    job: str | None = None
    workload: ModuleType | None = None
    asset: Any = None
    cycle: Cycle | None = None       # the engine that it has or should have; see engine_keeper
    refused: str = ""                # why it can have none, though the device would like one

    @property
    def backend(self) -> str:
        """Of the preferred way; empty for a job without a network."""
        return self.rungs[0].way.backend if self.rungs else ""

    @property
    def precision(self) -> str:
        """Of the preferred way."""
        return self.rungs[0].way.precision if self.rungs else ""

    @property
    def sessions(self) -> tuple[Session | FreeSession, ...]:
        """Of the preferred way."""
        return self.rungs[0].sessions if self.rungs else ()

    def close(self) -> None:
        """Give the sessions' memory back."""
        for rung in self.rungs:
            for session in rung.sessions:
                session.close()


def open_bundle(bundle: Bundle, device: DeviceProfile, state: Path | None = None, *, every: bool = False,
                engine: tuple[Wish, Held] | None = None) -> Opened:
    """Load one bundle to the point where it has answered. Raises BundleError with a sentence.

    `state` is the folder where a job that remembers (a workload with `restore`) finds and keeps what it was told.
    With `every` all ways that this machine can go are opened beside the preferred one, for choosing by deadline or heat.
    With an `engine` that is the preferred one.
    """
    verify(bundle)
    job = BUNDLE_ROLES.get(bundle.role)
    opened = Opened(bundle)
    if engine is not None:
        opened = open_engine(device, every, *engine)
    elif bundle.files:
        opened = open_rungs(bundle, device, every)
    elif job is None:
        raise BundleError(f"bundle '{bundle.name}' names no model file and its role '{bundle.role}' is no job; "
                          f"expected [[files]] or one of the roles {sorted(BUNDLE_ROLES)}")
    try:
        if job is not None:
            opened.job, opened.workload = job, make_workload(job)
            opened.asset = opened.workload.load(opened.bundle)
            opened.workload.canary(opened.asset)
            if state is not None and hasattr(opened.workload, "restore"):
                opened.workload.restore(opened.asset, state)
    except (ValueError, KeyError) as error:
        opened.close()
        raise error if isinstance(error, BundleError) else BundleError(
            f"bundle '{bundle.name}' version {bundle.version}: {error}") from error
    except BaseException:
        opened.close()
        raise
    return opened


def open_rungs(bundle: Bundle, device: DeviceProfile, every: bool) -> Opened:
    """Open the first way of the choice that opens, or every way; each that does not is said, in the log and in `notes`."""
    kept, passed_over = usable(bundle, device)
    choice = choose(kept, bundle, device)
    found = choice.ways
    notes = [f"{backend} is preferred by device '{device.name}' and is not used: {why}" for backend, why in passed_over.items()
             if backend in device.backends]
    rungs: list[Rung] = []
    described, failed = bundle, None
    for way in found:
        if rungs and not every:
            break
        try:
            other, rung = open_way(bundle, way, device)
        except BundleError as error:
            failed = failed or error
            notes.append(f"{way.name} is not used: {error}")
            continue
        if rungs and tensors_of(other) != tensors_of(described):
            notes.append(f"{way.name} is not used: its tensors are not those of {rungs[0].way.name}")
            Opened(other, (rung,)).close()
            continue
        described = described if rungs else other
        rungs.append(rung)
    if failed is not None and not rungs:
        raise failed if len(found) == 1 else BundleError(
            f"bundle '{bundle.name}' version {bundle.version} opens in no way: {'; '.join(notes)}")
    for note in notes:
        log.warning("model '%s' version %s: %s", bundle.name, bundle.version, note)
    if told := free_note(described):
        log.info("model '%s' version %s: %s", bundle.name, bundle.version, told)
    if len(found) == 1:
        return Opened(described, tuple(rungs), tuple(notes))
    why = choice.why if rungs[0].way is found[0] else f"{found[0].name}, which was to, does not open"
    log.info("model '%s' version %s: %s answers: %s", bundle.name, bundle.version, rungs[0].way.name, why)
    return Opened(described, tuple(rungs), tuple(notes), why)


def open_engine(device: DeviceProfile, every: bool, wish: Wish, held: Held) -> Opened:
    """The bundle on its engine, and with `every` the ways without one behind it."""
    bundle = wish.bundle
    way = next(w for w in ways(bundle, device) if (w.backend, w.precision) == (wish.backend, wish.precision))
    backend: Any = make_backend(way.backend)
    described, first = open_way(bundle, way, device, lambda chosen, each: backend.load(chosen, each, held))
    if not every:
        return Opened(described, (first,))
    others = open_rungs(*without_engines(bundle, device), every)
    if (others.bundle.inputs, others.bundle.outputs) != (described.inputs, described.outputs):
        others.close()
        return Opened(described, (first,))
    return Opened(described, (first, *others.rungs))


def tensors_of(bundle: Bundle) -> tuple[Any, ...]:
    """What requests see of a model: its tensors and whether they have a batch axis."""
    return bundle.inputs, bundle.outputs, bundle.max_batch


def open_way(bundle: Bundle, way: Way, device: DeviceProfile, opening: Opening | None = None) -> tuple[Bundle, Rung]:
    """The bundle as its file describes it, and sessions that have answered zeros and the canary."""
    backend = make_backend(way.backend)
    chosen = backend.describe(narrowed(bundle, way))
    if not bundle.max_batch and chosen.max_batch > device.max_batch:      # nobody said how many rows: no more than fit here
        chosen = replace(chosen, max_batch=device.max_batch)
    rung = Rung(way, open_sessions(opening or backend.open, chosen, device))
    try:
        for session in rung.sessions:
            warm_up(session, chosen, way)
    except (ValueError, KeyError) as error:
        Opened(chosen, (rung,)).close()
        raise error if isinstance(error, BundleError) else BundleError(
            f"bundle '{bundle.name}' version {bundle.version}: {error}") from error
    except BaseException:
        Opened(chosen, (rung,)).close()
        raise
    return chosen, rung


def open_sessions(opening: Opening, bundle: Bundle, device: DeviceProfile) -> tuple[Session | FreeSession, ...]:
    """The bundle's instances; they divide the device's threads, so that together they do not oversubscribe it."""
    count = bundle.queue.instances
    total = device.threads or len(os.sched_getaffinity(0))
    each = replace(device, threads=max(1, total // count))
    opened: list[Session | FreeSession] = []
    try:
        for _ in range(count):
            opened.append(opening(bundle, each))
    except BaseException:
        for session in opened:
            session.close()
        raise
    return tuple(opened)


def warm_up(session: Session | FreeSession, bundle: Bundle, way: Way) -> None:
    """Run once on zeros, so that the first request is not the slow one, and then the bundle's canary."""
    if isinstance(session, Session) and not is_free(session):
        for array in session.rows(0, 1).values():
            array[...] = 0
        run: Callable[[], Any] = lambda: session.run(1)  # noqa: E731
    else:
        zeros = {spec.name: zero(spec) for spec in session.inputs if not spec.optional}
        run = lambda: session.run(zeros, [s.name for s in session.outputs])  # type: ignore[call-arg, arg-type]  # noqa: E731
    try:
        run()
    except Exception as error:  # noqa: BLE001 - zeros need not be legal input; only a canary is binding
        log.warning("model '%s' version %s could not be warmed up with zeros: %s", bundle.name, bundle.version, error)
    if bundle.canary and bundle.role not in BUNDLE_ROLES:
        ask_canary(session, bundle, bundle.path(bundle.canary), way)


def ask_canary(session: Session | FreeSession, bundle: Bundle, path: Path, way: Way) -> None:
    """Stored inputs must give the stored outputs (npz: `in:NAME` and `out:NAME`; one row where static)."""
    with np.load(path, allow_pickle=False) as stored:
        inputs = {k[3:]: stored[k] for k in stored.files if k.startswith("in:")}
        wanted = {k[4:]: stored[k] for k in stored.files if k.startswith("out:")}
    if isinstance(session, Session) and not is_free(session):
        row = session.row(0)
        for name, array in inputs.items():
            row[name][...] = array
        session.run(1)
        got = {name: row[name] for name in wanted}
    else:
        got = session.run(inputs, list(wanted))  # type: ignore[call-arg, arg-type, assignment]
    strict = float(bundle.params.get("canary_tolerance", 1e-3))
    loose = looseness(way)
    for name, expected in wanted.items():
        if expected.shape != np.shape(got[name]) or not near(got[name], expected, strict, loose):
            raise BundleError(f"model '{bundle.name}' version {bundle.version} does not answer its canary as {way.name}: "
                              f"output '{name}' differs from the stored one by more than {max(strict, loose):g}; it is not "
                              "put into service")


def looseness(way: Way) -> float:
    """How far the outputs of a way may be off from FP32, as a share of their span: what was measured counts double."""
    if way.precision not in LOOSE:
        return 0.0
    seen = way.measured.max_error if way.measured and way.measured.max_error is not None else 0.0
    return max(LOOSE[way.precision], 2 * seen)


def near(got: Any, expected: np.ndarray, strict: float, loose: float) -> bool:
    """True where every value is within `strict` of itself and of 1, or within `loose` of the span of all."""
    if np.allclose(got, expected, rtol=strict, atol=strict):
        return True
    if not loose or not expected.size or expected.dtype.kind not in "fiu":
        return False
    span = float(expected.max()) - float(expected.min())
    return bool(np.abs(np.asarray(got, np.float64) - expected).max() <= loose * span)
