"""`knn` and `within`: every instruction set against NumPy, and early exit with the verdict of the full search."""

import numpy as np
import pytest
from aisle.kernels._op import Op
from aisle.kernels.knn import MAX_DEPTH, Bank, knn, reference, within
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.knn.fast")
SEED = st.integers(0, 2**32 - 1)
SIDE = st.integers(1, 21)


def drawn(seed: int, n: int, h: int, w: int, d: int, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    query, bank = (rng.integers(-reach, reach, (m, h, w, d), dtype=np.int8) for m in (1, n))
    skip = (rng.random(n) < 0.3).astype(np.uint8)
    skip[rng.integers(n)] = 0
    return query[0], bank, skip


@settings(deadline=None, max_examples=100)
@given(SEED, st.integers(1, 4), SIDE, SIDE, st.integers(1, 140), st.integers(-1, 30), st.sampled_from([2, 128]),
       st.integers(1, 5))
def test_every_instruction_set_finds_the_same_codes(seed: int, n: int, h: int, w: int, d: int, radius: int, reach: int,
                                                    k: int) -> None:
    query, bank, skip = drawn(seed, n, h, w, d, reach)
    want = np.empty((h, w, k), np.int32)
    reference.knn(query, bank, skip, radius, want)
    for level in fast.levels():
        for deep in (1, k):
            got = np.full((h, w, deep), 77, np.int32)
            fast.knn(query, bank, skip, radius, got, level)
            np.testing.assert_array_equal(got, want[..., :deep], f"level {level}")
        # Nearby the parts that are skipped are in it; of the whole bank they are left out before.
        laid = fast.lay(bank if radius >= 0 else bank[skip == 0], int(radius >= 0), level)
        got = np.full((h, w, 1), 77, np.int32)
        fast.knn(query, laid, skip if radius >= 0 else np.zeros(laid.shape[0], np.uint8), radius, got)
        np.testing.assert_array_equal(got, want[..., :1], f"laid out for level {level}")


@settings(deadline=None, max_examples=80)
@given(SEED, st.integers(1, 4), SIDE, SIDE, st.integers(1, 80), st.integers(-1, 3), st.floats(0, 2))
def test_the_early_verdict_is_that_of_the_full_search(seed: int, n: int, h: int, w: int, d: int, radius: int,
                                                      share: float) -> None:
    query, bank, skip = drawn(seed, n, h, w, d, 128)
    reach = None if radius < 0 else radius
    far, out = np.empty((h, w), np.int32), np.empty((h, w), np.uint8)
    knn(query, bank, out=far, radius=reach, skip=skip)
    # A bound that is met exactly, its neighbours, and any other.
    met = int(np.median(far))
    for bound in (met, met + 1, max(0, met - 1), int(met * share), 0, 2**31 - 1):
        for level in fast.levels():
            fast.within(query, bank, skip, radius, bound, out, level)
            np.testing.assert_array_equal(out, far <= bound, f"level {level}, bound {bound}")
            if radius >= 0 or not skip.any():
                fast.within(query, fast.lay(bank, int(radius >= 0), level), skip, radius, bound, out)
                np.testing.assert_array_equal(out, far <= bound, f"laid out for level {level}, bound {bound}")


@settings(deadline=None, max_examples=60)
@given(SEED, st.integers(1, 3), st.integers(1, 9), st.integers(1, 19), st.integers(1, 300), st.integers(-1, 2),
       st.integers(1, 4), st.booleans())
def test_banks_of_floats_and_halves(seed: int, n: int, h: int, w: int, d: int, radius: int, k: int, half: bool) -> None:
    """Small whole numbers, whose sums are exact in any order."""
    query, bank, skip = drawn(seed, n, h, w, d, 9)
    floats, stored = query.astype(np.float32), bank.astype(np.float16 if half else np.float32)
    want, whole = np.empty((h, w, k), np.float32), np.empty((h, w, k), np.int32)
    reference.knn(floats, stored, skip, radius, want)
    reference.knn(query, bank, skip, radius, whole)
    np.testing.assert_array_equal(want, np.where(whole == 2**31 - 1, np.inf, whole))
    out = np.empty((h, w), np.uint8)
    for level in fast.levels():
        got = np.full_like(want, 77)
        fast.knn(floats, stored, skip, radius, got, level)
        np.testing.assert_array_equal(got, want, f"level {level}")
        bound = float(np.median(want[..., 0]))
        fast.within(floats, stored, skip, radius, bound, out, level)
        np.testing.assert_array_equal(out, want[..., 0] <= bound, f"level {level}")


def test_every_half_is_read_as_numpy_reads_it() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(1, -1, 1, 1)
    for level in fast.levels():
        out = np.empty((1, 1, 1), np.float32)
        for value in (0.0, -1.5, 2.0**-24, 65504.0):
            fast.knn(np.full((1, 1, 1), value, np.float32), halves, np.zeros(1, np.uint8), -1, out, level)
            assert out[0, 0, 0] == 0
        grid = halves.reshape(1, 256, 256, 1)
        far = np.empty((256, 256, 1), np.float32)
        fast.knn(np.zeros((256, 256, 1), np.float32), grid, np.zeros(1, np.uint8), 0, far, level)
        with np.errstate(invalid="ignore"):
            want = np.nan_to_num(np.square(grid[0].astype(np.float64)), nan=np.inf, posinf=np.inf).astype(np.float32)
        np.testing.assert_array_equal(far, want)


def test_nan_is_infinitely_far_and_never_within() -> None:
    bank = np.full((1, 2, 2, 20), np.nan, np.float32)
    for level in fast.levels():
        far, out = np.empty((2, 2, 1), np.float32), np.empty((2, 2), np.uint8)
        fast.knn(np.zeros((2, 2, 20), np.float32), bank, np.zeros(1, np.uint8), -1, far, level)
        fast.within(np.zeros((2, 2, 20), np.float32), bank, np.zeros(1, np.uint8), -1, 3e38, out, level)
        assert np.isinf(far).all() and not out.any()


def test_the_deepest_and_most_distant_codes_do_not_overflow() -> None:
    for value, other in ((-128, 127), (127, -128), (-128, -128), (127, 127)):
        query, bank = np.full((1, 2, MAX_DEPTH), value, np.int8), np.full((1, 1, 2, MAX_DEPTH), other, np.int8)
        for level in fast.levels():
            for radius in (-1, 0, 1):
                out = np.empty((1, 2, 1), np.int32)
                fast.knn(query, bank, np.zeros(1, np.uint8), radius, out, level)
                assert (out == (value - other) ** 2 * MAX_DEPTH).all()


@settings(deadline=None, max_examples=30)
@given(SEED, st.integers(1, 4), SIDE, SIDE, st.sampled_from([None, 0, 1, 2]), st.integers(1, 3))
def test_a_bank_laid_out_once_answers_as_the_array_does(seed: int, n: int, h: int, w: int, radius: int | None, k: int) -> None:
    query, codes, skip = drawn(seed, n, h, w, 64, 128)
    bank = Bank(codes, radius=radius)
    for left_out in (None, skip):
        want, got = np.empty((h, w, k), np.int32), np.empty((h, w, k), np.int32)
        knn(query, codes, out=want, radius=radius, skip=left_out)
        knn(query, bank, out=got, radius=radius, skip=left_out)
        np.testing.assert_array_equal(got, want)
        near, verdict = np.empty((h, w), np.int32), np.empty((h, w), np.uint8)
        knn(query, bank, out=near, radius=radius, skip=left_out)
        np.testing.assert_array_equal(near, want[..., 0])
        within(query, bank, bound=int(near.max()) - 1, out=verdict, radius=radius, skip=left_out)
        np.testing.assert_array_equal(verdict, near < near.max())


def test_a_bank_needs_no_compiled_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    query, codes, _ = drawn(5, 2, 4, 6, 20, 128)
    want, got = np.empty((4, 6), np.int32), np.empty((4, 6), np.int32)
    knn(query, codes, out=want, radius=1)
    for op in ("knn", "knn.lay"):
        monkeypatch.setattr(Op.table[op], "_run", Op.table[op].variants()["reference"])
    bank = Bank(codes, radius=1)
    assert bank.laid is None and bank.nbytes == codes.nbytes
    knn(query, bank, out=got, radius=1)
    np.testing.assert_array_equal(got, want)


def test_a_bank_that_does_not_fit_is_a_sentence() -> None:
    codes, out = np.zeros((1, 2, 3, 4), np.int8), np.zeros((2, 3), np.int32)
    for wrong in (None, [1], codes.astype(np.float32), codes[0], codes[:, :0], codes[..., ::2]):
        with pytest.raises(ValueError, match=r"expected .* got .* - at `codes`"):
            Bank(wrong, radius=1)   # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"expected at most {MAX_DEPTH} values a cell"):
        Bank(np.zeros((1, 1, 1, MAX_DEPTH + 1), np.int8), radius=None)
    with pytest.raises(ValueError, match=r"expected a search of the whole bank, .* got 1 - at `radius`"):
        knn(codes[0], Bank(codes, radius=None), out=out, radius=1)
    with pytest.raises(ValueError, match=r"expected a search of cells nearby, .* got None - at `radius`"):
        within(codes[0], Bank(codes, radius=0), bound=1, out=out.astype(np.uint8), radius=None)
    with pytest.raises(ValueError, match=r"call kernels\.knn"):
        fast.knn(codes[0], fast.lay(codes, 1), np.zeros(1, np.uint8), -1, out[..., None])
    with pytest.raises(ValueError, match=r"call kernels\.knn"):
        fast.knn(codes[0], fast.lay(codes, 1), np.zeros(1, np.uint8), 1, np.zeros((2, 3, 2), np.int32))


@pytest.mark.parametrize(("changed", "place"), [
    ({"query": np.zeros((2, 3, 5), np.float32)}, "query"), ({"bank": np.zeros((1, 2, 3, 4), np.float64)}, "bank"),
    ({"bank": np.zeros((1, 3, 3, 4), np.int8)}, "bank"), ({"bank": np.zeros((0, 2, 3, 4), np.int8)}, "bank"),
    ({"bank": np.zeros((1, 2, 3, 4), np.float16)}, "query"), ({"skip": np.ones(1, np.uint8)}, "skip"),
    ({"skip": np.ones(2, np.uint8)}, "skip"), ({"radius": -1}, "radius"), ({"radius": "a"}, "radius"),
    ({"out": np.zeros((2, 3), np.float32)}, "out"), ({"out": np.zeros((2, 3, 0), np.int32)}, "out"),
    ({"query": np.zeros((2, 3, MAX_DEPTH + 1), np.int8), "bank": np.zeros((1, 2, 3, MAX_DEPTH + 1), np.int8)}, "query"),
])
def test_what_does_not_fit_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"query": np.zeros((2, 3, 4), np.int8), "bank": np.zeros((1, 2, 3, 4), np.int8), "radius": 1,
              "out": np.zeros((2, 3), np.int32)} | changed
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        knn(**given_)


@pytest.mark.parametrize("bound", [-1, 0.5, 1 << 31, float("nan"), "a", None])
def test_a_bound_that_does_not_fit_is_a_sentence(bound: object) -> None:
    with pytest.raises(ValueError, match=r"expected .* got .* - at `bound`"):
        within(np.zeros((2, 3, 4), np.int8), np.zeros((1, 2, 3, 4), np.int8), bound=bound, radius=None,
               out=np.zeros((2, 3), np.uint8))
