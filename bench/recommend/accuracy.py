"""How well the recommender finds the next item, beside what every recommender must beat, all by one script and one protocol."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from ...models.recommend import baselines
from ...models.recommend.encoder import INPUT, OUTPUT
from ...models.recommend.evaluate import PROTOCOL, Measured, Score, Split, leave_one_out, measure
from ...models.recommend.format import ENCODERS, load
from ...models.recommend.scoring import score
from ..report import Options, Row
from . import training
from .data import DataSet, data_sets

SEEDS = (1, 2, 3)
BUDGET_S = 300
GOALS = {"no": (0.085, 0.052), "valid": (0.100, 0.062)}      # HR@10, NDCG@10 on Beauty 5-core
BCE = {"loss": "bce", "dropout": 0.2, "rate": 1e-3, "epochs": 60, "patience": 8, "seed": 1}
QUICK = {"epochs": 6}
WHOLE = {"candidates": 12_288}      # of a whole file with its thousands of items that were seen once


def run(options: Options) -> Iterator[Row]:
    """All data sets in turn: baselines, the plain SASRec, ours without and with the refit, int8."""
    for one in data_sets(options.data, options.quick):
        if options.only in (None, "accuracy") or options.wants(f"accuracy {one.name}"):
            yield from rows(one, options.quick)


@dataclass(frozen=True)
class _Case:
    """A data set with its split and the note that stands in all its rows."""

    one: DataSet
    split: Split
    note: str

    def row(self, metric: str, value: float | None, note: str = "", **more: Any) -> Row:
        return Row(f"accuracy {self.one.name}", metric, value, note=f"{note}{'; ' if note else ''}{self.note}", **more)

    def pair(self, name: str, found: Measured | dict[str, float], note: str) -> Iterator[Row]:
        """HR@10 and NDCG@10 of something that is no goal of ours."""
        hit, ndcg = (found.hit, found.ndcg) if isinstance(found, Measured) else (found["hit"], found["ndcg"])
        yield self.row(f"HR@10 {name}", hit, note)
        yield self.row(f"NDCG@10 {name}", ndcg, note)


def rows(one: DataSet, quick: bool) -> Iterator[Row]:
    """All rows of a data set."""
    data = one.data
    split = leave_one_out(data)
    case = _Case(one, split, f"{len(data.users):,} users, {len(data.items):,} items, {len(data.user):,} events ({one.made}); "
                 f"{PROTOCOL}")
    best = ("", 0.0, 0.0)
    for name, found, note in simple(case):
        yield from ([case.row(f"HR@10 {name}", None, note)] if found is None else case.pair(name, found, note))
        if found is not None and found.ndcg > best[2]:
            best = (name, found.hit, found.ndcg)
    python, missing = training.trainer(quick)
    if missing:
        yield case.row("HR@10", None, missing)
        return
    with tempfile.TemporaryDirectory() as folder:
        if not quick:
            yield from bce(case, python, Path(folder))
        yield from ours(case, python, Path(folder), quick, best)


def simple(case: _Case) -> Iterator[tuple[str, Measured | None, str]]:
    """Baselines that need no training: (name, figures or None, note). Learnt from what is before the validation item."""
    split = case.split
    before, test = split.before("test"), split.test
    makers: dict[str, Callable[[Sequence[np.ndarray], int], Score]] = {
        "popularity": baselines.popularity, "item-kNN": baselines.item_knn, "VSKNN": baselines.vsknn}
    for name, make in makers.items():
        began = time.process_time()
        found = measure(make(split.train, split.items), before, test)
        yield name, found, f"trained on train only; {time.process_time() - began:.0f} CPU s with the measurement"
    if case.one.data.time is None:
        yield "popularity of the last week", None, ("the file has no times, only each user's order, so nobody knows what the "
                                                    "last week is")
        return
    yield "popularity of the last week", measure(last_week(case), before, test), "trained on train only"


def last_week(case: _Case) -> Score:
    """Events of the seven days before the newest training event."""
    data, time_ = case.one.data, case.one.data.time
    assert time_ is not None
    held = np.zeros(len(data.user), bool)
    ends = data.first[1:][case.split.users]
    held[ends - 1] = held[ends - 2] = True
    newest = ~held & (time_ >= time_[~held].max() - baselines.WEEK_S)
    return baselines.constant(np.bincount(data.item[newest], minlength=case.split.items).astype(np.float32))


def bce(case: _Case, python: str, folder: Path) -> Iterator[Row]:
    """SASRec as first published."""
    found = training.run(python, case.one.data, {"what": "plain", "options": BCE}, folder, f"{case.one.name}: SASRec, BCE")
    if "error" in found:
        yield case.row("HR@10 SASRec BCE", None, found["error"])
        return
    yield from case.pair("SASRec BCE", found, f"one random negative for each event, {found['epochs']} epochs, "
                         f"{found['cpu_s']:.0f} CPU s, one seed, trained on train only")


def ours(case: _Case, python: str, folder: Path, quick: bool, best: tuple[str, float, float]) -> Iterator[Row]:
    """Three seeds without and with the refit; a data set that is not a main one gets one seed and no refit."""
    seeds = SEEDS if case.one.main and not quick else SEEDS[:1]
    refit = "valid" if case.one.main else "no"
    found: list[dict[str, Any]] = []
    for seed in seeds:
        more = (QUICK if quick else {}) | ({} if case.one.main else WHOLE)
        job = {"what": "ours", "options": {"seed": seed, **more}, "refit": refit}
        bundle = None if found else folder / "bundle"
        found.append(training.run(python, case.one.data, job, folder, f"{case.one.name}: ours, seed {seed}", bundle))
        if "error" in found[-1]:
            yield case.row("HR@10", None, found[-1]["error"])
            return
    told = f"mean and range of {len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    if not case.one.main and case.split.items > WHOLE["candidates"]:
        told += f", each batch against {WHOLE['candidates']:,} of the items"
    yield from figures(case, found, "no_refit_" if refit == "valid" else "", f"trained on train only, {told}", best)
    if refit == "valid":
        yield from figures(case, found, "", f"refit on train + validation, {told}", ("", 0.0, 0.0))
    yield cost(case, [one["cpu_s"] for one in found], "CPU seconds, train only", told)
    if refit == "valid":
        yield cost(case, [one["cpu_s"] + one["refit_cpu_s"] for one in found], "CPU seconds, train and refit", told)
    loss = [100 * (1 - one["int8_ndcg"] / one["ndcg"]) for one in found]
    yield case.row("NDCG@10 loss of int8 table and query", mean(loss), f"relative to FP32, {told}", unit="%",
                   spread=spread(loss), goal="<= 0.5 %", met=mean(loss) <= 0.5)
    yield served(case, folder / "bundle", found[0]["ndcg"])


def served(case: _Case, bundle: Path, wanted: float) -> Row:
    """The first seed's bundle as a server opens it: its INT8 encoder in ONNX Runtime, too."""
    metric, note = "NDCG@10 loss of int8 encoder, table and query", "the bundle's INT8 file run by ONNX Runtime, first seed"
    if importlib.util.find_spec("onnxruntime") is None:
        return case.row(metric, None, "ONNX Runtime is not installed here", unit="%")
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(bundle / ENCODERS["int8"], settings, providers=["CPUExecutionProvider"])
    scores = score(load(bundle), lambda given: session.run([OUTPUT], {INPUT: given})[0], whole=True)
    found = measure(scores, case.split.before("test"), case.split.test)
    loss = 100 * (1 - found.ndcg / wanted)
    return case.row(metric, loss, note, unit="%", goal="<= 0.5 %", met=loss <= 0.5)


