"""One queue for a model and one worker thread for each of its sessions: jobs in, batches through, results out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from queue import Empty
from typing import Any

from ..models.bundle import QueuePolicy
from .answered import note
from .backends import FreeSession, Session
from .backends.tensors import zero
from .costs import Costs
from .errors import Busy, Failed, Late
from .shares import Member, Shares
from .stats import Stats
from .waiting_line import FOREVER, LOWEST, SPARE, Fill, Job, Limits, Line, Read
from .worker import Outcome, Ran, Worker, fill_alone

# A thread switch there and back costs some 30 us and more on a single core. A model whose whole round of fill, run
# and read stays below this is run where its request is read, while its own thread is parked: that blocks the event
# loop for less time than the switch would keep it busy. Measured: docs/serving.md.
CHEAP_NS = 100_000
# So much calm makes a model cheap: a cheap round adds one, a dear one takes several. A round may be dear because another
# process had the core for a while; that must not send every request over the thread again, and three in a row do.
CALM = 32
MOST_CALM = 64
DEAR = 16


class Batcher:
    """Queues jobs for the sessions of one model; each session has a thread, which alone touches its memory.

    Order: priority (1 first), then deadline, then arrival; see `waiting_line`. Nothing waits for a timer unless the
    model's policy says so. Runs take turns on the device as `shares` says; None: nothing is shared. `way` is what its
    answers are called ("onnx int8").
    """

    def __init__(self, sessions: Session | FreeSession | Sequence[Session | FreeSession], name: str, stats: Stats, *,
                 limits: Limits | None = None, policy: QueuePolicy | None = None, shares: Shares | None = None,
                 way: str = "") -> None:
        several: list[Any] = list(sessions) if isinstance(sessions, (list, tuple)) else [sessions]
        self.session: Session | FreeSession = several[0]
        self.name = name
        self.way = way
        self.stats = stats
        self.policy = policy or QueuePolicy()
        self.capacity = self.session.capacity if isinstance(self.session, Session) else 1
        self.costs = Costs()
        self.line = Line(name, self.capacity, self.costs, limits or Limits(), self.policy.max_requests, len(several))
        self.member = Member(name, getattr(self.session, "threads", 0), self.policy.share, self.policy.background)
        self._shares = shares
        self._loop = asyncio.get_running_loop()
        self._mutex = threading.Lock()       # guards the line and `_asleep`
        self._closing = False
        self._abandoned = False
        self._calm = 0                       # see CALM
        self.workers = [Worker(session, name, shares, self.member, lambda: self.line.count > 0) for session in several]
        self._asleep: list[Worker] = []
        self._threads = [threading.Thread(target=self._serve, args=(worker,), name=f"aisle-{name}", daemon=True)
                         for worker in self.workers]
        for thread in self._threads:
            thread.start()

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
        job.way = self.way
        with self._mutex:
            self.line.admit(job, now)
            worker = self._asleep.pop() if self._asleep else None
        if timeout_us:
            job.timer = self._loop.call_later(timeout_us * 1e-6, self._expire, job, timeout_us)
        if worker is not None:
            worker.wake.put(None)
        return job

    async def call(self, fill: Fill, read: Read, **how: Any) -> Any:
        """Submit and wait; a cancelled caller gives its place back at once."""
        job = self.submit(fill, read, **how)
        try:
            value = await job.future
        except asyncio.CancelledError:
            self.forget(job)
            raise
        note(job.way)
        return value

    @property
    def ready_now(self) -> bool:
        """True while a worker is parked and the model is known to be cheap: `run_now` may be called.

        Only the event loop wakes a worker, so between this and `run_now` nobody else touches its session.
        """
        return self._calm >= CALM and self._parked

    def ready_within(self, most_us: int) -> bool:
        """The same for a caller that may hold up the event loop for so long: where half of the runs take less."""
        return self._parked and 0 < self.costs.expect(1, 50) <= most_us * 1000

    @property
    def _parked(self) -> bool:
        return bool(self._asleep) and not self._closing and not self.policy.wait_us and not self._held_back

    @property
    def _held_back(self) -> bool:
        """True while the device is hot and works only part of the time: then every run must wait for its turn."""
        return self._shares is not None and self._shares.duty < 1 and self.member.threads > 0

    def run_now(self, fill: Fill, read: Read, rows: int | None = None) -> tuple[Any, tuple[int, int, int, int]]:
        """Fill, run and read at once on the calling thread; (result, stage times). Only when `ready_now`.

        Without `rows` it is one row without the batch axis, as for `submit`.
        """
        worker = self._asleep[-1]
        session: Session = worker.session    # type: ignore[assignment]
        start = time.perf_counter_ns()
        row, rows = (session.row(0), 1) if rows is None else (session.rows(0, rows), rows)
        lent = fill_alone(fill, row, session)
        middle = time.perf_counter_ns()
        try:
            if lent is None:
                session.run(rows)
            else:
                session.run_lent(rows, lent)     # type: ignore[attr-defined]
        except Exception as error:
            raise worker.backend_error(error) from error
        after = time.perf_counter_ns()
        value = read(row)
        end = worker.last_run = time.perf_counter_ns()
        self._count(Ran(rows, middle - start, 0, after - middle, end - after, False))
        return value, (0, middle - start, after - middle, end - after)

    def _count(self, ran: Ran) -> None:
        """Learn from a run. What it waited for the device counts as its cost, so that a crowded device is seen."""
        own = ran.fill + ran.run + ran.read
        self.costs.add(ran.rows, own + ran.turn)
        # What several requests took together says nothing of one alone; earlier runs of that size do.
        alone = own if ran.jobs == 1 else self.costs.expect(ran.rows // ran.jobs, 50) or own
        self._calm = min(MOST_CALM, self._calm + 1) if alone < CHEAP_NS else max(0, self._calm - DEAR)
        if not ran.quiet:
            self.stats.executed(ran.rows, ran.fill, ran.run, ran.read)

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
        job.timer = None                     # a timer that went off still holds its job
        with self._mutex:
            left = self.line.leave(job)
        if left and not job.future.done():
            job.future.set_exception(Late(f"Request timeout expired: {timeout_us} us passed while the request "
                                          f"waited for model '{self.name}'"))

    async def drain(self) -> None:
        """Refuse new jobs, answer the queued ones, end the thread and close the session."""
        self._closing = True
        self._rouse()
        while any(thread.is_alive() for thread in self._threads) and not self._abandoned:    # noqa: ASYNC110
            await asyncio.sleep(0.005)       # a thread's end is no event of the loop
        if not self._abandoned:              # what still runs must not lose its memory
            for worker in self.workers:
                worker.session.close()

    def _rouse(self) -> None:
        with self._mutex:
            self._asleep.clear()
        for worker in self.workers:
            worker.wake.put(None)

    @property
    def running_since(self) -> int:
        """When the oldest run that goes on began, ns of perf_counter; 0 where none does."""
        return min((w.running_since for w in self.workers if w.running_since), default=0)

    @property
    def last_run(self) -> int:
        """When the last run ended, ns of perf_counter."""
        return max(worker.last_run for worker in self.workers)

    def abandon(self, sentence: str) -> None:
        """Give up a thread that hangs: everything that waits or runs here fails with `sentence`; nothing new is taken.

        The thread and its session cannot be taken back from whatever holds them; they end when it does.
        """
        self._closing = self._abandoned = True
        with self._mutex:
            lost = [*(job for worker in self.workers for job in worker.jobs), *self.line.clear()]
        if self._shares is not None:
            self._shares.drop(self.member)
        for job in lost:
            if job.timer is not None:
                job.timer.cancel()
            if not job.future.done():
                job.future.set_exception(Failed(sentence))
        self._rouse()

    def canary(self, row: Any) -> None:
        """Fill a row as warming up did: zeros."""
        if isinstance(self.session, Session):
            for spec in self.session.inputs:
                row[spec.name][...] = 0
        else:
            row.update({spec.name: zero(spec) for spec in self.session.inputs if not spec.optional})

    # ---- the workers' side

    def _serve(self, worker: Worker) -> None:
        while self._serve_one(worker):
            pass

    def _serve_one(self, worker: Worker) -> bool:
        """One batch; False at the end. What this frame holds of its jobs, clients' memory among it, goes when it returns."""
        jobs = self._take(worker)
        if not jobs:
            return jobs is not None
        done, ran = worker.work(jobs)
        if self._abandoned:                  # it hung, was replaced, and came back: nobody waits for it any more
            return False
        self._loop.call_soon_threadsafe(self._finish, done, ran)
        return True

    def _take(self, worker: Worker) -> list[Job] | None:
        """The next batch; blocks while the queue is empty; None at the end."""
        jobs: list[Job] = []
        rows = self._gather(worker, jobs)
        if not jobs:
            with self._mutex:
                if self.waiting:
                    return []
                if self._closing:
                    return None
                self._asleep.append(worker)
            worker.wake.get()
            return []
        if self.policy.wait_us and rows < self.capacity:
            self._linger(worker, jobs, rows)
        return jobs

    def _gather(self, worker: Worker, jobs: list[Job]) -> int:
        """Add what waits to the batch `jobs` and return its rows; those that are too late hear so at once."""
        now = time.perf_counter_ns()
        with self._mutex:
            rows, late = self.line.take(now, jobs)
            worker.busy_until = now + self.costs.expect(rows) if rows else 0
            self.line.busy_until = min(other.busy_until for other in self.workers)
        if late:
            told: list[Outcome] = [(job, None, self._late(job)) for job in late]
            self._loop.call_soon_threadsafe(self._finish, told, [])
        return rows

    def _late(self, job: Job) -> Late:
        return Late(f"Request timeout expired: model '{self.name}' could not answer within the time that the "
                    f"request allowed; {(time.perf_counter_ns() - job.born) // 1000} us passed while it waited")

    def _linger(self, worker: Worker, jobs: list[Job], rows: int) -> None:
        """Wait for company until the first job is `wait_us` old, a deadline presses or the batch is full."""
        until = min(jobs[0].born + self.policy.wait_us * 1000, min(j.due for j in jobs) - self.costs.expect(rows))
        while rows < self.capacity and not self._closing:
            left = until - time.perf_counter_ns()
            if left <= 0:
                return
            with self._mutex:
                parked = not self.waiting
                if parked:
                    self._asleep.append(worker)
            if parked and not self._nap(worker, left):
                return
            before, rows = rows, self._gather(worker, jobs)
            if rows == before and self.waiting:
                return                       # the next one does not fit

    def _nap(self, worker: Worker, ns: int) -> bool:
        """Sleep until woken; False where the time ran out first. The worker is not in `_asleep` afterwards."""
        try:
            worker.wake.get(timeout=ns * 1e-9)
            return True
        except Empty:
            with self._mutex:
                if worker in self._asleep:
                    self._asleep.remove(worker)
                    return False
            worker.wake.get()                # it was called in this very moment
            return True

    def _finish(self, done: list[Outcome], ran: list[Ran]) -> None:
        for one in ran:
            self._count(one)
        for job, value, error in done:
            if job.timer is not None:
                job.timer.cancel()
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(error)
