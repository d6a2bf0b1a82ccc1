"""A process of its own for one search, so that a server stays quick beside it and can end it: one job in, one plan out.

The job is a pickle on standard input: (problem, start or None, problem before the change or None, seconds, seed); the answer
one on standard output: a `Replanned`, or the sentence of an error. Both ends are ours; nothing else may speak to it.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

from .tour_problem import Plan, Problem
from .tour_replan import Replanned, in_place, replan
from .tour_solve import solve

Job = tuple[Problem, Plan | None, Problem | None, float, int]
NICE = 5                 # below the threads that answer


def work(job: Job) -> Replanned | str:
    """The plan, or the sentence of an error."""
    problem, start, before, budget_s, seed = job
    try:
        if before is not None and start is not None:
            return replan(before, start, problem, budget_s, seed=seed)
        plan = solve(problem, budget_s, seed=seed, start=start)
    except (RuntimeError, ValueError) as error:
        return str(error)
    return Replanned(plan, tuple(range(len(problem.robots))), 1.0 if start is None else in_place(start, plan))


def main() -> None:
    """Read one job, write one answer."""
    os.nice(NICE)
    answer: Any = work(pickle.load(sys.stdin.buffer))
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
