"""What every backend promises, asked of all of them: rows are views, n rows in are n rows out, wrong is said."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, BundleError, TensorSpec
from aisle.models.make.onnx_models import identity
from aisle.runtime.backends import BACKENDS, FreeSession, Session, make_backend
from aisle.runtime.errors import Invalid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DEVICE = DeviceProfile("test", threads=1)
ROW = (3, 5)


@dataclass
class Case:
    """A bundle whose output is its input, for one backend."""

    backend: str
    root: Path

    def open(self, shape=ROW, dtype="float32", max_batch=4):
        if self.backend != "null":
            path = identity(self.root / "model.onnx", ["n" if d is None else d for d in shape], dtype,
                            batch=max_batch > 0, input_name="in 1", output_name="out")
            assert path.is_file()
        bundle = Bundle("m", "1", "model", self.root, max_batch=max_batch, files={(self.backend, "fp32"): "model.onnx"},
                        inputs=(TensorSpec("in 1", dtype, shape),), outputs=(TensorSpec("out", dtype, shape),))
        backend = make_backend(self.backend)
        try:
            return backend.open(backend.describe(bundle), DEVICE)
        except BundleError as error:
            if self.backend == "tensorrt" and any(words in str(error) for words in ("a free dimension", "TensorRT has only")):
                pytest.skip(f"said when the model is opened: {error}")
            raise


@pytest.fixture(params=sorted(BACKENDS))
def case(request, tmp_path, cache, monkeypatch):
    if request.param == "tensorrt":      # ours as it is, over a checked stand-in for the library and the device
        monkeypatch.syspath_prepend(str(Path(__file__).parent))
        monkeypatch.setitem(BACKENDS, "tensorrt", "over_fakes:FakedBackend")
    missing = make_backend(request.param).missing()
    if missing:
        pytest.skip(missing)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return Case(request.param, tmp_path)


def test_a_static_bundle_opens_as_a_session_and_a_free_one_does_not(case):
    assert isinstance(case.open(), Session)
    free = case.open(shape=(None, 5))
    assert isinstance(free, FreeSession) and not isinstance(free, Session)


def test_rows_are_views_into_one_block(case):
    session = case.open()
    block = session.rows(0, 4)["in 1"]
    session.row(2)["in 1"][...] = 7
    assert block.shape == (4, *ROW) and (block[2] == 7).all() and not (block[1] == 7).any()
    assert np.shares_memory(session.row(3)["out"], session.rows(0, 4)["out"])
    assert block.ctypes.data % 64 == 0


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_n_rows_are_run_and_no_more(case, n):
    session = case.open()
    rows = session.rows(0, 4)
    rows["in 1"][...] = np.random.default_rng(n).random((4, *ROW))
    for _ in range(3):      # the first run of n binds, later ones reuse
        rows["out"][...] = -1
        session.run(n)
        assert np.array_equal(rows["out"][:n], rows["in 1"][:n])
        assert (rows["out"][n:] == -1).all()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_any_order_of_batch_sizes_gives_each_its_rows(case, order):
    session = case.open()
    rows = session.rows(0, 4)
    for i, n in enumerate(order):
        rows["in 1"][...] = i
        session.run(n)
        assert (rows["out"][:n] == i).all()


def test_without_a_batch_axis_the_row_is_the_whole_tensor(case):
    session = case.open(max_batch=0)
    assert session.capacity == 1 and session.row(0)["in 1"].shape == session.rows(0, 1)["in 1"].shape == ROW
    session.row(0)["in 1"][...] = 3
    session.run(1)
    assert (session.row(0)["out"] == 3).all()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64"])
def test_every_dtype_comes_back_as_it_went(case, dtype):
    session = case.open(dtype=dtype)
    sent = np.random.default_rng(0).integers(0, 2, ROW).astype(dtype)
    session.row(0)["in 1"][...] = sent
    session.run(1)
    assert session.row(0)["out"].dtype == dtype and np.array_equal(session.row(0)["out"], sent)


@pytest.mark.parametrize("n", [0, -1, 5])
def test_a_run_beyond_the_capacity_is_refused(case, n):
    session = case.open()
    with pytest.raises(IndexError):
        session.run(n)
    with pytest.raises(IndexError):
        session.rows(0, n)


def test_scalar_rows_are_arrays_too(case):
    session = case.open(shape=())
    session.row(1)["in 1"][...] = 5
    session.run(2)
    assert session.row(1)["out"].shape == () and session.row(1)["out"] == 5


def test_a_free_session_takes_any_size_and_only_the_asked_outputs(case):
    session = case.open(shape=(None, 5), max_batch=0)
    for n in (0, 1, 17):
        sent = np.random.default_rng(n).random((n, 5)).astype(np.float32)
        answer = session.run({"in 1": sent}, ["out"])
        assert list(answer) == ["out"] and np.array_equal(answer["out"], sent)
    assert session.inputs[0].shape == (None, 5)


def test_free_specs_of_a_batched_bundle_start_with_a_free_dimension(case):
    session = case.open(shape=(None, 5), max_batch=4)
    assert session.inputs[0].shape == (None, None, 5)
    sent = np.ones((2, 3, 5), np.float32)
    assert np.array_equal(session.run({"in 1": sent}, ["out"])["out"], sent)


def test_texts_travel_as_bytes(case):
    if case.backend == "openvino":       # it would end the process; it says so when the model is opened
        with pytest.raises(BundleError, match="of type bytes, which OpenVINO does not take"):
            case.open(shape=(None,), dtype="bytes", max_batch=0)
        return
    session = case.open(shape=(None,), dtype="bytes", max_batch=0)
    sent = np.array([b"", "zażółć 大".encode(), b"a\0b"], object)
    assert list(session.run({"in 1": sent}, ["out"])["out"]) == list(sent)


@pytest.mark.parametrize(("inputs", "outputs", "said"), [
    ({}, ["out"], "in 1"),
    ({"in 1": np.zeros((2, 5), np.float32), "more": np.zeros(1)}, ["out"], "more"),
    ({"in 1": np.zeros((2, 5), np.float64)}, ["out"], "expected float32"),
    ({"in 1": np.zeros((2, 6), np.float32)}, ["out"], r"\[-1, 5\]"),
    ({"in 1": np.zeros(5, np.float32)}, ["out"], r"\[-1, 5\]"),
    ({"in 1": [[1.0] * 5]}, ["out"], "list"),
    ({"in 1": np.zeros((2, 5), np.float32)}, ["other"], "other"),
])
def test_a_wrong_request_of_a_free_session_is_named(case, inputs, outputs, said):
    session = case.open(shape=(None, 5), max_batch=0)
    with pytest.raises(Invalid, match=said):
        session.run(inputs, outputs)


def test_close_gives_the_memory_back(case):
    session = case.open()
    session.run(1)
    session.close()
    free = case.open(shape=(None,), max_batch=0)
    free.close()
