"""The metrics page under Triton's names, parsed by a stock parser."""

from types import SimpleNamespace

from aisle.runtime.metrics import metrics_text
from aisle.runtime.stats import Stats
from prometheus_client.parser import text_string_to_metric_families


def page(stats: Stats, **engine: object) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    served = SimpleNamespace(name="m", version="1", stats=stats, ladder=None, engine_state=lambda now: engine)
    text = metrics_text(lambda: [served], lambda: {"aisle_ready": 1.0}).decode()
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in text_string_to_metric_families(text) for s in family.samples}


LABELS = (("model", "m"), ("version", "1"))


def test_names_and_values() -> None:
    stats = Stats()
    stats.ok(3, 5_000_000, 1_000_000, 500_000, 2_000_000, 500_000)
    stats.executed(3, 500_000, 2_000_000, 500_000)
    stats.failed("REJECTED", 10, late=True)
    found = page(stats)
    assert found["nv_inference_request_success", LABELS] == 1
    assert found["nv_inference_count", LABELS] == 3
    assert found["nv_inference_exec_count", LABELS] == 1
    assert found["nv_inference_request_duration_us", LABELS] == 5000
    assert found["nv_inference_queue_duration_us", LABELS] == 1000
    assert found["nv_inference_compute_infer_duration_us", LABELS] == 2000
    assert found["nv_inference_request_failure", (("model", "m"), ("reason", "REJECTED"), ("version", "1"))] == 1
    assert found["aisle_deadline_missed_total", LABELS] == 1
    assert found["aisle_overhead_us", LABELS] == 1000
    assert found["aisle_ready", ()] == 1
    assert found["nv_cpu_memory_total_bytes", ()] > 0


def test_the_histogram_is_cumulative_and_complete() -> None:
    stats = Stats()
    for ns in (1, 150_000, 10_000_000, 100_000_000_000):
        stats.ok(1, ns, 0, 0, 0, 0)
    found = page(stats)
    buckets = [v for (name, labels), v in found.items() if name == "aisle_request_seconds_bucket"]
    assert buckets == sorted(buckets) and buckets[-1] == 4
    assert found["aisle_request_seconds_count", LABELS] == 4
    assert (("le", "+Inf"), *LABELS) in {labels for name, labels in found if name.endswith("_bucket")}


def test_overhead_is_never_negative() -> None:
    stats = Stats()
    stats.ok(1, 100, 90, 90, 90, 90)
    assert stats.overhead_ns == 0


def test_a_model_that_waits_for_an_engine_says_so_and_how_far_it_is() -> None:
    found = page(Stats(), state="building", part=0.25)
    assert found["aisle_engine_state", (("model", "m"), ("state", "building"), ("version", "1"))] == 1
    assert found["aisle_engine_build_part", LABELS] == 0.25
    assert not any(name.startswith("aisle_engine") for name, _ in page(Stats()))
