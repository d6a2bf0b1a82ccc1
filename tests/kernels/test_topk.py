"""`topk`: every instruction set against NumPy on drawn input, ties, the bitmap, and what does not fit."""

import numpy as np
import pytest
from aisle.kernels.topk import MAX_DEPTH, exact, packed, reference, topk, weighed
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.topk.fast")


def empty(q: int, k: int, kind: str = "int32") -> tuple[np.ndarray, np.ndarray]:
    return np.full((q, k), 77, np.int32), np.full((q, k), 77, kind)


def bitmap(blocked: np.ndarray) -> np.ndarray:
    return np.packbits(blocked, bitorder="little")


@settings(deadline=None, max_examples=120)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 400), st.integers(1, 140), st.integers(1, 40),
       st.sampled_from([1, 3, 127]), st.floats(0, 1), st.booleans())
def test_every_instruction_set_lists_the_same_rows(seed: int, q: int, n: int, d: int, k: int, reach: int, share: float,
                                                   floats: bool) -> None:
    """Whole numbers as floats too: their sums are exact in any order, and small ones give many ties."""
    rng = np.random.default_rng(seed)
    kind = np.float32 if floats else np.int8
    queries, table = (rng.integers(-reach - 1, reach + 1, (rows, d)).astype(kind) for rows in (q, n))
    blocked = bitmap(rng.random(n) < share) if seed % 2 else None
    want = empty(q, k, "float32" if floats else "int32")
    reference.topk(queries, table, blocked, *want)
    for level in fast.levels():
        got = empty(q, k, "float32" if floats else "int32")
        fast.topk(queries, table, blocked, *got, level)
        np.testing.assert_array_equal(got[0], want[0], f"level {level}")
        np.testing.assert_array_equal(got[1], want[1], f"level {level}")


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 400), st.integers(1, 140), st.integers(1, 40),
       st.booleans())
def test_every_instruction_set_weighs_to_the_same_bits(seed: int, q: int, n: int, d: int, k: int, floats: bool) -> None:
    """Each step is rounded by itself, so that no instruction set may put two of them together."""
    rng = np.random.default_rng(seed)
    reach = 5 if floats else 127                  # sums of floats are whole numbers below 2**24
    queries, table = (rng.integers(-reach, reach + 1, (rows, d)).astype(np.float32 if floats else np.int8) for rows in (q, n))
    have = rng.random(3) < 0.7
    scale, gain, bias = (rng.standard_normal(m, np.float32) * 3 if h else None for m, h in zip((n, q, n), have, strict=True))
    blocked = bitmap(np.repeat(rng.random(n // 32 + 1) < 0.5, 32)[:n] | (rng.random(n) < 0.2)) if seed % 2 else None
    want = empty(q, k, "float32")
    reference.weighed(queries, table, blocked, scale, gain, bias, *want)
    for level in fast.levels():
        got = empty(q, k, "float32")
        fast.weighed(queries, table, blocked, scale, gain, bias, *got, level)
        np.testing.assert_array_equal(got[0], want[0], f"level {level}")
        np.testing.assert_array_equal(got[1], want[1], f"level {level}")


def side_by_side(rows: np.ndarray) -> np.ndarray:
    """int8 (n, d) as `packed` wants them, filled up with rows of zeros."""
    whole = np.pad(rows.astype(np.int16), ((0, -len(rows) % 16), (0, -rows.shape[1] % 4))) + 128
    return whole.astype(np.uint8).reshape(-1, 16, whole.shape[1] // 4, 4).transpose(0, 2, 1, 3).copy()


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 400), st.integers(1, 140), st.integers(1, 40))
def test_rows_side_by_side_are_the_same_rows(seed: int, q: int, n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    queries, table = (rng.integers(-128, 128, (rows, d), dtype=np.int8) for rows in (q, n))
    scale, gain, bias = (rng.standard_normal(m, np.float32) for m in (n, q, n))
    left_out = rng.random(n) < 0.3
    filled = -n % 16
    want, blocked = empty(q, k, "float32"), np.pad(left_out, (0, filled), constant_values=True)
    reference.weighed(queries, table, bitmap(left_out), scale, gain, bias, *want)
    more = [np.pad(array, (0, filled)) for array in (scale, bias)]
    for run in (reference.packed, *(lambda *a, level=level: fast.packed(*a, level) for level in fast.levels())):
        got = empty(q, k, "float32")
        run(queries, side_by_side(table), bitmap(blocked), more[0], gain, more[1], *got)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])


@pytest.mark.parametrize(("changed", "place"), [
    ({"queries": np.zeros((1, 9), np.int8)}, "queries"), ({"queries": np.zeros((1, 4), np.int8)}, "queries"),
    ({"table": np.zeros((2, 2, 16, 3), np.uint8)}, "table"), ({"table": np.zeros((2, 2, 16, 4), np.int8)}, "table"),
    ({"table": np.zeros((32, 8), np.uint8)}, "table"), ({"scale": np.zeros(31, np.float32)}, "scale"),
    ({"blocked": np.zeros(3, np.uint8)}, "blocked"), ({"out": empty(1, 3)}, r"out\[1\]"),
    ({"table": np.zeros((1, 1025, 16, 4), np.uint8), "queries": np.zeros((1, 4100), np.int8)}, "queries"),
])
def test_what_does_not_fit_rows_side_by_side_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"queries": np.zeros((1, 8), np.int8), "table": np.zeros((2, 2, 16, 4), np.uint8), "out": empty(1, 3, "float32")}
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        packed(**given_ | changed)


