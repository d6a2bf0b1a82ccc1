"""What a served model counts: the numbers behind OIP statistics and the metrics page."""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

# Upper bounds of the latency histogram in seconds; a 2x ladder from 0.1 ms to 6.5 s.
BUCKETS = tuple(0.0001 * 2 ** i for i in range(17))
REASONS = ("REJECTED", "CANCELED", "BACKEND", "OTHER")


@dataclass
class Duration:
    """A count and a sum of nanoseconds."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns

    def as_triton(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.ns}


@dataclass
class BatchTimes:
    """Executions of one batch size."""

    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)


class Stats:
    """Counters of one version of one model. Touched by the event loop only."""

    def __init__(self) -> None:
        self.success = Duration()
        self.fail = Duration()
        self.queue = Duration()
        self.compute_input = Duration()
        self.compute_infer = Duration()
        self.compute_output = Duration()
        self.failures = dict.fromkeys(REASONS, 0)
        self.deadline_missed = 0
        self.inference_count = 0
        self.execution_count = 0
        self.pending = 0
        self.last_inference_ms = 0
        self.batches: dict[int, BatchTimes] = {}
        self.histogram = [0] * (len(BUCKETS) + 1)

    def ok(self, rows: int, total_ns: int, queue_ns: int, input_ns: int, infer_ns: int, output_ns: int) -> None:
        """One request answered; `total_ns` is the whole request as the server saw it."""
        self.inference_count += rows
        self.success.add(total_ns)
        self.queue.add(queue_ns)
        self.compute_input.add(input_ns)
        self.compute_infer.add(infer_ns)
        self.compute_output.add(output_ns)
        self.histogram[bisect_left(BUCKETS, total_ns * 1e-9)] += 1
        self.last_inference_ms = time.time_ns() // 1_000_000

    def executed(self, rows: int, input_ns: int, infer_ns: int, output_ns: int) -> None:
        """One run of the model with that many rows."""
        self.execution_count += 1
        times = self.batches.get(rows)
        if times is None:
            times = self.batches[rows] = BatchTimes()
        times.compute_input.add(input_ns)
        times.compute_infer.add(infer_ns)
        times.compute_output.add(output_ns)

    def failed(self, reason: str, total_ns: int, *, late: bool = False) -> None:
        """One request not answered; `reason` is one of REASONS."""
        self.failures[reason] += 1
        self.deadline_missed += late
        self.fail.add(total_ns)

    @property
    def overhead_ns(self) -> int:
        """Mean nanoseconds that the server added to a request beyond queueing and the model's own stages."""
        if not self.success.count:
            return 0
        own = self.queue.ns + self.compute_input.ns + self.compute_infer.ns + self.compute_output.ns
        return max(0, self.success.ns - own) // self.success.count

    def as_triton(self) -> dict[str, Any]:
        """One item of `model_stats`, without name and version."""
        nothing = {"count": 0, "ns": 0}
        stages = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
        inference = {stage: getattr(self, stage).as_triton() for stage in stages}
        return {
            "last_inference": self.last_inference_ms,
            "inference_count": self.inference_count,
            "execution_count": self.execution_count,
            "inference_stats": {**inference, "cache_hit": dict(nothing), "cache_miss": dict(nothing)},
            "response_stats": {},
            "batch_stats": [
                {"batch_size": rows, "compute_input": times.compute_input.as_triton(),
                 "compute_infer": times.compute_infer.as_triton(), "compute_output": times.compute_output.as_triton()}
                for rows, times in sorted(self.batches.items())
            ],
            "memory_usage": [],
            "aisle_overhead_ns": self.overhead_ns,
        }
