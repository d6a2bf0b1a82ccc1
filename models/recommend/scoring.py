"""Scores as the server gives them, for many histories at once: what a fit is measured by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .blend import Near, added
from .encoder import Weights, encode
from .evaluate import ROWS, Score
from .format import Fitted, quantised
from .network import padded

# histories float32 (users, length, d) -> tastes float32 (users, d)
Encoder = Callable[[np.ndarray], np.ndarray]


def tastes(encoder: Encoder, length: int, vectors: np.ndarray, histories: Sequence[np.ndarray]) -> np.ndarray:
    """The encoder's answers for histories of rows, float32 (histories, d)."""
    out = np.empty((len(histories), vectors.shape[1]), np.float32)
    for start in range(0, len(histories), ROWS):
        rows = padded(histories[start:start + ROWS], length)
        out[start:start + ROWS] = encoder(np.where((rows >= 0)[..., None], vectors[rows], np.float32(0)))
    return out


def score(fitted: Fitted, encoder: Weights | Encoder, whole: bool = False) -> Score:
    """Taste by table plus bonus; with `whole` table and taste are int8, as the server's kernel takes them."""
    ages = np.asarray(fitted.ages, np.float32)
    near = Near(fitted.near, fitted.near_count, fitted.near_weight)
    run: Encoder = (lambda given: encode(encoder, given)) if isinstance(encoder, Weights) else encoder

    def scores(histories: Sequence[np.ndarray]) -> np.ndarray:
        taste = tastes(run, fitted.length, fitted.vectors, histories)
        return product(taste, fitted.vectors, whole) + added(near, histories, ages, len(fitted.ids))
    return scores


def product(taste: np.ndarray, vectors: np.ndarray, whole: bool) -> np.ndarray:
    """taste @ vectors.T, float32 (users, items); with `whole` of both as int8 (the sums stay below 2**24: exact)."""
    if not whole:
        return taste @ vectors.T
    (left, left_scale), (right, right_scale) = quantised(taste), quantised(vectors)
    found = left.astype(np.float32) @ right.astype(np.float32).T
    return found * left_scale[:, None] * right_scale
