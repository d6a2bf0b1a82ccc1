"""Answers of several workers become one: numbers add up, lists come together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

NEWEST = frozenset(("last_inference",))          # of these the largest counts
MEAN = frozenset(("aisle_overhead_ns",))




def merge_stats(told: Sequence[Any]) -> Any:
    """OIP statistics: the counters of a model's version added up over the workers."""
    if (wrong := failed(told)) is not None:
        return wrong
    models: dict[tuple[str, str], dict[str, Any]] = {}
    for answer in told:
        for one in orjson.loads(answer.body)["model_stats"]:
            key = one["name"], one["version"]
            models[key] = added(models[key], one) if key in models else one
    for one in models.values():
        for name in MEAN & one.keys():
            one[name] //= len(told)
    return with_body(told[0], {"model_stats": [models[key] for key in sorted(models)]})


def added(a: Any, b: Any, name: str = "") -> Any:
    """Two statistics of the same form as one."""
    if isinstance(a, dict):
        return {key: added(a[key], b[key], key) if key in a and key in b else a.get(key, b.get(key)) for key in {**a, **b}}
    if isinstance(a, list):
        return batches(a, b)
    if isinstance(a, (int, float)) and not isinstance(a, bool):
        return max(a, b) if name in NEWEST else a + b
    return a


def batches(a: list[Any], b: list[Any]) -> list[Any]:
    """Statistics by batch size; any other lists one after the other."""
    if not all(isinstance(one, dict) and "batch_size" in one for one in (*a, *b)):
        return [*a, *b]
    by: dict[int, dict[str, Any]] = {}
    for one in (*a, *b):
        size = one["batch_size"]
        by[size] = {**added(by[size], one), "batch_size": size} if size in by else one
    return [by[size] for size in sorted(by)]


def merge_recent(told: Sequence[Any]) -> Any:
    """The newest answers of a station, whoever gave them; as many as one worker would tell."""
    if (wrong := failed(told)) is not None:
        return wrong
    lists = [orjson.loads(answer.body)["recent"] for answer in told]
    most = max(map(len, lists))
    newest = sorted((entry for one in lists for entry in one), key=lambda entry: entry.get("at", ""), reverse=True)
    return with_body(told[0], {"recent": newest[:most]})


def merge_metrics(told: Sequence[Any]) -> Any:
    """Every worker's samples under a label `worker`, each family once."""
    if (wrong := failed(told)) is not None:
        return wrong
    families: dict[str, list[str]] = {}          # what is said of a family -> its samples
    for number, answer in enumerate(told):
        head: list[str] = []
        for line in answer.body.decode().splitlines():
            if line.startswith("#"):
                head = [line] if line.startswith("# HELP") else [*head, line]
            elif line:
                families.setdefault("\n".join(head), []).append(labelled(line, number))
    text = "".join("\n".join([head, *samples]) + "\n" for head, samples in families.items())
    return type(told[0])(told[0].status, told[0].headers, text.encode())


def labelled(sample: str, worker: int) -> str:
    """A sample with one label more."""
    name, brace, rest = sample.partition("{")
    if brace:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'


def failed(told: Sequence[Any]) -> Any | None:
    """The first answer that is no success."""
    return next((answer for answer in told if answer.status != 200), None)


def with_body(answer: Any, document: dict[str, Any]) -> Any:
    """The same answer with another body."""
    return type(answer)(answer.status, answer.headers, orjson.dumps(document))
