"""Answers of several workers put together: nothing counted twice, nothing lost."""

import json
from dataclasses import dataclass
from typing import Any

import orjson
from aisle.runtime.stats import Stats
from aisle.runtime.transports.http.merge import added, labelled, merge_metrics, merge_recent, merge_stats
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Told:
    status: int
    headers: Any
    body: bytes


def stats(runs: list[tuple[int, int]]) -> dict:
    """What a model's counters say after runs of (rows, ns)."""
    kept = Stats()
    for rows, ns in runs:
        kept.executed(rows, ns, 2 * ns, 3 * ns)
        kept.ok(rows, 10 * ns, ns, ns, 2 * ns, 3 * ns)
    return {"name": "m", "version": "1", **kept.as_triton()}


RUNS = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 10**6)), max_size=8)


@given(st.lists(RUNS, min_size=1, max_size=4))
def test_counters_of_workers_add_up_to_those_of_one(split: list[list[tuple[int, int]]]) -> None:
    merged = merge_stats([Told(200, {}, orjson.dumps({"model_stats": [stats(runs)]})) for runs in split])
    (got,) = json.loads(merged.body)["model_stats"]
    want = json.loads(orjson.dumps(stats([run for runs in split for run in runs])))
    for key in ("last_inference", "aisle_overhead_ns"):
        got.pop(key), want.pop(key)
    assert got == want


def test_a_model_that_only_one_worker_has_is_told() -> None:
    two = [Told(200, {}, orjson.dumps({"model_stats": [{**stats([(1, 5)]), "name": name}]})) for name in ("b", "a")]
    assert [m["name"] for m in json.loads(merge_stats(two).body)["model_stats"]] == ["a", "b"]


def test_an_error_of_one_is_the_answer_of_all() -> None:
    good, bad = Told(200, {}, orjson.dumps({"model_stats": []})), Told(404, {}, b'{"error": "no"}')
    assert merge_stats([good, bad]) is bad and merge_recent([bad, good]) is bad and merge_metrics([good, bad]) is bad


def test_texts_stay_and_the_newest_moment_counts() -> None:
    assert added({"a": "x", "last_inference": 5, "n": 1, "only": 2}, {"a": "x", "last_inference": 3, "n": 4}) == {
        "a": "x", "last_inference": 5, "n": 5, "only": 2}


def test_recent_answers_are_the_newest_of_all_and_no_more_than_asked() -> None:
    told = [Told(200, {}, orjson.dumps({"recent": [{"at": at} for at in moments]}))
            for moments in (["2026-03", "2026-01"], ["2026-04", "2026-02"])]
    assert [e["at"] for e in json.loads(merge_recent(told).body)["recent"]] == ["2026-04", "2026-03"]


def test_every_sample_says_whose_it_is_and_each_family_is_there_once() -> None:
    page = ("# HELP a_total Of a\n# TYPE a_total counter\na_total{model=\"x}y\"} 1.0\n# HELP up Whether\n# TYPE up gauge\n"
            "up 1.0\n")
    text = merge_metrics([Told(200, {}, page.encode())] * 2).body.decode()
    assert text.count("# HELP") == 2 and text.count("# TYPE") == 2
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert [s.labels for s in families["up"].samples] == [{"worker": "0"}, {"worker": "1"}]
    assert [s.labels for s in families["a"].samples] == [{"worker": w, "model": "x}y"} for w in "01"]
    assert labelled("up 1.0", 3) == 'up{worker="3"} 1.0'
