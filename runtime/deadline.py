"""The deadline of the request that is being answered, known to everything below it that may have to wait.

A transport opens it with `within`; a queue asks `due_ns`. It travels with the task, so that no workload passes it on.
All times are monotonic: a clock that is set must not make a request late.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import Invalid

MAX_MS = 3_600_000
_due: ContextVar[int] = ContextVar("aisle_due", default=0)


def parse_ms(text: str) -> int:
    """Milliseconds from now, such as "20" or "12.5", as microseconds. Invalid for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= MAX_MS:
        raise Invalid(f"Aisle-Deadline-Ms: expected milliseconds from now, above 0 and at most {MAX_MS}, got {text[:40]!r}")
    return max(1, int(value * 1000))


@contextmanager
def within(timeout_us: int) -> Iterator[None]:
    """What runs inside is to be answered `timeout_us` from now; 0 leaves the deadline as it is."""
    if not timeout_us:
        yield
        return
    token = _due.set(time.perf_counter_ns() + timeout_us * 1000)
    try:
        yield
    finally:
        _due.reset(token)


def due_ns() -> int:
    """When the request is due, in ns of time.perf_counter_ns; 0 where it has no deadline."""
    return _due.get()


def left_us() -> int:
    """Microseconds left, at least 1; 0 where there is no deadline."""
    due = _due.get()
    return max(1, (due - time.perf_counter_ns()) // 1000) if due else 0
