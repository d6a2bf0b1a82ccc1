"""Fits a recommender on interactions: train, choose the blend, place cold items, measure, perhaps fit again on more."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .blend import AGES, Blend, Near, choose, neighbours
from .encoder import Weights, encode, onnx
from .evaluate import PROTOCOL, Measured, Split, leave_one_out, measure
from .format import Fitted
from .interactions import Interactions
from .network import Options, Progress, Trained, train
from .place import DOUBTS, learn_words, mixed
from .scoring import score, tastes

VALID_USERS = 5000         # are enough to stop early and to choose the blend
LEAST_USERS = 10
HALF_LIFE_S = 7 * 86400.0  # of what is trending
REFITS = ("no", "valid", "all")


@dataclass(frozen=True)
class Result:
    """A recommender, its encoder's weights, and its figures on the test items (None where it was fitted on them, too)."""

    fitted: Fitted
    weights: Weights
    test: Measured | None = None
    report: Mapping[str, Any] = field(default_factory=dict)

    def encoders(self) -> dict[str, bytes]:
        """The encoder's files by precision."""
        return {precision: onnx(self.weights, precision) for precision in ("fp32", "int8")}


@dataclass(frozen=True)
class Plan:
    """What the validation items decided: epochs, the blend, and how much a rarely seen item is doubted."""

    epochs: int
    blend: Blend
    doubt: float


def fit(data: Interactions, options: Options | None = None, *, refit: str = "no", texts: Mapping[str, str] | None = None,
        progress: Progress | None = None) -> Result:
    """The recommender of the data.

    It is trained without the last two items of each user, stopped early and blended by the last but one, and measured by
    the last. `refit` "valid" then trains again by the same plan with the last but one, too, and measures that; "all" with
    every event, which is what a shop wants to serve and nothing can be measured on any more: the figures told are those
    from before. `texts` by item id teach where an item lies that nobody has seen. ValueError where there is too little
    to learn from.
    """
    job = _Job(data, options or Options(), texts or {}, progress, 1 if refit == "no" else 2)
    began = time.process_time()
    result, plan = job.first()
    report = job.about() | {"refit": "no", "epochs": plan.epochs, "strength": plan.blend.strength, "fade": plan.blend.fade,
                            "doubt": plan.doubt, "valid_ndcg": plan.blend.with_it,
                            "valid_ndcg_network_alone": plan.blend.without, "cpu_s": time.process_time() - began}
    result = job.measured(result)
    report |= figures(result)
    if refit != "no":
        began = time.process_time()
        result = job.again(plan, job.split.refit() if refit == "valid" else data.sequences())
        report |= {"refit": refit, "refit_cpu_s": time.process_time() - began}
    if refit == "valid":
        result = job.measured(result)
        report |= {"no_refit_hit": report["hit"], "no_refit_ndcg": report["ndcg"]} | figures(result)
    return replace(result, report=report, fitted=replace(result.fitted, report=report))


def figures(result: Result) -> dict[str, float]:
    """HR@10 and NDCG@10 on the test items."""
    return {} if result.test is None else {"hit": result.test.hit, "ndcg": result.test.ndcg}


