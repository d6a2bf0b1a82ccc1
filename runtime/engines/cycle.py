"""The life of one engine as a state machine: waiting, building, checking, serving; or failed, and tried again, or given up.

`Cycle` is what is shown; `advance` is one go at it, which blocks and belongs on a thread of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from . import BuildError
from .build import Limits, Stopped, run_build
from .cache import EngineCache, Failure, Held
from .wish import Wish

log = logging.getLogger("aisle.engines")
T = TypeVar("T")
MAX_TRIES = 5
FIRST_RETRY_S, RETRY_FACTOR = 60.0, 4.0
LOCKED_S = 2.0            # between looks whether another process still builds
ENDED_CHECKING = "this process, or one before it, ended while the new engine was being checked"


class Stage(StrEnum):
    """Where an engine is."""

    WAITING = "waiting"
    BUILDING = "building"
    CHECKING = "checking"
    SERVING = "serving"
    FAILED = "failed"         # tried again at `retry_at`
    GIVEN_UP = "given-up"     # until the key changes, an engine appears in the cache, or somebody asks


MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.WAITING: frozenset({Stage.WAITING, Stage.BUILDING, Stage.CHECKING, Stage.FAILED, Stage.GIVEN_UP}),
    Stage.BUILDING: frozenset({Stage.WAITING, Stage.CHECKING, Stage.FAILED, Stage.GIVEN_UP}),
    Stage.CHECKING: frozenset({Stage.WAITING, Stage.SERVING, Stage.FAILED, Stage.GIVEN_UP}),
    Stage.SERVING: frozenset({Stage.WAITING}),
    Stage.FAILED: frozenset({Stage.WAITING}),
    Stage.GIVEN_UP: frozenset({Stage.WAITING}),
}


@dataclass
class Cycle:
    """One model version's engine. Written by the thread that advances it, read by anybody: plain values only."""

    wish: Wish
    every: bool = False           # whether other ways are opened beside the engine
    stage: Stage = Stage.WAITING
    part: float = 0.0
    doing: str = ""
    reason: str = ""
    tries: int = 0
    retry_at: float = 0.0         # of time.monotonic
    seconds: float = 0.0          # that the build took
    size: int = 0
    pid: int = 0                  # of the building process
    seen: int = 0                 # inode of the engine's file that did not do; another one is a reason to look again
    stop: threading.Event = field(default_factory=threading.Event)

    def move(self, to: Stage, reason: str = "") -> None:
        """Go on to another stage; only what MOVES allows."""
        assert to in MOVES[self.stage], f"{self.stage} -> {to}"
        self.stage, self.reason, self.part, self.doing, self.pid = to, reason, 0.0, "", 0

    def abandon(self, reason: str) -> None:
        """From wherever it is to where it is tried again; for what no table foresees."""
        self.stage, self.reason, self.pid = Stage.FAILED, reason, 0

    def tell(self, part: float, doing: str) -> None:
        """Progress; a builder that counts anew in each phase never goes back."""
        self.part, self.doing = max(self.part, part), doing

    def due(self, now: float) -> bool:
        """Whether `advance` has something to do."""
        return self.stage in (Stage.WAITING, Stage.FAILED) and now >= self.retry_at

    def table(self, now: float) -> dict[str, Any]:
        """For /healthz and the metadata."""
        shown: dict[str, Any] = {"backend": self.wish.backend, "precision": self.wish.precision, "state": str(self.stage),
                                 "engine": self.wish.key.digest[:16]}
        if self.stage is Stage.BUILDING:
            shown |= {"part": round(self.part, 3), "doing": self.doing}
        if self.reason:
            shown["reason"] = self.reason
        if self.tries:
            shown["tries"] = self.tries
        if self.stage is Stage.FAILED:
            shown["retry_in_s"] = round(max(0.0, self.retry_at - now), 1)
        if self.seconds:
            shown |= {"build_s": self.seconds, "bytes": self.size}
        return shown


def backoff_s(tries: int) -> float:
    """Seconds before the next try after so many that failed."""
    return float(FIRST_RETRY_S * RETRY_FACTOR ** (max(1, tries) - 1))


