"""What the backend tests share: a device, bundles, and the foreign models."""

import os
from pathlib import Path

import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))


@pytest.fixture
def device() -> DeviceProfile:
    return DeviceProfile("test", threads=1)


@pytest.fixture(scope="session")
def foreign() -> Path:
    """The folder of foreign ONNX models."""
    folder = DATA / "onnx"
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"the foreign models are not at {folder}; set AISLE_DATA")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One memory of facts for the whole run, away from the user's own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def onnx_bundle(tmp_path):
    """Makes a bundle whose model file holds the given bytes or ModelProto."""
    def make(model, **facts) -> Bundle:
        data = model if isinstance(model, bytes) else model.SerializeToString()
        (tmp_path / "model.onnx").write_bytes(data)
        return Bundle("m", "1", "model", tmp_path, files={("onnx", "fp32"): "model.onnx"}, **facts)
    return make
