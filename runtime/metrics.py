"""The metrics page: Prometheus text under Triton's names, made from what the models counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from .served import Served
from .stats import BUCKETS, REASONS, Stats

LABELS = ("model", "version")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS: tuple[tuple[str, str, Callable[[Stats], float]], ...] = (
    ("nv_inference_request_success", "Requests answered", lambda s: s.success.count),
    ("nv_inference_count", "Rows inferred", lambda s: s.inference_count),
    ("nv_inference_exec_count", "Runs of the model", lambda s: s.execution_count),
    ("nv_inference_request_duration_us", "Whole requests, microseconds", lambda s: s.success.ns / 1e3),
    ("nv_inference_queue_duration_us", "Waiting, microseconds", lambda s: s.queue.ns / 1e3),
    ("nv_inference_compute_input_duration_us", "Filling rows, microseconds", lambda s: s.compute_input.ns / 1e3),
    ("nv_inference_compute_infer_duration_us", "Running, microseconds", lambda s: s.compute_infer.ns / 1e3),
    ("nv_inference_compute_output_duration_us", "Reading rows, microseconds", lambda s: s.compute_output.ns / 1e3),
    ("aisle_deadline_missed_total", "Requests not answered by their deadline", lambda s: s.deadline_missed),
)


class Collector:
    """Reads the counters when the page is asked for; a request pays nothing."""

    def __init__(self, served: Callable[[], list[Served]], server: Callable[[], dict[str, float]]) -> None:
        self.served = served
        self.server = server

    def collect(self) -> Iterator[Any]:
        models = self.served()
        for name, text, value in COUNTERS:
            family = Plain(name, text, labels=LABELS)
            for one in models:
                family.add_metric((one.name, one.version), value(one.stats))
            yield family
        yield from failures(models)
        yield gauge("nv_inference_pending_request_count", "Requests inside", models, lambda s: s.pending)
        yield gauge("aisle_overhead_us", "Mean microseconds the server adds to a request", models,
                    lambda s: s.overhead_ns / 1e3)
        yield histogram(models)
        yield from engines(models)
        yield variants(models)
        yield from machine()
        for name, number in self.server().items():
            plain = GaugeMetricFamily(name, name)
            plain.add_metric((), number)
            yield plain


class Plain(CounterMetricFamily):
    """A counter that keeps its name: Triton's names do not end in _total, and dashboards know them."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...]) -> None:
        super().__init__(name, documentation, labels=labels)
        self.plain = name

    def add_metric(self, labels: Any, value: float, *rest: Any, **more: Any) -> None:
        self.add_sample(self.plain, dict(zip(self._labelnames, labels, strict=True)), value)


def failures(models: list[Served]) -> Iterator[Any]:
    """Failed requests by reason."""
    family = Plain("nv_inference_request_failure", "Requests not answered", labels=(*LABELS, "reason"))
    for one in models:
        for reason in REASONS:
            family.add_metric((one.name, one.version, reason), one.stats.failures[reason])
    yield family


def gauge(name: str, text: str, models: list[Served], value: Callable[[Stats], float]) -> Any:
    """One gauge over all models."""
    family = GaugeMetricFamily(name, text, labels=LABELS)
    for one in models:
        family.add_metric((one.name, one.version), value(one.stats))
    return family


def variants(models: list[Served]) -> Any:
    """How often each variant answered, where a model has several."""
    family = CounterMetricFamily("aisle_variant_answers", "Requests given to a variant", labels=(*LABELS, "variant"))
    for one in models:
        for step in one.ladder.steps if one.ladder else ():
            family.add_metric((one.name, one.version, step.way.name), step.answered)
    return family


def engines(models: list[Served]) -> Iterator[Any]:
    """Which models wait for an engine, and how far one is built."""
    state = GaugeMetricFamily("aisle_engine_state", "1 for the state in which a model's engine is", labels=(*LABELS, "state"))
    part = GaugeMetricFamily("aisle_engine_build_part", "The part of an engine's building that is done", labels=LABELS)
    for one in models:
        if told := one.engine_state(0.0):
            state.add_metric((one.name, one.version, told["state"]), 1)
            if "part" in told:
                part.add_metric((one.name, one.version), told["part"])
    yield state
    yield part


def histogram(models: list[Served]) -> Any:
    """Latency of answered requests in seconds."""
    family = HistogramMetricFamily("aisle_request_seconds", "Latency of answered requests", labels=LABELS)
    for one in models:
        total, buckets = 0, []
        for bound, count in zip((*BUCKETS, float("inf")), one.stats.histogram, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else f"{bound:g}", total))
        family.add_metric((one.name, one.version), buckets=buckets, sum_value=one.stats.success.ns * 1e-9)
    return family


def machine() -> Iterator[Any]:
    """Memory of the machine and of this process."""
    info = {}
    path = Path("/proc/meminfo")
    if path.exists():
        info = {line.split(":")[0]: int(line.split()[1]) << 10 for line in path.read_text().splitlines()}
    pages = os.sysconf("SC_PAGE_SIZE")
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * pages if info else 0
    for name, text, value in (
        ("nv_cpu_memory_total_bytes", "Memory of the machine", info.get("MemTotal", 0)),
        ("nv_cpu_memory_used_bytes", "Memory in use", info.get("MemTotal", 0) - info.get("MemAvailable", 0)),
        ("aisle_process_resident_bytes", "Resident memory of this process", resident),
    ):
        family = GaugeMetricFamily(name, text)
        family.add_metric((), value)
        yield family


def metrics_text(served: Callable[[], list[Served]], server: Callable[[], dict[str, float]]) -> bytes:
    """The whole page."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(served, server))
    return generate_latest(registry)
