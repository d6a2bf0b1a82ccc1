"""Times functions in turns, so that a slow second of the machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2

from ..report import Row

ROUND_S = 0.002      # one function's turn: long against the clock, short against the machine's moods
LEAST = 5            # turns


@dataclass(frozen=True)
class Goal:
    """A bound on peer / ours (`ratio` >=), or on our median itself (`most_us` <=); `text` is how the issue puts it."""

    text: str
    ratio: float | None = None
    most_us: float | None = None

    def met(self, ours_us: float, ratio: float | None) -> bool:
        """True where both bounds hold; a bound on a ratio that is not known does not."""
        return (self.ratio is None or (ratio is not None and ratio >= self.ratio)) and (
            self.most_us is None or ours_us <= self.most_us)


def interleaved(functions: Mapping[str, Callable[[], object]], seconds: float = 1.0) -> dict[str, list[float]]:
    """Call each function in turn for about `seconds` in all; the mean us a call of every turn, by name.

    One thread, OpenCV included. A turn is as many calls as fill 2 ms, and there are at least five of them. What the
    process waited for a core while others had it is not counted: a turn is its time or its processor time, whichever is
    less (a peer with threads of its own keeps its time).
    """
    cv2.setNumThreads(1)
    calls = {name: _calls(function) for name, function in functions.items()}
    found: dict[str, list[float]] = {name: [] for name in functions}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or any(len(times) < LEAST for times in found.values()):
        for name, function in functions.items():
            busy, begin = time.process_time(), time.perf_counter()
            for _ in range(calls[name]):
                function()
            took, busy = time.perf_counter() - begin, time.process_time() - busy
            found[name].append(min(took, busy) / calls[name] * 1e6)
    return found


def _calls(function: Callable[[], object]) -> int:
    """How many calls make a turn."""
    function()
    begin = time.process_time()
    function()
    return max(1, round(ROUND_S / max(time.process_time() - begin, 1e-7)))


def row(case: str, ours: Sequence[float], peer: str | None = None, theirs: Sequence[float] | None = None, *,
        goal: Goal | None = None, note: str | None = None) -> Row:
    """One figure of ours, in us: median, half the middle half as spread, and how many times as long the peer takes.

    The ratio is the median over turns of peer / ours: both of a turn ran within a few ms of each other.
    """
    value = statistics.median(ours)
    ratio = None if theirs is None else statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    quarters = statistics.quantiles(ours, n=4) if len(ours) > 1 else [value] * 3
    return Row(case, "time", value, "us", (quarters[2] - quarters[0]) / 2, peer,
               None if theirs is None else statistics.median(theirs), ratio,
               None if goal is None else goal.text, None if goal is None else goal.met(value, ratio), note)


def seconds(quick: bool) -> float:
    """How long one case runs."""
    return 0.3 if quick else 2.0
