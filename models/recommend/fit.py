"""Fits a recommender on interactions: train, choose the blend, place cold items, measure, perhaps fit again on more."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .blend import AGES, Blend, choose, neighbours
from .encoder import Weights, encode, onnx
from .evaluate import PROTOCOL, Measured, Score, Split, leave_one_out, measure
from .format import Fitted, quantised
from .interactions import Interactions
from .network import Options, Progress, Trained, padded, train
from .place import learn_words

VALID_USERS = 5000         # are enough to stop early and to choose the blend
HALF_LIFE_S = 7 * 86400.0  # of what is trending


@dataclass(frozen=True)
class Result:
    """A recommender, its encoder's weights, and its figures on the test items (None where it was fitted on them, too)."""

    fitted: Fitted
    weights: Weights
    test: Measured | None
    report: Mapping[str, Any]

    def encoders(self) -> dict[str, bytes]:
        """The encoder's files by precision."""
        return {precision: onnx(self.weights, precision) for precision in ("fp32", "int8")}


def fit(data: Interactions, options: Options | None = None, *, refit: str = "no", texts: Mapping[str, str] | None = None,
        progress: Progress | None = None) -> Result:
    """The recommender of the data.

    It is trained without the last two items of each user, stopped early and blended by the last but one, and measured by
    the last. `refit` "valid" then trains again, as long and blended alike, with the last but one, and measures that;
    "all" with every event, which is what a shop wants to serve and nothing can be measured on any more: the figures told
    are those from before. `texts` by item id teach where an item lies that nobody has seen. ValueError where there is too
    little to learn from.
    """
    began = time.process_time()
    options = options or Options()
    split = leave_one_out(data)
    if len(split.users) < 10:
        raise ValueError(f"expected at least 10 users with three events or more, got {len(split.users)} of "
                         f"{len(data.users)}; give more interactions")
    judge = _Judge(split, options)
    trained = train(split.train, split.items, options, judge, progress)
    blend = judge.blend(trained.weights, trained.vectors)
    result = _result(data, split, split.train, trained, blend, options, texts)
    valid_s = time.process_time() - began
    result = _measured(result, split)
    report = {"protocol": PROTOCOL, "refit": "no", "seed": options.seed, "events": len(data.user), "users": len(data.users),
              "items": len(data.items), "data_sha256": data.digest(), "epochs": trained.epochs,
              "valid_ndcg": blend.with_it, "valid_ndcg_network_alone": blend.without, "strength": blend.strength,
              "fade": blend.fade, "cpu_s": valid_s} | _figures(result)
    if refit != "no":
        result = _again(data, split, refit, trained, blend, options, texts, progress)
        report |= {"refit": refit} | ({f"no_refit_{k}": report[k] for k in ("hit", "ndcg")} if refit == "valid" else {})
        report |= {"refit_cpu_s": time.process_time() - began - valid_s}
        if refit == "valid":
            result = _measured(result, split)
            report |= _figures(result)
    return replace(result, report=report, fitted=replace(result.fitted, report=report))


def _again(data: Interactions, split: Split, refit: str, trained: Trained, blend: Blend, options: Options,
           texts: Mapping[str, str] | None, progress: Progress | None) -> Result:
    sequences = split.refit() if refit == "valid" else data.sequences()
    again = train(sequences, split.items, options, None, progress, stop_after=trained.epochs)
    return _result(data, split, sequences, again, blend, options, texts)


def _figures(result: Result) -> dict[str, float]:
    return {} if result.test is None else {"hit": result.test.hit, "ndcg": result.test.ndcg}


class _Judge:
    """NDCG@10 of validation items while training, over some users; and the blend, over the same."""

    def __init__(self, split: Split, options: Options) -> None:
        rng = np.random.default_rng(options.seed)
        some = np.sort(rng.choice(len(split.users), min(VALID_USERS, len(split.users)), replace=False))
        self._near = neighbours(split.train, split.items)
        self.histories = [split.train[u] for u in split.users[some]]
        self.targets = split.valid[some]

    def __call__(self, weights: Weights, vectors: np.ndarray) -> float:
        return measure(lambda histories: tastes(weights, vectors, histories) @ vectors.T, self.histories, self.targets).ndcg

    def blend(self, weights: Weights, vectors: np.ndarray) -> Blend:
        return choose(self._near, tastes(weights, vectors, self.histories), vectors, self.histories, self.targets)


def tastes(weights: Weights, vectors: np.ndarray, histories: Sequence[np.ndarray]) -> np.ndarray:
    """The encoder's answers for histories of rows, float32 (histories, d)."""
    out = np.empty((len(histories), weights.depth), np.float32)
    for start in range(0, len(histories), 256):
        rows = padded(histories[start:start + 256], weights.length)
        out[start:start + 256] = encode(weights, np.where((rows >= 0)[..., None], vectors[rows], np.float32(0)))
    return out


def score(fitted: Fitted, weights: Weights, whole: bool = False) -> Score:
    """Scores as the server gives them; with `whole` table and taste are int8, as its kernel takes them."""
    ages = np.asarray(fitted.ages, np.float32)

    def scores(histories: Sequence[np.ndarray]) -> np.ndarray:
        from .blend import Near, added
        taste = tastes(weights, fitted.vectors, histories)
        near = Near(fitted.near, fitted.near_count, fitted.near_weight)
        return product(taste, fitted.vectors, whole) + added(near, histories, ages, len(fitted.ids))
    return scores


def product(taste: np.ndarray, vectors: np.ndarray, whole: bool) -> np.ndarray:
    """taste @ vectors.T, float32 (users, items); with `whole` of both as int8 (the sums stay below 2**24: exact)."""
    if not whole:
        return taste @ vectors.T
    (left, left_scale), (right, right_scale) = quantised(taste), quantised(vectors)
    found = left.astype(np.float32) @ right.astype(np.float32).T
    return found * left_scale[:, None] * right_scale


def _measured(result: Result, split: Split) -> Result:
    return replace(result, test=measure(score(result.fitted, result.weights), split.before("test"), split.test))


def _result(data: Interactions, split: Split, sequences: Sequence[np.ndarray], trained: Trained, blend: Blend,
            options: Options, texts: Mapping[str, str] | None) -> Result:
    near = neighbours(sequences, split.items)
    seen = np.bincount(np.concatenate(sequences), minlength=split.items).astype(np.uint32)
    words = learn_words(data.items, trained.vectors, seen, texts or {})
    fitted = Fitted(data.items, trained.vectors, seen, trending(data), near.item, near.count,
                    near.weight * np.float32(blend.strength), words, options.length,
                    tuple((blend.fade ** np.arange(min(AGES, options.length))).tolist()))
    return Result(fitted, trained.weights, None, {})


def trending(data: Interactions) -> np.ndarray:
    """Events of each item, each halved for every half-life before the newest one: float32 (items,).

    Without times the order in the file says nothing of what is new, so that every event counts whole.
    """
    if data.time is None:
        return np.bincount(data.item, minlength=len(data.items)).astype(np.float32)
    weight = np.exp2((data.time - data.time.max()) / HALF_LIFE_S)
    return np.bincount(data.item, weight, len(data.items)).astype(np.float32)
