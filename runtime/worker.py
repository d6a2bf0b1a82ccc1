"""One instance of a model: its session and the runs on it. Only the worker's own thread touches the session's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from .backends import FreeSession, Session
from .errors import AisleError, Failed
from .shares import Member, Shares
from .waiting_line import Fill, Job

Outcome = tuple[Job, Any, BaseException | None]


class Lending:
    """A fill that need not copy `arrays`, inputs by name: a session that can reads them where they lie; `rest` does the others.

    Each array is C-contiguous and aligned and holds all of a request's rows; see OnnxSession.run_lent.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], rest: Fill) -> None:
        self.arrays = arrays
        self.rest = rest

    def __call__(self, row: Any) -> None:
        self.rest(row)
        for name, array in self.arrays.items():
            row[name][...] = array


def fill_alone(fill: Fill, row: Any, session: Any) -> Mapping[str, np.ndarray] | None:
    """Fill the rows of the only request of a run; what the session reads elsewhere, None where everything was copied."""
    if isinstance(fill, Lending) and fill.arrays.keys() <= getattr(session, "lendable", frozenset()):
        fill.rest(row)
        return fill.arrays
    fill(row)
    return None


class Ran(NamedTuple):
    """One run: rows of `jobs` requests; ns of filling, waiting for the device, running, reading. `quiet`: none asked."""

    rows: int
    fill: int
    turn: int
    run: int
    read: int
    quiet: bool
    jobs: int = 1


class Worker:
    """A session and what its thread does with a batch. `running_since` in ns of perf_counter, 0 outside of a run."""

    def __init__(self, session: Session | FreeSession, name: str, shares: Shares | None, member: Member,
                 more: Callable[[], bool] = lambda: False) -> None:
        self.session = session
        self.name = name
        self.shares = shares
        self.member = member
        self.more = more                     # whether the queue holds more for it
        self.single = isinstance(session, FreeSession) and not isinstance(session, Session)
        self.wake: SimpleQueue[None] = SimpleQueue()
        self.jobs: list[Job] = []            # the batch at hand
        self.busy_until = 0                  # when it should be done
        self.running_since = 0
        self.last_run = time.perf_counter_ns()
        self._ran: list[Ran] = []

    def work(self, jobs: list[Job]) -> tuple[list[Outcome], list[Ran]]:
        """Run a batch; what became of each job, and the runs it took."""
        self.jobs, self._ran = jobs, []
        done = self._run_free(jobs[0]) if self.single else self._run_rows(jobs)
        self.jobs, self.busy_until, self.last_run = [], 0, time.perf_counter_ns()
        return done, self._ran

    def _run(self, *arguments: Any) -> tuple[Any, int, int, int]:
        """session.run in its turn: (result, when it was asked for, began and ended in ns)."""
        asked, shares, turn = time.perf_counter_ns(), self.shares, None
        if shares is not None and self.member.threads:
            turn = shares.take(self.member)
        self.running_since = began = time.perf_counter_ns()
        try:
            run: Any = self.session.run if len(arguments) < 2 or self.single else self.session.run_lent  # type: ignore[union-attr]
            value = run(*arguments)
        finally:
            self.running_since = 0
            if shares is not None and turn is not None:
                shares.give_back(turn, self.more())
        return value, asked, began, time.perf_counter_ns()

    def _run_rows(self, jobs: list[Job]) -> list[Outcome]:
        session: Session = self.session      # type: ignore[assignment]
        results: list[Outcome] = []
        filled: list[tuple[Job, int]] = []
        start, at = time.perf_counter_ns(), 0
        lent = None
        for job in jobs:
            try:
                row = session.row(at) if job.rows is None else session.rows(at, job.rows)
                if len(jobs) == 1:
                    lent = fill_alone(job.fill, row, session)
                else:
                    job.fill(row)
            except Exception as error:  # noqa: BLE001 - goes to the caller; one bad row fails alone
                results.append((job, None, error))
                continue
            filled.append((job, at))
            at += job.size
        if not filled:
            return results
        try:
            _, asked, began, ended = self._run(at) if lent is None else self._run(at, lent)
        except Exception as error:  # noqa: BLE001 - goes to the callers
            if len(filled) == 1:
                return [*results, (filled[0][0], None, self.backend_error(error))]
            # One row can spoil the run for all: run each alone, so that only the guilty one fails.
            return results + [one for job, _ in filled for one in self._run_rows([job])]
        for job, i in filled:
            try:
                value = job.read(session.row(i) if job.rows is None else session.rows(i, job.rows))
            except Exception as error:  # noqa: BLE001 - goes to the caller
                results.append((job, None, error))
                continue
            results.append((job, value, None))
        self._count([job for job, _ in filled], at, start, asked, began, ended)
        return results

    def _run_free(self, job: Job) -> list[Outcome]:
        start = time.perf_counter_ns()
        try:
            inputs: dict[str, Any] = {}
            job.fill(inputs)
            outputs, asked, began, ended = self._run(inputs, job.outputs)
            value = job.read(outputs)
        except AisleError as error:
            return [(job, None, error)]
        except Exception as error:  # noqa: BLE001 - goes to the caller
            return [(job, None, self.backend_error(error))]
        self._count([job], 1, start, asked, began, ended)
        return [(job, value, None)]

    def _count(self, jobs: list[Job], rows: int, start: int, asked: int, began: int, ended: int) -> None:
        """Stage times of the jobs: waiting for the device is waiting."""
        ran = Ran(rows, asked - start, began - asked, ended - began, time.perf_counter_ns() - ended,
                  all(job.quiet for job in jobs), len(jobs))
        for job in jobs:
            job.times = (start - job.born + ran.turn, ran.fill, ran.run, ran.read)
        self._ran.append(ran)

    def backend_error(self, error: Exception) -> BaseException:
        """The error as a caller sees it."""
        return error if isinstance(error, AisleError) else Failed(f"model '{self.name}' failed while running: {error}")
