"""Made-up shoppers of a made-up shop, so that a recommender can be fitted where there is no data: seeded, all ours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..recommend.interactions import Interactions, arranged

STAY, NEXT = 0.85, 0.6      # a shopper stays in a group; takes what follows the last item in it


def shoppers(ids: Sequence[str], groups: Sequence[str], users: int = 400, seed: int = 4, longest: int = 12) -> Interactions:
    """What `users` shoppers looked at, 3 to `longest` items each, one every 90 seconds, over 30 days.

    `groups` names the group (a category, say) of each item of `ids`. A shopper keeps to a group for a while, there often
    goes on to the item that follows in `ids`, and prefers items that stand early: so there is an order to learn, and
    something is popular.
    """
    if len(ids) != len(groups) or not len(ids):
        raise ValueError(f"expected as many groups as ids and at least one, got {len(ids)} ids and {len(groups)} groups")
    rng = np.random.default_rng(seed)
    names = sorted(set(groups))
    of_group = [np.flatnonzero([g == name for g in groups]) for name in names]
    user: list[int] = []
    item: list[int] = []
    time: list[float] = []
    for one in range(users):
        begin, walked = float(rng.integers(30 * 86400)), _walk(rng, of_group, int(rng.integers(3, longest + 1)))
        user += [one] * len(walked)
        item += walked
        time += [begin + 90 * step for step in range(len(walked))]
    return arranged(tuple(f"visitor-{i}" for i in range(users)), tuple(ids), np.array(user), np.array(item), np.array(time))


def _walk(rng: np.random.Generator, of_group: Sequence[np.ndarray], steps: int) -> list[int]:
    """The rows of the items that one shopper looks at."""
    found: list[int] = []
    group = of_group[int(rng.integers(len(of_group)))]
    at = -1
    for _ in range(steps):
        if rng.random() > STAY:
            group, at = of_group[int(rng.integers(len(of_group)))], -1
        follows = at >= 0 and rng.random() < NEXT
        at = (at + 1) % len(group) if follows else int(len(group) * rng.random() ** 2)
        found.append(int(group[at]))
    return found