def figures(case: _Case, found: list[dict], prefix: str, note: str, best: tuple[str, float, float]) -> Iterator[Row]:
    """HR@10 and NDCG@10 over seeds, against the goal of Beauty, or beside the best baseline."""
    refit = "valid" if "refit on" in note else "no"
    for place, (metric, key) in enumerate((("HR@10", "hit"), ("NDCG@10", "ndcg"))):
        values = [one[prefix + key] for one in found]
        goal = GOALS[refit][place] if case.one.beauty else None
        peer = best[1 + place] if best[0] else None
        yield case.row(metric + (" refit" if refit == "valid" else ""), mean(values), note, spread=spread(values),
                       peer=best[0] or None, peer_value=peer, ratio=mean(values) / peer if peer else None,
                       goal=f">= {goal}" if goal else None, met=None if goal is None else mean(values) >= goal)


def cost(case: _Case, seconds: list[float], metric: str, note: str) -> Row:
    """CPU seconds of one core, reading and measuring the test aside."""
    goal = {"goal": f"< {BUDGET_S} s", "met": max(seconds) < BUDGET_S} if case.one.beauty else {}
    return case.row(metric, mean(seconds), f"{note}; process time of one thread, early stopping and blending included",
                    unit="s", spread=spread(seconds), **goal)


def spread(values: Sequence[float]) -> float | None:
    """Greatest less least; None of one value."""
    return max(values) - min(values) if len(values) > 1 else None