class _Job:
    """One call of `fit`: the data and its split, and the users that validate."""

    def __init__(self, data: Interactions, options: Options, texts: Mapping[str, str], progress: Progress | None,
                 turns: int) -> None:
        self.data, self.options, self.texts, self.progress, self.turns = data, options, texts, progress, turns
        self.split: Split = leave_one_out(data)
        if len(self.split.users) < LEAST_USERS:
            raise ValueError(f"expected at least {LEAST_USERS} users with three events or more, got {len(self.split.users)} of "
                             f"{len(data.users)}; give more interactions")
        if not any(len(history) >= 2 for history in self.split.train):
            raise ValueError("two events of each user are held out, and no user has two more to learn from; give longer "
                             "histories: five events a user are a useful start")
        users = len(self.split.users)
        some = np.sort(np.random.default_rng(options.seed).choice(users, min(VALID_USERS, users), replace=False))
        self.histories = [self.split.train[u] for u in self.split.users[some]]
        self.targets = self.split.valid[some]

    def about(self) -> dict[str, Any]:
        """What was fitted, and how it is measured."""
        return {"protocol": PROTOCOL, "seed": self.options.seed, "events": len(self.data.user), "users": len(self.data.users),
                "items": len(self.data.items), "data_sha256": self.data.digest()}

    def first(self) -> tuple[Result, Plan]:
        """Trained without the last two items of each user, and what the last but one decided."""
        trained = train(self.split.train, self.split.items, self.options, self._validate, self._part(0))
        near = neighbours(self.split.train, self.split.items)
        doubt, vectors, words = self._place(trained, self.split.train, DOUBTS)
        blend = choose(near, self._tastes(trained.weights, vectors, self.histories), vectors, self.histories, self.targets)
        plan = Plan(trained.epochs, blend, doubt)
        return self._result(trained, vectors, words, near, self.split.train, blend), plan

    def again(self, plan: Plan, sequences: Sequence[np.ndarray]) -> Result:
        """Trained on these sequences by the same plan."""
        trained = train(sequences, self.split.items, self.options, None, self._part(1), stop_after=plan.epochs)
        _, vectors, words = self._place(trained, sequences, (plan.doubt,))
        return self._result(trained, vectors, words, neighbours(sequences, self.split.items), sequences, plan.blend)

    def measured(self, result: Result) -> Result:
        """With its figures on the test items."""
        return replace(result, test=measure(score(result.fitted, result.weights), self.split.before("test"), self.split.test))

    def _part(self, turn: int) -> Progress | None:
        """Progress of the first or second training as a part of the whole."""
        tell, turns = self.progress, self.turns
        return None if tell is None else lambda part, text: tell((turn + part) / turns, text)

    def _validate(self, weights: Weights, vectors: np.ndarray) -> float:
        return measure(lambda some: self._tastes(weights, vectors, some) @ vectors.T, self.histories, self.targets).ndcg

    def _tastes(self, weights: Weights, vectors: np.ndarray, histories: Sequence[np.ndarray]) -> np.ndarray:
        return tastes(lambda given: encode(weights, given), weights.length, vectors, histories)

    def _place(self, trained: Trained, sequences: Sequence[np.ndarray],
               doubts: Sequence[float]) -> tuple[float, np.ndarray, np.ndarray]:
        """Where texts place items, and how much of it helps: (doubt, vectors, words)."""
        seen = np.bincount(np.concatenate(sequences), minlength=self.split.items)
        words = learn_words(self.data.items, trained.vectors, seen, self.texts)
        tables = {doubt: mixed(self.data.items, trained.vectors, seen, self.texts, words, doubt)
                  for doubt in (doubts if len(words) else doubts[:1])}
        best = max(tables, key=lambda doubt: self._validate(trained.weights, tables[doubt])) if len(tables) > 1 else doubts[0]
        return best, tables[best], words

    def _result(self, trained: Trained, vectors: np.ndarray, words: np.ndarray, near: Near,
                sequences: Sequence[np.ndarray], blend: Blend) -> Result:
        seen = np.bincount(np.concatenate(sequences), minlength=self.split.items).astype(np.uint32)
        ages = blend.fade ** np.arange(min(AGES, self.options.length))
        fitted = Fitted(self.data.items, vectors, seen, trending(self.data), near.item, near.count,
                        near.weight * np.float32(blend.strength), words, self.options.length, tuple(ages.tolist()))
        return Result(fitted, trained.weights)


def trending(data: Interactions) -> np.ndarray:
    """Events of each item, each halved for every half-life before the newest one: float32 (items,).

    Without times the order in the file says nothing of what is new, so that every event counts whole.
    """
    if data.time is None:
        return np.bincount(data.item, minlength=len(data.items)).astype(np.float32)
    weight = np.exp2((data.time - data.time.max()) / HALF_LIFE_S)
    return np.bincount(data.item, weight, len(data.items)).astype(np.float32)
