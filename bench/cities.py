"""A made city: streets like a real one's in number, degree and bends, so that anyone can repeat a figure without a map."""

from __future__ import annotations

import numpy as np


def city(nodes: int, seed: int = 7) -> dict[str, np.ndarray]:
    """Arcs of a street network of about `nodes` nodes: tail, head int32; x, y float64 in metres; weights uint32 in dm.

    Crossings lie on a lattice of 100 m, moved by up to 30 m; a third of the streets is left out, in some districts
    more; two rivers have a bridge every 1.5 km; streets bend, so that two thirds of the nodes have degree 2 as in
    OpenStreetMap. Every street runs both ways with one length, which suits no method that lives on fast roads.
    """
    rng = np.random.default_rng(seed)
    side = max(int(np.sqrt(nodes / 2.2)), 2)
    at = np.arange(side * side, dtype=np.int64).reshape(side, side)
    y, x = (v.astype(float) * 100 for v in np.divmod(np.arange(side * side), side))
    x, y = x + rng.uniform(-30, 30, len(x)), y + rng.uniform(-30, 30, len(y))
    streets = np.concatenate([np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], 1),
                              np.stack([at[:-1].ravel(), at[1:].ravel()], 1)])
    # Districts: waves of denser and sparser blocks.
    wave = np.sin(x[streets[:, 0]] / 1900) * np.sin(y[streets[:, 0]] / 2300)
    streets = streets[rng.random(len(streets)) > 0.34 + 0.1 * wave]
    for axis, other, size in ((x, y, 3100), (y, x, 4700)):
        bank = axis > axis.max() / 2 + 1500 * np.sin(other / size)
        crossing = bank[streets[:, 0]] != bank[streets[:, 1]]
        streets = streets[~crossing | (other[streets[:, 0]] % 1500 < 100)]
    streets = streets[largest(side * side, streets)[streets[:, 0]]]
    streets, x, y = bend(rng, streets, x, y)
    used, flat = np.unique(streets, return_inverse=True)
    ends = flat.reshape(-1, 2).astype(np.int32)
    x, y = x[used], y[used]
    length = np.maximum(np.hypot(*(x[ends].T[0] - x[ends].T[1], y[ends].T[0] - y[ends].T[1])) * 10, 1).astype(np.uint32)
    return {"tail": np.concatenate([ends[:, 0], ends[:, 1]]), "head": np.concatenate([ends[:, 1], ends[:, 0]]),
            "x": x, "y": y, "weights": np.concatenate([length, length])}


def bend(rng: np.random.Generator, streets: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each street cut at up to two inner nodes, a little beside the straight line."""
    count = rng.integers(0, 3, len(streets))
    owner = np.repeat(np.arange(len(streets)), count)
    k = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    part = (k + 1) / (count[owner] + 1)
    new = len(x) + np.arange(len(owner))
    a, b = streets[owner].T
    x2 = x[a] + (x[b] - x[a]) * part + rng.uniform(-5, 5, len(owner))
    y2 = y[a] + (y[b] - y[a]) * part + rng.uniform(-5, 5, len(owner))
    chains = np.full((len(streets), 4), -1, np.int64)
    chains[:, 0] = streets[:, 0]
    chains[owner, k + 1] = new
    chains[np.arange(len(streets)), count + 1] = streets[:, 1]
    pieces = np.stack([chains[:, :-1].ravel(), chains[:, 1:].ravel()], 1)
    return pieces[(pieces >= 0).all(axis=1)], np.concatenate([x, x2]), np.concatenate([y, y2])


def largest(nodes: int, streets: np.ndarray) -> np.ndarray:
    """Which nodes belong to the largest connected part, bool (nodes,)."""
    label = np.arange(nodes)
    while True:
        low = label.copy()
        np.minimum.at(low, streets[:, 0], label[streets[:, 1]])
        np.minimum.at(low, streets[:, 1], label[streets[:, 0]])
        low = low[low]
        if (low == label).all():
            break
        label = low
    return label == np.bincount(label).argmax()


def pairs(city: dict[str, np.ndarray], count: int, near: bool, seed: int = 1) -> np.ndarray:
    """Random pairs of nodes, int32 (count, 2); with `near` they lie 0.5 to 5 km apart."""
    rng = np.random.default_rng(seed)
    x, y = city["x"], city["y"]
    found = np.empty((0, 2), np.int32)
    while len(found) < count:
        some = rng.integers(0, len(x), (count * 500 if near else count, 2), dtype=np.int32)
        away = np.hypot(x[some[:, 0]] - x[some[:, 1]], y[some[:, 0]] - y[some[:, 1]])
        found = np.concatenate([found, some[(away >= 500) & (away <= 5000)] if near else some])
    return found[:count]
