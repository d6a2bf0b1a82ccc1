"""Every variant follows the same points and writes the same text; what is not on the map is refused."""

import numpy as np
import pytest
from aisle.kernels import street_line
from aisle.kernels.street_line import GROUPS, LIMIT, reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.street_line.fast", reason="the compiled kernels are not built here")
CASES = list(street_line.cases(np.random.default_rng(4)))
VARIANTS = [reference, fast]


def room(case: dict) -> int:
    """How many points a way has."""
    edges, first = case["edges"], case["first"]
    return int((first[edges + 1] - first[edges] + 1).sum()) + 1 if len(edges) else 0


def followed(variant: object, case: dict, points: int) -> tuple[int, np.ndarray]:
    out = np.full((points, 2), -7.0)
    wrong = variant.follow(case["edges"], *case["ends"], *case["node"], case["first"], *case["shape"], out)
    return wrong, out


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{len(c['edges'])}-{len(c['shape'][0])}")
def test_variants_follow_alike(case: dict) -> None:
    (a, one), (b, other) = (followed(variant, case, room(case)) for variant in VARIANTS)
    assert a == b == -1 and (one == other).all()
    if len(case["edges"]):
        first, last = int(case["edges"][0]), int(case["edges"][-1])
        assert one[0].tolist() == [v[case["ends"][0][first]] for v in case["node"]]
        assert one[-1].tolist() == [v[case["ends"][1][last]] for v in case["node"]]
    for points in {max(room(case) - 1, 0), room(case) + 1} - {room(case)}:
        assert followed(reference, case, points)[0] == followed(fast, case, points)[0] == len(case["edges"])


def spoiled(name: str, place: int, value: int) -> dict:
    case = {**CASES[3]}
    for key in ("edges", "first"):
        case[key] = case[key].copy()
    case["ends"] = tuple(v.copy() for v in case["ends"])
    edge = int(case["edges"][5])
    {"edges": case["edges"], "tail": case["ends"][0], "head": case["ends"][1], "first": case["first"]}[name][
        5 if name == "edges" else edge + place] = value
    return case


@pytest.mark.parametrize("case", [
    spoiled("edges", 0, -1), spoiled("edges", 0, 30), spoiled("tail", 0, 9), spoiled("head", 0, -1), spoiled("first", 0, -5),
    spoiled("first", 1, 10**6), spoiled("first", 1, -1),
], ids=str)
def test_what_is_not_on_the_map_is_refused(case: dict) -> None:
    """Never read, whatever the arrays say: a damaged map must not lead out of them."""
    a, b = followed(reference, case, 40)[0], followed(fast, case, 40)[0]
    assert a == b >= 0 and a != len(case["edges"])
    with pytest.raises(ValueError, match="expected edges from 0 to 29"):
        street_line.follow(**case, out=np.empty((40, 2)))


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), max_size=20), st.sampled_from([1.0, 100.0, 1e5, 1e6]))
@settings(max_examples=80, deadline=None)
def test_any_line(points: list, scale: float) -> None:
    array, outs = np.array(points, np.float64).reshape(-1, 2), []
    for variant in VARIANTS:
        out = np.zeros(2 * GROUPS * len(array), np.uint8)
        count = variant.encode(array, scale, out)
        outs.append(out[:count].tobytes())
    assert outs[0] == outs[1]


def test_the_published_example() -> None:
    """From the description of the format: (38.5, -120.2), (40.7, -120.95), (43.252, -126.453)."""
    points = np.array([[-120.2, 38.5], [-120.95, 40.7], [-126.453, 43.252]])
    out = np.zeros(100, np.uint8)
    assert out[:street_line.encode(points, 1e5, out=out)].tobytes() == b"_p~iF~ps|U_ulLnnqC_mqNvxq`@"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, LIMIT, -LIMIT, 1e300])
def test_numbers_that_have_no_text_are_refused(value: float) -> None:
    points = np.zeros((5, 2))
    points[3, 1] = value
    for variant in VARIANTS:
        assert variant.encode(points, 1.0, np.zeros(100, np.uint8)) == -4
    with pytest.raises(ValueError, match="at point 3"):
        street_line.encode(points, 1.0, out=np.zeros(100, np.uint8))


def test_the_longest_numbers_fit() -> None:
    points = np.array([[LIMIT - 1, 1 - LIMIT], [1 - LIMIT, LIMIT - 1]])
    out = np.zeros(4 * GROUPS, np.uint8)
    assert street_line.encode(points, 1.0, out=out) == reference.encode(points, 1.0, np.zeros_like(out)) <= 4 * GROUPS


@pytest.mark.parametrize("wrong", [
    lambda: street_line.encode(np.zeros((2, 3)), 1.0, out=np.zeros(99, np.uint8)),
    lambda: street_line.encode(np.zeros((2, 2)), 0.0, out=np.zeros(99, np.uint8)),
    lambda: street_line.encode(np.zeros((2, 2)), 1.0, out=np.zeros(39, np.uint8)),
    lambda: street_line.encode(np.zeros((2, 2), np.float32), 1.0, out=np.zeros(99, np.uint8)),
    lambda: street_line.follow(**{**CASES[3], "first": CASES[3]["first"][:-1]}, out=np.zeros((9, 2))),
    lambda: street_line.follow(**{**CASES[3], "node": (np.zeros(9), np.zeros(8))}, out=np.zeros((9, 2))),
    lambda: street_line.follow(**{**CASES[3], "edges": CASES[3]["edges"].astype(np.int64)}, out=np.zeros((9, 2))),
])
def test_wrong_arguments_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        wrong()
