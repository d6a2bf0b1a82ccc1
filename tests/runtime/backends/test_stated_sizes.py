"""A file that leaves sizes free and a bundle that states them: rows share runs, on every backend; without, a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, TensorSpec
from aisle.models.make.onnx_proto import node, value, write
from aisle.runtime.backends import Session, make_backend
from aisle.runtime.backends.tensors import free_note
from aisle.runtime.loading import open_bundle

SPECS = (TensorSpec("image", "float32", (3, 6, 8)),), (TensorSpec("small", "float32", (3, 3, 4)),)


@pytest.fixture
def free_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Halves pictures of any size; model.onnx in the folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "model.onnx", "half",
          [node("AveragePool", ["image"], ["small"], {"kernel_shape": [2, 2], "strides": [2, 2]})],
          [value("image", "float32", ["n", 3, "h", "w"])], [value("small", "float32", ["n", 3, "h2", "w2"])])
    return tmp_path


def stated(folder: Path, backend: str, max_batch: int = 4) -> Bundle:
    return Bundle("half", "1", "model", folder, *SPECS, {(backend, "fp32"): "model.onnx"}, max_batch)


def halves(session: Session) -> None:
    """One row, and all, each answered as it is alone."""
    rows = np.random.default_rng(1).random((4, 3, 6, 8)).astype(np.float32)
    wanted = rows.reshape(4, 3, 3, 2, 4, 2).mean((3, 5))
    for n in (1, 4, 1):
        session.rows(0, n)["image"][...] = rows[:n]
        session.run(n)
        np.testing.assert_allclose(session.rows(0, n)["small"], wanted[:n], rtol=1e-5)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_stated_sizes_are_rows_that_share_runs(free_file, backend):
    if why := make_backend(backend).missing():
        pytest.skip(why)
    opened = open_bundle(stated(free_file, backend), DeviceProfile("d", backends=(backend,), precisions=("fp32",), threads=1))
    assert isinstance(opened.sessions[0], Session) and opened.bundle.max_batch == 4 and free_note(opened.bundle) == ""
    halves(opened.sessions[0])
    opened.close()


def test_an_engine_is_built_for_the_stated_sizes(free_file, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import fake_tensorrt
    import over_fakes
    session = over_fakes.FakedBackend().open(stated(free_file, "tensorrt"), DeviceProfile("d", threads=1))
    halves(session)
    session.close()
    fake_tensorrt.MEMORY.clear()


def test_an_engine_of_other_sizes_is_still_refused(free_file, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import fake_tensorrt
    import over_fakes
    wrong = TensorSpec("small", "float32", (4, 3, 4))
    bundle = Bundle("half", "1", "model", free_file, SPECS[0], (wrong,), {("tensorrt", "fp32"): "model.onnx"}, 4)
    with pytest.raises(Exception, match=r"has 'small' as output .* expected float32 \[-1, 4, 3, 4\]"):
        over_fakes.FakedBackend().open(bundle, DeviceProfile("d", threads=1))
    fake_tensorrt.MEMORY.clear()


def test_without_them_loading_says_what_to_state(free_file, caplog):
    caplog.set_level("INFO")
    plain = Bundle("half", "1", "model", free_file, files={("onnx", "fp32"): "model.onnx"})
    opened = open_bundle(plain, DeviceProfile("d", threads=1))
    assert ("model 'half' version 1: its requests run one by one, and no engine can be built of it, as 'image' has sizes "
            "[-1, 3, -1, -1]; where requests always have the same sizes, state those") in caplog.text
    assert not isinstance(opened.sessions[0], Session)


def test_nothing_is_advised_that_would_not_help():
    def note(max_batch: int, *shape: int | None, dtype: str = "float32", **more: bool) -> str:
        return free_note(Bundle("m", "1", "model", Path("."), (TensorSpec("x", dtype, shape, **more),), max_batch=max_batch))
    assert note(0, None, 4) == "" and note(4, 4) == "" and note(0, 2, 4) == ""
    assert note(0, None, None, dtype="bytes") == "" == note(0, 1, None, optional=True) == note(0, 1, None, any_rank=True)
    assert note(0, None, None) and note(4, None)