@pytest.mark.parametrize("q", [1, 2, 16, 17, 40])
def test_blocks_of_rows_that_are_all_blocked_are_passed_over_and_no_others(q: int) -> None:
    rng = np.random.default_rng(q)
    queries, table = (rng.integers(-128, 128, (rows, 64), dtype=np.int8) for rows in (q, 5000))
    for run in (4, 8, 16, 32, 64, 1000):
        blocked = bitmap((np.arange(5000) // run) % 2 == 0)
        want, got = empty(q, 7), empty(q, 7)
        reference.topk(queries, table, blocked, *want)
        for level in fast.levels():
            fast.topk(queries, table, blocked, *got, level)
            np.testing.assert_array_equal(got[0], want[0], f"runs of {run}, level {level}")


def test_a_bias_that_is_no_number_hides_its_row() -> None:
    out, bias = empty(1, 4, "float32"), np.array([0, np.nan, 3, -np.inf, 1] * 10, np.float32)
    for variant in (reference.weighed, fast.weighed):
        variant(np.ones((1, 8), np.int8), np.ones((50, 8), np.int8), None, None, None, bias, *out)
        assert out[0].tolist() == [[2, 7, 12, 17]] and (out[1] == 11).all()


def test_what_does_not_fit_a_weighed_search_is_a_sentence() -> None:
    given_ = {"queries": np.zeros((2, 8), np.int8), "table": np.zeros((30, 8), np.int8), "out": empty(2, 3, "float32")}
    for changed, place in (({"scale": np.zeros(29, np.float32)}, "scale"), ({"gain": np.zeros(3, np.float32)}, "gain"),
                           ({"bias": np.zeros(30)}, "bias"), ({"out": empty(2, 3)}, r"out\[1\]")):
        with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
            weighed(**given_ | changed)


def test_equal_scores_come_by_id_and_blocked_rows_do_not_come() -> None:
    table = np.ones((100, 64), np.int8)
    blocked = np.zeros(100, bool)
    blocked[[0, 2, 3, 17]] = True
    out = empty(1, 5)
    topk(np.ones((1, 64), np.int8), table, out=out, blocked=bitmap(blocked))
    assert out[0].tolist() == [[1, 4, 5, 6, 7]] and (out[1] == 64).all()


def test_where_too_few_rows_remain_the_rest_is_minus_one() -> None:
    blocked = np.ones(9, bool)
    blocked[[3, 8]] = False
    out = empty(2, 4)
    topk(np.eye(2, 5, dtype=np.int8), np.full((9, 5), -7, np.int8), out=out, blocked=bitmap(blocked))
    assert out[0].tolist() == [[3, 8, -1, -1]] * 2
    assert out[1].tolist() == [[-7, -7, -(2**31), -(2**31)]] * 2


def test_nan_and_minus_infinity_are_never_listed() -> None:
    table = np.array([[np.nan], [-np.inf], [2], [np.inf], [-3]], np.float32).repeat(40, 1)
    for variant in (reference.topk, fast.topk):
        out = empty(1, 5, "float32")
        variant(np.ones((1, 40), np.float32), table, None, *out)
        assert out[0].tolist() == [[3, 2, 4, -1, -1]] and out[1][0, :3].tolist() == [np.inf, 80, -120]


def test_the_deepest_and_most_extreme_rows_do_not_overflow() -> None:
    for value, other in ((-128, -128), (-128, 127), (127, 127)):
        queries, table = np.full((1, MAX_DEPTH), value, np.int8), np.full((20, MAX_DEPTH), other, np.int8)
        for level in fast.levels():
            out = empty(1, 1)
            fast.topk(queries, table, None, *out, level)
            assert out[0][0, 0] == 0 and out[1][0, 0] == value * other * MAX_DEPTH


@pytest.mark.parametrize(("changed", "place"), [
    ({"queries": np.zeros((1, 5), np.int8)}, "queries"), ({"queries": np.zeros((1, 8), np.float32)}, "queries"),
    ({"table": np.zeros((0, 8), np.int8)}, "table"), ({"table": np.zeros((30, 8), np.int16)}, "table"),
    ({"table": np.zeros((30, MAX_DEPTH + 1), np.int8), "queries": np.zeros((1, MAX_DEPTH + 1), np.int8)}, "table"),
    ({"out": None}, "out"), ({"out": empty(1, 3)[0]}, "out"), ({"out": (*empty(1, 3), 1)}, "out"),
    ({"out": empty(2, 3)}, r"out\[0\]"), ({"out": empty(1, 0)}, r"out\[0\]"), ({"out": empty(1, 3, "float32")}, r"out\[1\]"),
    ({"out": (empty(1, 3)[0], empty(1, 4)[1])}, r"out\[1\]"), ({"blocked": np.zeros(3, np.uint8)}, "blocked"),
    ({"blocked": np.zeros(30, bool)}, "blocked"),
])
def test_what_does_not_fit_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"queries": np.zeros((1, 8), np.int8), "table": np.zeros((30, 8), np.int8), "out": empty(1, 3)} | changed
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        topk(**given_)


def test_ids_and_scores_need_memory_of_their_own() -> None:
    both = np.zeros((1, 3), np.int32)
    with pytest.raises(ValueError, match="memory of its own"):
        topk(np.zeros((1, 8), np.int8), np.zeros((30, 8), np.int8), out=(both, both))


def rounded(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """float32 rows as `exact` wants them besides: (table, scale, error, length)."""
    scale = np.abs(rows).max(1, initial=0) / np.float32(127)
    codes = np.rint(rows / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
    back = codes * scale[:, None].astype(np.float64)
    far = np.linalg.norm(rows - back, axis=1).max() * 1.0001
    length = np.linalg.norm(back, axis=1).max() * 1.0001
    return side_by_side(codes), np.pad(scale, (0, -len(rows) % 16)), float(far), float(length)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.integers(1, 90), st.integers(1, 120), st.floats(0, 1),
       st.sampled_from(["spread", "crowded", "equal", "zero"]))
def test_the_exact_list_is_that_of_all_rows_in_float32(seed: int, n: int, d: int, k: int, share: float, kind: str) -> None:
    """Whole numbers over 64: their sums are exact in any order. Crowded ones are so alike that int8 cannot tell them apart."""
    rng = np.random.default_rng(seed)
    reach = {"spread": 40, "crowded": 2, "equal": 0, "zero": 0}[kind]
    rows = ((64 if kind != "zero" else 0) + rng.integers(-reach, reach + 1, (n, d))).astype(np.float32) / 64
    query = rng.integers(-9, 10, d).astype(np.float32)
    table, scale, error, length = rounded(rows)
    bias = rng.integers(-8, 9, n).astype(np.float32) / 8 if seed % 3 else None
    some = rng.integers(-1, n, rng.integers(0, 30), dtype=np.int32)
    extra = rng.integers(-40, 41, len(some)).astype(np.float32) / 8
    blocked = bitmap(rng.random(n) < share) if seed % 2 else None
    want = np.empty(k, np.int32), np.empty(k, np.float32)
    reference.exact(query, table, rows, scale, blocked, bias, some, extra, error, length, *want)
    for level in fast.levels():
        got = np.full(k, 77, np.int32), np.full(k, 77, np.float32)
        fast.exact(query, table, rows, scale, blocked, bias, some, extra, error, length, *got, level)
        np.testing.assert_array_equal(got[0], want[0], f"level {level}")
        np.testing.assert_array_equal(got[1], want[1], f"level {level}")


def test_many_rows_that_int8_cannot_tell_apart_are_all_compared() -> None:
    """3,000 rows in one int8 form: neither 40 nor 2,048 candidates settle it."""
    rows = np.full((3000, 8), 1, np.float32)
    rows[:, 0] += np.random.default_rng(4).permutation(3000).astype(np.float32) / 2**20
    table, scale, error, length = rounded(rows)
    out = np.empty(5, np.int32), np.empty(5, np.float32)
    for level in fast.levels():
        fast.exact(np.ones(8, np.float32), table, rows, scale, None, None, None, None, error, length, *out, level)
        assert out[0].tolist() == np.argsort(-rows.sum(1), kind="stable")[:5].tolist()


@pytest.mark.parametrize("query", [np.nan, np.inf])
def test_a_query_that_is_no_number_has_no_list(query: float) -> None:
    rows = np.ones((40, 8), np.float32)
    table, scale, error, length = rounded(rows)
    out = np.zeros(5, np.int32), np.zeros(5, np.float32)
    for run in (reference.exact, *(lambda *a, level=level: fast.exact(*a, level) for level in fast.levels())):
        run(np.array([query, -query] * 4, np.float32), table, rows, scale, None, None, None, None, error, length, *out)
        assert out[0].tolist() == [-1] * 5 and np.isneginf(out[1]).all()


@pytest.mark.parametrize(("changed", "place"), [
    ({"query": np.zeros(9, np.float32)}, "query"), ({"table": np.zeros((3, 2, 16, 4), np.uint8)}, "table"),
    ({"table": np.zeros((2, 3, 16, 4), np.uint8)}, "table"), ({"scale": np.zeros(30, np.float32)}, "scale"),
    ({"extra": np.zeros(1, np.float32)}, "extra_rows"), ({"extra_rows": np.array([2], np.int32)}, "extra"),
    ({"extra_rows": np.array([30], np.int32), "extra": np.zeros(1, np.float32)}, "extra_rows"),
    ({"extra_rows": np.array([-2], np.int32), "extra": np.zeros(1, np.float32)}, "extra_rows"),
    ({"error": -1.0}, "error"), ({"length": np.nan}, "length"), ({"out": (np.zeros(3, np.int32),)}, "out"),
])
def test_what_does_not_fit_an_exact_search_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"query": np.zeros(8, np.float32), "table": np.zeros((2, 2, 16, 4), np.uint8),
              "floats": np.zeros((30, 8), np.float32), "scale": np.zeros(32, np.float32), "error": 0.0, "length": 0.0,
              "out": (np.zeros(3, np.int32), np.zeros(3, np.float32))}
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        exact(**given_ | changed)
