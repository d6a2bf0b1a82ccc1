"""A made-up shop of any size: items with vectors of a mixture of tastes, so that ways to find them have something to find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...models.bundle import Bundle
from ...models.recommend.encoder import Weights, onnx
from ...models.recommend.format import Fitted, save
from ...models.shop.item import Item
from ...models.shop.make import make_shop

DEPTH, LENGTH, TASTES, NEAR = 64, 50, 256, 20
MATERIALS, USES = ("leather", "cotton", "wool", "canvas", "rubber"), ("rain", "walk", "home", "work", "sport", "travel")


def vectors(rng: np.random.Generator, n: int, spread: float = 0.6) -> np.ndarray:
    """Unit vectors, float32 (n, DEPTH), around TASTES centres."""
    centres = rng.standard_normal((TASTES, DEPTH))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    found = centres[rng.integers(0, TASTES, n)] + spread / 8 * rng.standard_normal((n, DEPTH))
    made: np.ndarray = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return made


def items(rng: np.random.Generator, n: int) -> list[Item]:
    """Items with prices, stock, 40 categories, 300 brands and three facets."""
    draw = rng.integers(0, [40, 300, 20, len(MATERIALS), len(USES), 12], (n, 6)).tolist()
    price = np.round(rng.uniform(3, 300, n), 2).tolist()
    return [Item(f"item-{i}", f"Thing {i} of {MATERIALS[m]}", category=f"Department {c % 8}/Shelf {c}", brand=f"Brand {b}",
                 price=price[i], stock=s, margin=b % 10 / 20,
                 attributes={"material": MATERIALS[m], "use": USES[u], "size": float(36 + z)})
            for i, (c, b, s, m, u, z) in enumerate(draw)]


def weights(rng: np.random.Generator, d: int = DEPTH, length: int = LENGTH) -> Weights:
    """An untrained encoder of the size of a trained one: what it costs does not depend on what it learnt."""
    def drawn(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / 8).astype(np.float32)
    one, none = np.ones(d, np.float32), np.zeros(d, np.float32)
    return Weights(drawn(length, d), one, none, drawn(d, d), none, drawn(d, d), none, drawn(d, d), none, drawn(d, d), none,
                   one, none, drawn(d, 2 * d), np.zeros(2 * d, np.float32), drawn(2 * d, d), none, one, none)


def fitted(rng: np.random.Generator, ids: Sequence[str]) -> Fitted:
    """A recommender with drawn neighbours and counts."""
    n = len(ids)
    near = rng.integers(0, n, (n, NEAR), dtype=np.int32)
    count = np.sort(rng.integers(1, 40, (n, NEAR)).astype(np.uint32), axis=1)[:, ::-1].copy()
    seen, trend = rng.integers(1, 500, n).astype(np.uint32), rng.random(n, np.float32)
    return Fitted(tuple(ids), vectors(rng, n), seen, trend, near, count, (count / 40).astype(np.float32),
                  np.zeros((0, DEPTH), np.float32), LENGTH, tuple(0.8**a for a in range(20)), True)


def shop(folder: Path, n: int, *, seed: int = 0, name: str = "corner") -> Bundle:
    """The bundle of a shop of n items with an encoder, in `folder`/models/NAME; the fit lies beside the models."""
    rng = np.random.default_rng(seed)
    made = items(rng, n)
    save(fitted(rng, [item.id for item in made]), {"fp32": onnx(weights(rng))}, folder / "fit", "fit")
    return make_shop(made, folder / "models" / name, name, fit=folder / "fit")
