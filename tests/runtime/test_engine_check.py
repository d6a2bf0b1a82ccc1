"""How far an engine's answers may be from its model's: shares of the largest value, and nothing that is no number."""


import numpy as np
import pytest
from aisle.models.bundle import Bundle, TensorSpec
from aisle.runtime.backends.null import NullBackend
from aisle.runtime.engine_check import MADE_ROWS, Truth, answers, compare, difference, made_rows, stored_rows
from aisle.runtime.engines import BuildError
from hypothesis import given
from hypothesis import strategies as st

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(("got", "wanted", "apart"), [
    ([1.0, 2.0], [1.0, 2.0], 0.0), ([1.1, 2.0], [1.0, 2.0], 0.05), ([0.0, 0.0], [0.0, 0.0], 0.0), ([1e-3], [0.0], INF),
    ([1e-9], [0.0], 0.0), ([NAN, 1.0], [NAN, 1.0], 0.0), ([NAN], [1.0], INF), ([1.0], [NAN], INF), ([INF], [INF], 0.0),
    ([-INF], [INF], INF), ([1.0], [INF], INF), ([INF], [1.0], INF), ([1.0, 2.0], [1.0], INF), ([], [], 0.0),
])
def test_the_difference_of_numbers(got, wanted, apart):
    assert difference(np.float32(got), np.float32(wanted)) == pytest.approx(apart, rel=1e-5)


def test_whole_numbers_are_equal_or_not():
    assert difference(np.int64([3]), np.int64([3])) == 0 and difference(np.int64([3]), np.int64([4])) == INF


@given(st.lists(st.floats(width=32), min_size=1, max_size=8), st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_it_is_never_no_number(one, other):
    with np.errstate(all="ignore"):
        assert difference(np.float32(one), np.float32(other)) >= 0


def bundle(tmp_path, dtype="float32", **more):
    return Bundle("m", "1", "model", tmp_path, (TensorSpec("x", dtype, (3,)),), (TensorSpec("y", dtype, (3,)),),
                  {("null", "fp32"): "m"}, max_batch=2, **more)


def truth(tmp_path, shift=0.0, tolerance=0.01, dtype="float32", stored=0):
    rows = made_rows(bundle(tmp_path, dtype))
    wanted = [{"y": (r["x"] + np.asarray(shift).astype(dtype)).astype(dtype)} for r in (*rows, rows[0])]
    return Truth(rows, wanted, stored, tolerance)


def test_every_row_is_asked_in_batches_and_the_first_alone_too(tmp_path):
    session = NullBackend().open(bundle(tmp_path), None)
    rows = made_rows(bundle(tmp_path))
    given = answers(session, rows)
    assert len(given) == MADE_ROWS + 1
    for got, row in zip(given, [*rows, rows[0]], strict=True):
        assert np.array_equal(got["y"], row["x"])
    assert compare(session, truth(tmp_path)) == 0.0


def test_too_far_is_a_sentence_with_the_share_and_lasts(tmp_path):
    session = NullBackend().open(bundle(tmp_path), None)
    with pytest.raises(BuildError, match=r"output 'y' differs by 0\.\d+ of its largest value on a made sample, 0.01 is allowed "
                                         r".engine_tolerance in the bundle's params") as caught:
        compare(session, truth(tmp_path, 0.5))
    assert caught.value.lasting
    compare(session, truth(tmp_path, 0.5, tolerance=2.0))


def test_labels_count_on_stored_samples_only(tmp_path):
    session = NullBackend().open(bundle(tmp_path, "int64"), None)
    assert compare(session, truth(tmp_path, 1, dtype="int64")) == 0.0
    with pytest.raises(BuildError, match="on a stored sample"):
        compare(session, truth(tmp_path, 1, dtype="int64", stored=1))


def test_a_canary_of_the_network_is_a_stored_sample_and_one_of_a_job_is_not(tmp_path):
    np.savez(tmp_path / "good.npz", **{"in:x": np.ones(3), "out:y": np.ones(3)})
    np.savez(tmp_path / "other.npz", picture=np.zeros((2, 2)))
    np.savez(tmp_path / "shape.npz", **{"in:x": np.ones(4)})
    (tmp_path / "text.json").write_text("{}")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04torn")
    (row,) = stored_rows(bundle(tmp_path, canary="good.npz"))
    assert row["x"].dtype == np.float32
    for name in ("other.npz", "shape.npz", "text.json", "empty.npz", "torn.npz", "gone.npz", None):
        assert stored_rows(bundle(tmp_path, canary=name)) == [], name


def test_made_samples_are_the_same_at_every_start(tmp_path):
    one, other = made_rows(bundle(tmp_path)), made_rows(bundle(tmp_path))
    assert all(np.array_equal(a["x"], b["x"]) for a, b in zip(one, other, strict=True))
