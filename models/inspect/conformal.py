"""Thresholds that come with a promise: how many good parts will be rejected, on average and at most.

All rests on one assumption: parts to come are drawn like the parts that were shown. The scores must be leave-one-out
scores; those of a memory that has seen the part itself are near 0 and promise nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, lgamma, log, log1p

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Promise:
    """A threshold and what holds for it: shares of good parts rejected, 0..1."""

    threshold: float
    rank: int           # the threshold is the rank-th lowest of the n scores
    average: float      # expected share, over all ways to draw the parts shown
    bound: float        # the share is no larger than this with 95 % confidence


def rank(n: int, alpha: float) -> int:
    """Which of n sorted scores (1 the lowest) keeps the average share of false rejects at alpha; n if none does."""
    if n < 1 or not 0 < alpha < 1:
        raise ValueError(f"expected at least one score and 0 < alpha < 1, got {n} and {alpha}")
    return min(n, ceil((n + 1) * (1 - alpha) - 1e-9))


def average(n: int, at: int) -> float:
    """Expected share of good parts above the at-th lowest of n scores."""
    return (n + 1 - at) / (n + 1)


def _log_term(n: int, k: int, share: float) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(share) + (n - k) * log1p(-share)


def bound(n: int, at: int, confidence: float = CONFIDENCE) -> float:
    """Share of good parts above the at-th lowest of n scores that is not exceeded with `confidence`.

    It is the share s at which seeing at most n - at of n parts above the line has probability 1 - confidence.
    """
    if at == n:
        return 1 - (1 - confidence) ** (1 / n)
    low, high = 0.0, 1.0
    for _ in range(60):
        share = (low + high) / 2
        if sum(exp(_log_term(n, k, share)) for k in range(n - at + 1)) > 1 - confidence:
            low = share
        else:
            high = share
    return high


def promise(scores: Sequence[float], alpha: float) -> Promise:
    """The threshold for leave-one-out `scores` of good parts at average share `alpha`, with both promises.

    Where there are too few scores for alpha, the threshold is the highest score and the promises say what that keeps.
    """
    ordered = sorted(float(s) for s in scores)
    if not ordered or any(s != s for s in ordered):
        raise ValueError(f"expected one or more scores that are numbers, got {len(ordered)} with NaN among them or none")
    at = rank(len(ordered), alpha)
    return Promise(ordered[at - 1], at, average(len(ordered), at), bound(len(ordered), at))
