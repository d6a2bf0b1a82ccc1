"""Models that share a device take turns: weighted shares of its time, and spare time for what runs in the background.

Stride scheduling (Waldspurger and Weihl, "Stride Scheduling", MIT 1995): who has had the least time for its weight goes
next. A turn needs as many of the device's threads as the session uses, so that engines never oversubscribe the cores.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

# A member with more to do asks again some microseconds after its turn. Without a short hold whoever waits at that moment
# would always be next, and two busy models would take turns evenly whatever their weights.
HOLD_S = 0.002


@dataclass(eq=False)
class Member:
    """One model on the device. `share` weighs its time against the others'; `background` ones get only spare time."""

    name: str
    threads: int
    share: int = 1
    background: bool = False
    used: float = 0.0                 # ns of device time by weight
    held: list[Turn] = field(default_factory=list)


@dataclass(eq=False)
class Turn:
    """The right to run now; given back once."""

    member: Member
    since: int = 0
    over: bool = False
    called: threading.Event = field(default_factory=threading.Event)


class Shares:
    """The threads of one device. Every method may be called from any thread."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.duty = 1.0               # the share of the time that the device may work; less while it is hot
        self._rests = 0.0             # until when it rests, monotonic s
        self._free = threads
        self._clock = 0.0             # time used by weight of whoever ran last: newcomers start there, not at zero
        self._waiting: list[Turn] = []
        self._hold: tuple[Member, float] | None = None     # for whom the device is kept free, until when (monotonic s)
        self._lock = threading.Lock()

    def take(self, member: Member) -> Turn:
        """Wait for a turn. A member without threads (it uses no device) never waits."""
        turn = Turn(member)
        need = self._need(member)
        with self._lock:
            if self._hold is not None and self._hold[0] is member and not self._resting:
                self._hold = None
                if need <= self._free:
                    self._start(turn)
                    return turn
            if not self._waiting and self._hold is None and need <= self._free and not self._resting:
                self._start(turn)
                return turn
            # Time that was not asked for is not saved up.
            member.used = max(member.used, self._clock)
            self._waiting.append(turn)
            self._call()
        while not turn.called.wait(self._patience):      # looks again, as nobody calls when a hold or a rest runs out
            with self._lock:
                self._call()
        return turn

    def give_back(self, turn: Turn, again: bool = False) -> None:
        """End a turn; whoever is next is called. A turn that was taken away (see `drop`) is over already.

        `again`: the member has more to do and will ask at once; where it has had less than its share, it is waited for.
        """
        with self._lock:
            self._end(turn, again)

    def drop(self, member: Member) -> None:
        """Take every turn from a member whose thread hangs, so that the others go on."""
        with self._lock:
            for turn in list(member.held):
                self._end(turn)

    @property
    def _resting(self) -> bool:
        return self._rests > 0 and time.monotonic() < self._rests

    @property
    def _patience(self) -> float:
        """Seconds until it is worth looking again: the rest of a cheap model is shorter than a hold."""
        return min(HOLD_S, self._rests - time.monotonic()) if self._resting else HOLD_S

    def _need(self, member: Member) -> int:
        return min(member.threads, self.threads)

    def _start(self, turn: Turn) -> None:
        member = turn.member
        self._free -= self._need(member)
        self._clock = member.used = max(member.used, self._clock)
        turn.since = time.perf_counter_ns()
        member.held.append(turn)
        turn.called.set()

    def _end(self, turn: Turn, again: bool = False) -> None:
        if turn.over:
            return
        turn.over = True
        member = turn.member
        member.held.remove(turn)
        spent = time.perf_counter_ns() - turn.since
        member.used += spent / member.share
        if self.duty < 1:
            self._rests = max(self._rests, time.monotonic()) + spent * 1e-9 * (1 / self.duty - 1)
        self._free += self._need(member)
        others = [other.member.used for other in self._waiting if other.member.background <= member.background]
        if again and others and member.used < min(others) and self._hold is None:
            self._hold = member, time.monotonic() + HOLD_S
        self._call()

    def _call(self) -> None:
        """Start whoever is next, as long as there is room for the next and the device need not rest."""
        if self._resting:
            return
        if self._hold is not None:
            if time.monotonic() < self._hold[1]:
                return
            self._hold = None
        while self._waiting:
            first = min(self._waiting, key=lambda turn: (turn.member.background, turn.member.used))
            if self._need(first.member) > self._free:
                return
            self._waiting.remove(first)
            self._start(first)