def advance(cycle: Cycle, cache: EngineCache, check: Callable[[Held], T], *, limits: Limits | None = None,
            build: Callable[..., Any] = run_build, clock: Callable[[], float] = time.monotonic) -> T | None:
    """Bring the engine to where it answers as it should; what `check` made of it, or None where it is not to be.

    `check` opens the engine and compares its answers; what it opens retains the Held. It raises BuildError. Blocks for as
    long as a build takes. Never raises for what a builder, a disk or an engine can do wrong: that is in the cycle.
    """
    if cycle.stage is Stage.FAILED:
        cycle.move(Stage.WAITING)
    try:
        with cache.build_lock() as mine:
            if not mine:
                cycle.move(Stage.WAITING, "another engine is being built on this machine")
                cycle.retry_at = clock() + LOCKED_S
                return None
            return _advance(cycle, cache, check, limits or Limits(), build, clock)
    except Stopped:
        cycle.move(Stage.WAITING, "the build was stopped")
        return None
    except OSError as error:
        _failed(cycle, Failure(f"the engines' folder {cache.folder} cannot be used: {error.strerror or error}; make room "
                               "there, or name another (engines.path)", cycle.tries + 1), clock)
        return None


def _advance(cycle: Cycle, cache: EngineCache, check: Callable[[Held], T], limits: Limits, build: Callable[..., Any],
             clock: Callable[[], float]) -> T | None:
    key = cycle.wish.key
    cache.sweep()
    held = cache.get(key)
    if held is None:
        known = cache.failure(key)
        if known and (known.lasting or known.tries >= MAX_TRIES):
            _failed(cycle, known, clock)
            return None
        held = _built(cycle, cache, limits, build, clock)
        if held is None:
            return None
    return _proved(cycle, cache, held, check, clock)


def reuse(cycle: Cycle, cache: EngineCache, check: Callable[[Held], T], *, clock: Callable[[], float] = time.monotonic
          ) -> T | None:
    """`advance` for a start: an engine that was good before is taken, however busy the builder is; nothing is built."""
    known = cache.failure(cycle.wish.key)
    if known and (known.lasting or known.tries >= MAX_TRIES):
        _failed(cycle, known, clock)
        return None
    held = cache.get(cycle.wish.key)
    return None if held is None else _proved(cycle, cache, held, check, clock)


def _proved(cycle: Cycle, cache: EngineCache, held: Held, check: Callable[[Held], T], clock: Callable[[], float]) -> T | None:
    """What `check` made of an engine that is good; None, and why in the cycle, where it is not."""
    key = cycle.wish.key
    cycle.move(Stage.CHECKING)
    cycle.size, cycle.seconds = held.size, float(held.header.get("seconds", 0))
    # Where the library takes the process down with it, the next start must not walk into the same.
    cache.fail(key, ENDED_CHECKING)
    try:
        made = check(held)
    except BuildError as error:
        if not error.innocent:
            cache.reject(key)
        _failed(cycle, cache.fail(key, str(error), error.lasting, tries=0), clock)
        return None
    finally:
        held.release()
    cache.accept(key)
    cycle.tries = 0
    cycle.move(Stage.SERVING)
    log.info("engine of '%s' (%s, %s) is good: %d bytes, built in %.1f s", key.name, cycle.wish.backend, key.precision,
             cycle.size, cycle.seconds)
    return made


def _built(cycle: Cycle, cache: EngineCache, limits: Limits, build: Callable[..., Any], clock: Callable[[], float]
           ) -> Held | None:
    """The candidate that a child made; None where none came of it."""
    wish = cycle.wish
    cycle.move(Stage.BUILDING, why := cache.why_not(wish.key))
    log.info("engine of '%s' (%s, %s) is being built: %s", wish.key.name, wish.backend, wish.precision, why)

    def started(pid: int) -> None:
        cycle.pid = pid
    try:
        build(wish.place, wish.job, wish.key, cache, cycle.tell, limits=limits, stop=cycle.stop, started=started)
        held = cache.get(wish.key, candidate=True)
        if held is None:
            raise BuildError("what was written of the engine could not be read back; the disk may be failing")
    except BuildError as error:
        cache.reject(wish.key)
        _failed(cycle, cache.fail(wish.key, str(error), error.lasting), clock)
        return None
    return held


def _failed(cycle: Cycle, failure: Failure, clock: Callable[[], float]) -> None:
    """Say why, and when it is tried again, if ever."""
    cycle.tries = failure.tries
    over = failure.lasting or failure.tries >= MAX_TRIES
    cycle.move(Stage.GIVEN_UP if over else Stage.FAILED, failure.reason)
    cycle.retry_at = clock() + backoff_s(failure.tries)
    wait = backoff_s(failure.tries)
    after = "it is not tried again until something changes" if over else f"it is tried again in {wait:.0f} s"
    log.error("no engine for '%s' (%s): %s; the fallback serves, and %s", cycle.wish.key.name, cycle.wish.backend,
              failure.reason, after)
