"""Fields agree between variants, with MovingAI's published lengths where data lies at hand, and lead down to their goal."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from aisle.kernels import distance_field as df
from aisle.kernels.distance_field import reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.distance_field.fast", reason="the compiled kernels are not built here")
CASES = list(df.cases(np.random.default_rng(3)))
DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "routes"


def compare(floor: np.ndarray, goal: int) -> None:
    for name, dtype in (("steps", np.uint16), ("octile", np.uint32)):
        got, want = np.empty(floor.shape, dtype), np.empty(floor.shape, dtype)
        getattr(fast, name)(floor, goal, got)
        getattr(reference, name)(floor, goal, want)
        assert (got == want).all(), name
        for start in np.flatnonzero(floor == df.FREE)[:50].tolist():
            a, b = np.empty(floor.size, np.int32), np.empty(floor.size, np.int32)
            count = df.descend(got, start, out=a)
            assert count == reference.descend(want, start, b)
            assert count == 0 or (a[count - 1] == goal and a[0] == start and (a[:count] == b[:count]).all())


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(c["floor"].shape))
def test_variants_agree(case: dict) -> None:
    compare(**case)


@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 2**32 - 1), st.floats(0, 0.6))
@settings(max_examples=60, deadline=None)
def test_any_floor(h: int, w: int, seed: int, walls: float) -> None:
    rng = np.random.default_rng(seed)
    floor = np.full((h, w), df.WALL, np.uint16)
    floor[1:-1, 1:-1][rng.random((h - 2, w - 2)) >= walls] = df.FREE
    row, column = int(rng.integers(1, h - 1)), int(rng.integers(1, w - 1))
    floor[row, column] = df.FREE
    compare(floor, row * w + column)


def good() -> dict:
    floor = np.full((5, 6), df.WALL, np.uint16)
    floor[1:-1, 1:-1] = df.FREE
    return {"floor": floor, "goal": 8, "out": np.empty((5, 6), np.uint16)}


@pytest.mark.parametrize("spoil", [
    {"goal": 0}, {"goal": -1}, {"goal": 30}, {"out": np.empty((5, 5), np.uint16)}, {"out": np.empty((5, 6), np.uint32)},
    {"floor": np.full((5, 6), df.FREE, np.uint16)}, {"floor": None}, {"goal": float("nan")},
])
def test_wrong_arguments_are_refused(spoil: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        df.steps(**{**good(), **spoil})


def test_no_room_and_no_way_down_are_said() -> None:
    args = good()
    df.steps(**args)
    with pytest.raises(ValueError, match="room"):
        df.descend(args["out"], 22, out=np.empty(2, np.int32))
    hollow = np.full((5, 6), 9, np.uint16)
    with pytest.raises(ValueError, match="hollow"):
        df.descend(hollow, 14, out=np.empty(40, np.int32))
    assert df.descend(args["out"], 0, out=np.empty(2, np.int32)) == 0


@pytest.mark.skipif(not (DATA / "movingai_maps_dev.zip").is_file(), reason="the MovingAI maps are not here")
@pytest.mark.parametrize("name", ["dao/arena2.map", "rooms/32room_000.map", "cities/Berlin_0_256.map"])
def test_published_lengths(name: str) -> None:
    with zipfile.ZipFile(DATA / "movingai_maps_dev.zip") as pack:
        rows = pack.read(name).decode().replace("\r", "").split("map\n", 1)[1].split()
        runs = [line.split("\t") for line in pack.read(name + ".scen").decode().splitlines()[1:]]
    inner = np.array([[c in ".G" for c in row] for row in rows])
    floor = np.full((inner.shape[0] + 2, inner.shape[1] + 2), df.WALL, np.uint16)
    floor[1:-1, 1:-1][inner] = df.FREE
    field = np.empty(floor.shape, np.uint32)
    for run in runs[::max(len(runs) // 20, 1)]:
        sx, sy, gx, gy = map(int, run[4:8])
        df.octile(floor, (gy + 1) * floor.shape[1] + gx + 1, out=field)
        pair = int(field[sy + 1, sx + 1])
        assert (pair >> 16) + (pair & 0xFFFF) * 2**0.5 == pytest.approx(float(run[8]), abs=1e-3)
