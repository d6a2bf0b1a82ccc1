"""`mmr`: against a plain loop over pairs, goes on where it stopped, and what does not fit."""

import numpy as np
import pytest
from aisle.kernels.mmr import MOST, mmr, reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.mmr.fast")


def plainly(worth: np.ndarray, alike: np.ndarray, codes: np.ndarray, caps: np.ndarray, weight: float, count: int) -> list[int]:
    """The definition, one place at a time."""
    chosen: list[int] = []
    while len(chosen) < count:
        def may(place: int) -> bool:
            full = any(cap and row[place] and sum(row[c] == row[place] for c in chosen) >= cap
                       for row, cap in zip(codes, caps, strict=True))
            return place not in chosen and worth[place] > -np.inf and not full
        free = [place for place in range(len(worth)) if may(place)]
        if not free:
            break
        chosen.append(max(free, key=lambda p: (worth[p] - weight * max([0.0, *(float(alike[c, p]) for c in chosen)]), -p)))
    return chosen


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 30), st.sampled_from([0.0, 0.25, 1.0]),
       st.tuples(st.integers(0, 3), st.integers(0, 2)))
def test_it_is_the_definition_and_goes_on_where_it_stopped(seed: int, m: int, k: int, weight: float,
                                                           caps: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    worth = rng.integers(-3, 4, m) / 4
    worth[rng.random(m) < 0.1] = -np.inf
    alike = rng.integers(0, 5, (m, m)).astype(np.float32) / 4
    alike = np.maximum(alike, alike.T)
    codes, caps_ = rng.integers(0, 4, (2, m), dtype=np.int32), np.array(caps, np.int32)
    want = plainly(worth, alike, codes, caps_, weight, k)
    for run in (reference.mmr, fast.mmr):
        for begun in {0, len(want) // 2, len(want)}:
            out = np.r_[want[:begun], np.full(k - begun, 77)].astype(np.int32)
            assert run(worth, alike, codes, caps_, weight, begun, out) == len(want)
            assert out.tolist() == want + [-1] * (k - len(want))


def test_of_the_like_only_one_comes_first() -> None:
    alike = np.zeros((4, 4), np.float32)
    alike[:3, :3] = 1
    out = np.empty(3, np.int32)
    assert mmr(np.array([1, 0.9, 0.8, 0.5]), out=out, weight=0.5, alike=alike) == 3 and out.tolist() == [0, 3, 1]
    assert mmr(np.array([1, 0.9, 0.8, 0.5]), out=out, weight=0.0) == 3 and out.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("changed", "place"), [
    ({"worth": np.zeros(4, np.float32)}, "worth"), ({"worth": np.zeros(MOST + 1)}, "worth"),
    ({"alike": np.zeros((4, 3), np.float32)}, "alike"), ({"codes": np.zeros((1, 4), np.int32)}, "codes"),
    ({"codes": np.zeros((1, 4), np.int32), "caps": np.zeros(2, np.int32)}, "caps"), ({"weight": 1.5}, "weight"),
    ({"weight": np.nan}, "weight"), ({"begun": 4}, "begun"), ({"begun": 1.0}, "begun"),
    ({"begun": 1, "out": np.full(3, 4, np.int32)}, "out"), ({"begun": 2, "out": np.full(3, -1, np.int32)}, "out"),
])
def test_what_does_not_fit_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"worth": np.zeros(4), "out": np.zeros(3, np.int32), "weight": 0.5}
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        mmr(**given_ | changed)
