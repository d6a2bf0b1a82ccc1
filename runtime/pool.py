"""A few threads for CPU work without a model: see pool_line for who goes next; refused when full or hopeless."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from .costs import Costs
from .deadline import due_ns
from .errors import Busy, Late
from .pool_line import PoolLine, asked_job
from .waiting_line import FOREVER, PATIENCE_NS

T = TypeVar("T")


class Work:
    """One call that waits for a thread or runs on it."""

    __slots__ = ("arguments", "cost", "done", "due", "fn", "future", "job", "taken")

    def __init__(self, fn: Callable[..., Any], arguments: tuple[Any, ...], due: int, cost: int,
                 future: asyncio.Future[Any]) -> None:
        self.fn = fn
        self.arguments = arguments
        self.due = due
        self.job = asked_job()
        self.cost = cost
        self.future = future
        self.taken = False
        self.done = False


class Pool:
    """`threads` threads; at most `threads + max_waiting` calls at once. Decoding, features, routes run here.

    `reserve` keeps shares of the threads' time for jobs, by name (see pool_line.asking).
    """

    def __init__(self, threads: int, max_waiting: int = 64, reserve: Mapping[str, float] | None = None) -> None:
        self.threads = threads
        self.limit = threads + max_waiting
        self.active = 0
        self._backlog = 0                        # expected ns of everything that waits or runs
        self._running = 0                        # of it, what runs
        self._costs: dict[str, Costs] = {}       # by the function's name: as many as there are functions
        self._line = PoolLine(threads, reserve)
        self._changed = threading.Condition()
        self._closing = False
        self._workers = [threading.Thread(target=self._serve, name=f"aisle-pool_{i}", daemon=True) for i in range(threads)]
        for worker in self._workers:
            worker.start()

    async def run(self, fn: Callable[..., T], *arguments: Any) -> T:
        """fn(*arguments) on a pool thread.

        Busy when threads + max_waiting calls are under way, or when the request's deadline (see `deadline`) cannot be
        met; Late when it passes while the call waits. Once a call has started it runs to its end.
        """
        if self._closing:
            raise Busy("the server is shutting down", 5)
        if self.active >= self.limit:
            raise Busy(f"{self.active} pieces of work already wait for a processor and the limit is {self.limit}")
        work = self._admit(fn, arguments)
        timer = None
        if work.due < FOREVER:
            left = max(0, work.due - time.perf_counter_ns()) * 1e-9
            timer = asyncio.get_running_loop().call_later(left, self._expire, work)
        try:
            answer: T = await work.future
            return answer
        except asyncio.CancelledError:
            self._withdraw(work)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _admit(self, fn: Callable[..., Any], arguments: tuple[Any, ...]) -> Work:
        now, due = time.perf_counter_ns(), due_ns()
        costs = self._costs.get(name_of(fn))
        cost = costs.expect(1) if costs else 0
        if due and now + (wait := self._wait(due, now)) + cost > due:
            raise Busy(f"the deadline, {max(0, due - now) / 1e6:.3g} ms away, cannot be met: about "
                       f"{wait / 1e6:.3g} ms of waiting and {cost / 1e6:.3g} ms of work are ahead; ask again later "
                       "or allow more time", self._backlog / self.threads * 1e-9)
        work = Work(fn, arguments, due or FOREVER, cost, asyncio.get_running_loop().create_future())
        with self._changed:
            self._line.add(work, due or now + PATIENCE_NS)
            self._changed.notify()
        self.active += 1
        self._backlog += cost
        return work

    def _wait(self, due: int, now: int) -> int:
        """Nanoseconds until a call due at `due` would start: what runs and what goes before it, over all threads."""
        if self.active < self.threads:
            return 0
        with self._changed:
            return (self._running + self._line.ahead(asked_job(), due, now)) // self.threads

    def _withdraw(self, work: Work) -> None:
        with self._changed:
            waiting = not work.taken
            work.taken = True
        if waiting:
            self._ended(work)

    def _expire(self, work: Work) -> None:
        with self._changed:
            waiting = not work.taken
            work.taken = True
        if waiting:
            self._ended(work)
            if not work.future.done():
                work.future.set_exception(Late("the request's deadline passed while it waited for a processor"))

    def _ended(self, work: Work) -> None:
        """Counts the work itself, not a caller that went away."""
        if not work.done:
            work.done = True
            self.active -= 1
            self._backlog -= work.cost

    # ---- the threads' side

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """One call; False at the end. What this frame holds of it, clients' memory among it, goes when it returns."""
        work = self._next()
        if work is None:
            return False
        start = time.perf_counter_ns()
        value, error = None, None
        try:
            value = work.fn(*work.arguments)
        except BaseException as problem:  # noqa: BLE001 - goes to the caller
            error = problem
        now = time.perf_counter_ns()
        spent = now - start
        with self._changed:
            self._running -= work.cost
            self._line.spent(work.job, spent, now)
        try:
            work.future.get_loop().call_soon_threadsafe(self._finish, work, value, error, spent)
        except RuntimeError:              # the loop was closed under a call that ran too long
            return False
        return True

    def _next(self) -> Work | None:
        with self._changed:
            while True:
                work = self._line.take(time.perf_counter_ns())
                if work is not None:
                    self._running += work.cost
                    return cast(Work, work)
                if self._closing:
                    return None
                self._changed.wait()

    def _finish(self, work: Work, value: Any, error: BaseException | None, spent: int) -> None:
        self._ended(work)
        self._costs.setdefault(name_of(work.fn), Costs()).add(1, spent)
        if work.future.done():
            return
        if error is None:
            work.future.set_result(value)
        else:
            work.future.set_exception(error)

    def close(self) -> None:
        """Drop what waits and let running work end."""
        with self._changed:
            self._closing = True
            dropped = self._line.clear()
            self._changed.notify_all()
        for work in dropped:
            cast(Work, work).future.cancel()


def name_of(fn: Callable[..., Any]) -> str:
    """Under what a function's cost is remembered."""
    return str(getattr(fn, "__qualname__", type(fn).__qualname__))
