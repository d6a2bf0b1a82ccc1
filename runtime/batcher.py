"""One queue and one worker thread per session: jobs in, batches through the session, results out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

from ..models.bundle import QueuePolicy
from .backends import FreeSession, Session
from .backends.tensors import zero
from .costs import Costs
from .errors import AisleError, Busy, Failed, Late
from .stats import Stats
from .waiting_line import FOREVER, LOWEST, SPARE, Fill, Job, Limits, Line, Read

# A thread switch there and back costs some 30 us and more on a single core. A model whose whole round of fill, run
# and read stays below this is run where its request is read, while its own thread is parked: that blocks the event
# loop for less time than the switch would keep it busy. Measured: docs/serving.md.
CHEAP_NS = 100_000
CALM_RUNS = 32        # that many cheap rounds in a row before a model counts as cheap; one dear round ends it


class Batcher:
    """Queues jobs for one session and runs them on one thread, which alone touches the session's memory.

    Order: priority (1 first), then deadline, then arrival; see `waiting_line`. Nothing waits for a timer unless the
    model's policy says so.
    """

    def __init__(self, session: Session | FreeSession, name: str, stats: Stats, *,
                 limits: Limits | None = None, policy: QueuePolicy | None = None) -> None:
        self.session = session
        self.name = name
        self.stats = stats
        self.policy = policy or QueuePolicy()
        self.capacity = session.capacity if isinstance(session, Session) else 1
        self.costs = Costs()
        self.line = Line(name, self.capacity, self.costs, limits or Limits(), self.policy.max_requests)
        self._loop = asyncio.get_running_loop()
        self._mutex = threading.Lock()       # guards the line and `_sleeping`
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._running: list[Job] = []
        self._sleeping = False
        self._closing = False
        self.running_since = 0               # when the run that goes on began, ns; 0 between runs
        self.last_run = time.perf_counter_ns()
        self._abandoned = False
        self._calm = 0                       # cheap rounds in a row
        self._ran: list[tuple[int, int, int, int]] = []   # runs since the last hand-over: rows, fill, run, read ns
        self._thread = threading.Thread(target=self._work, name=f"aisle-{name}", daemon=True)
        self._thread.start()

    # ---- the event loop's side

    def submit(self, fill: Fill, read: Read, *, rows: int | None = None, nbytes: int = 0,
               outputs: Sequence[str] = (), timeout_us: int = 0, priority: int = 0, quiet: bool = False) -> Job:
        """Queue one job; await `job.future`. Raises Busy when full or closing. `rows` counts against the batch."""
        if self._closing:
            raise Busy(f"model '{self.name}' is being unloaded; try again shortly")
        now, timeout_us = time.perf_counter_ns(), self._timeout(timeout_us)
        job = Job(fill, read, rows, nbytes, outputs, self._loop.create_future(), born=now, quiet=quiet,
                  level=self._level(priority),
                  due=now + timeout_us * (1000 - 1000 // SPARE) if timeout_us else FOREVER)
        with self._mutex:
            self.line.admit(job, now)
            wake, self._sleeping = self._sleeping, False
        if timeout_us:
            job.timer = self._loop.call_later(timeout_us * 1e-6, self._expire, job, timeout_us)
        if wake:
            self._wake.put(None)
        return job

    async def call(self, fill: Fill, read: Read, **how: Any) -> Any:
        """Submit and wait; a cancelled caller gives its place back at once."""
        job = self.submit(fill, read, **how)
        try:
            return await job.future
        except asyncio.CancelledError:
            self.forget(job)
            raise

    @property
    def ready_now(self) -> bool:
        """True while the worker is parked and the model is known to be cheap: `run_now` may be called.

        Only the event loop wakes the worker, so between this and `run_now` nobody else touches the session.
        """
        return self._calm >= CALM_RUNS and self._sleeping and not self._closing and not self.policy.wait_us

    def run_now(self, fill: Fill, read: Read, rows: int) -> tuple[Any, tuple[int, int, int, int]]:
        """Fill, run and read at once on the calling thread; (result, stage times). Only when `ready_now`."""
        session: Session = self.session      # type: ignore[assignment]
        start = time.perf_counter_ns()
        row = session.rows(0, rows)
        fill(row)
        middle = time.perf_counter_ns()
        try:
            session.run(rows)
        except Exception as error:
            raise self._backend_error(error) from error
        after = time.perf_counter_ns()
        value = read(row)
        end = time.perf_counter_ns()
        self._count(rows, middle - start, after - middle, end - after)
        return value, (0, middle - start, after - middle, end - after)

    def _count(self, rows: int, fill_ns: int, run_ns: int, read_ns: int) -> None:
        self.stats.executed(rows, fill_ns, run_ns, read_ns)
        cost = fill_ns + run_ns + read_ns
        self.costs.add(rows, cost)
        self._calm = self._calm + 1 if cost < CHEAP_NS else 0

    def forget(self, job: Job) -> None:
        """Drop a job whose caller went away; without effect once the worker has taken it."""
        with self._mutex:
            self.line.leave(job)
        if job.timer is not None:
            job.timer.cancel()

    @property
    def waiting(self) -> int:
        """Jobs in the line."""
        return self.line.count

    @property
    def waiting_bytes(self) -> int:
        """Bytes that they hold."""
        return self.line.nbytes

    def _level(self, priority: int) -> int:
        policy = self.policy
        if policy.priority_levels:
            return priority if 0 < priority <= policy.priority_levels else policy.default_priority
        return priority or LOWEST

    def _timeout(self, asked_us: int) -> int:
        """The caller's timeout counts where the policy lets it; else the model's own (0: none)."""
        default = self.policy.default_timeout_us
        if self.policy.timeout_action == "DELAY":
            return 0
        if not asked_us or not self.policy.allow_timeout_override:
            return default
        return min(asked_us, default) if default else asked_us

    def _expire(self, job: Job, timeout_us: int) -> None:
        with self._mutex:
            left = self.line.leave(job)
        if left and not job.future.done():
            job.future.set_exception(Late(f"Request timeout expired: {timeout_us} us passed while the request "
                                          f"waited for model '{self.name}'"))

    async def drain(self) -> None:
        """Refuse new jobs, answer the queued ones, end the thread and close the session."""
        self._closing = True
        self._wake.put(None)
        while self._thread.is_alive() and not self._abandoned:       # noqa: ASYNC110 - a thread's end is no event of the loop
            await asyncio.sleep(0.005)
        if not self._abandoned:              # what still runs must not lose its memory
            self.session.close()

    def abandon(self, sentence: str) -> None:
        """Give up a thread that hangs: everything that waits or runs here fails with `sentence`; nothing new is taken.

        The thread and its session cannot be taken back from whatever holds them; they end when it does.
        """
        self._closing = self._abandoned = True
        with self._mutex:
            lost = [*self._running, *self.line.clear()]
        for job in lost:
            if job.timer is not None:
                job.timer.cancel()
            if not job.future.done():
                job.future.set_exception(Failed(sentence))
        self._wake.put(None)

    def canary(self, row: Any) -> None:
        """Fill a row as warming up did: zeros."""
        if isinstance(self.session, Session):
            for spec in self.session.inputs:
                row[spec.name][...] = 0
        else:
            row.update({spec.name: zero(spec) for spec in self.session.inputs if not spec.optional})

    # ---- the worker's side

    def _work(self) -> None:
        single = isinstance(self.session, FreeSession) and not isinstance(self.session, Session)
        while True:
            jobs = self._take()
            if jobs is None:
                return
            if not jobs:
                continue
            self._running, self.running_since = jobs, time.perf_counter_ns()
            done = self._run_free(jobs[0]) if single else self._run_rows(jobs)
            self.running_since, self.last_run = 0, time.perf_counter_ns()
            if self._abandoned:              # it hung, was replaced, and came back: nobody waits for it any more
                return
            ran, self._ran = self._ran, []
            self._loop.call_soon_threadsafe(self._finish, done, ran)

    def _take(self) -> list[Job] | None:
        """The next batch; blocks while the queue is empty; None at the end."""
        jobs: list[Job] = []
        rows = self._gather(jobs)
        if not jobs:
            with self._mutex:
                if self.waiting:
                    return []
                if self._closing:
                    return None
                self._sleeping = True
            self._wake.get()
            return []
        if self.policy.wait_us and rows < self.capacity:
            self._linger(jobs, rows)
        return jobs

    def _gather(self, jobs: list[Job]) -> int:
        """Add what waits to the batch `jobs` and return its rows; those that are too late hear so at once."""
        now = time.perf_counter_ns()
        with self._mutex:
            rows, late = self.line.take(now, jobs)
            self.line.busy_until = now + self.costs.expect(rows) if rows else 0
        if late:
            told: list[tuple[Job, Any, BaseException | None]] = [(job, None, self._late(job)) for job in late]
            self._loop.call_soon_threadsafe(self._finish, told, [])
        return rows

    def _late(self, job: Job) -> Late:
        return Late(f"Request timeout expired: model '{self.name}' could not answer within the time that the "
                    f"request allowed; {(time.perf_counter_ns() - job.born) // 1000} us passed while it waited")

    def _linger(self, jobs: list[Job], rows: int) -> None:
        """Wait for company until the first job is `wait_us` old, a deadline presses or the batch is full."""
        until = min(jobs[0].born + self.policy.wait_us * 1000, min(j.due for j in jobs) - self.costs.expect(rows))
        while rows < self.capacity and not self._closing:
            left = until - time.perf_counter_ns()
            if left <= 0:
                return
            with self._mutex:
                self._sleeping = not self.waiting
            try:
                if self._sleeping:
                    self._wake.get(timeout=left * 1e-9)
            except Empty:
                return
            before, rows = rows, self._gather(jobs)
            if rows == before and self.waiting:
                return                       # the next one does not fit

    def _run_rows(self, jobs: list[Job]) -> list[tuple[Job, Any, BaseException | None]]:
        session: Session = self.session      # type: ignore[assignment]
        results: list[tuple[Job, Any, BaseException | None]] = []
        filled: list[tuple[Job, int]] = []
        start, at = time.perf_counter_ns(), 0
        for job in jobs:
            try:
                job.fill(session.row(at) if job.rows is None else session.rows(at, job.rows))
            except Exception as error:  # noqa: BLE001 - goes to the caller; one bad row fails alone
                results.append((job, None, error))
                continue
            filled.append((job, at))
            at += job.rows or 1
        if not filled:
            return results
        middle = time.perf_counter_ns()
        try:
            session.run(at)
        except Exception as error:  # noqa: BLE001 - goes to the callers
            if len(filled) == 1:
                return [*results, (filled[0][0], None, self._backend_error(error))]
            # One row can spoil the run for all: run each alone, so that only the guilty one fails.
            return results + [one for job, _ in filled for one in self._run_rows([job])]
        after = time.perf_counter_ns()
        for job, i in filled:
            try:
                value = job.read(session.row(i) if job.rows is None else session.rows(i, job.rows))
            except Exception as error:  # noqa: BLE001 - goes to the caller
                results.append((job, None, error))
                continue
            results.append((job, value, None))
        end = time.perf_counter_ns()
        if all(job.quiet for job, _ in filled):
            return results
        for job, _ in filled:
            job.times = (start - job.born, middle - start, after - middle, end - after)
        self._ran.append((at, middle - start, after - middle, end - after))
        return results

    def _run_free(self, job: Job) -> list[tuple[Job, Any, BaseException | None]]:
        session: FreeSession = self.session  # type: ignore[assignment]
        start = time.perf_counter_ns()
        try:
            inputs: dict[str, Any] = {}
            job.fill(inputs)
            middle = time.perf_counter_ns()
            outputs = session.run(inputs, job.outputs)
            after = time.perf_counter_ns()
            value = job.read(outputs)
        except AisleError as error:
            return [(job, None, error)]
        except Exception as error:  # noqa: BLE001 - goes to the caller
            return [(job, None, self._backend_error(error))]
        end = time.perf_counter_ns()
        job.times = (start - job.born, middle - start, after - middle, end - after)
        if not job.quiet:
            self._ran.append((1, middle - start, after - middle, end - after))
        return [(job, value, None)]

    def _backend_error(self, error: Exception) -> BaseException:
        return error if isinstance(error, AisleError) else Failed(f"model '{self.name}' failed while running: {error}")

    def _finish(self, done: list[tuple[Job, Any, BaseException | None]],
                ran: list[tuple[int, int, int, int]]) -> None:
        for run in ran:
            self._count(*run)
        for job, value, error in done:
            if job.timer is not None:
                job.timer.cancel()
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(error)
