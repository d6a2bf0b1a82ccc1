"""What the engines' tests share: a fake builder and its orders, a bundle, a cache."""

import json
import os
import sys
from pathlib import Path

import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, TensorSpec, digest
from aisle.models.bundle_file import write_bundle_toml
from aisle.models.make.onnx_models import identity
from aisle.runtime.engine_wish import wish_of
from aisle.runtime.engines import BUILDERS
from aisle.runtime.engines.cache import EngineCache

HERE = Path(__file__).parent
DEVICE = DeviceProfile("test", backends=("fake", "onnx"), precisions=("fp32",), threads=1)


@pytest.fixture(scope="session")
def facts(tmp_path_factory):
    """One memory of the models' facts for the whole run."""
    return tmp_path_factory.mktemp("facts")


@pytest.fixture
def orders(tmp_path, monkeypatch, facts):
    """Tells the fake builder what to do; `orders.builds()` is what it did."""
    path = tmp_path / "orders.json"

    def give(**what):
        path.write_text(json.dumps(what))
    give.builds = lambda: [line.split()[0] for line in path.with_suffix(".log").read_text().splitlines()] \
        if path.with_suffix(".log").exists() else []
    give()
    monkeypatch.setenv("AISLE_FAKE_ORDERS", str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(facts))
    monkeypatch.syspath_prepend(str(HERE))
    from aisle.runtime.backends import BACKENDS, TAKES
    monkeypatch.setitem(BACKENDS, "fake", "fake_backend:FakeBackend")
    monkeypatch.setitem(TAKES, "fake", ("fake", "onnx"))
    monkeypatch.setitem(BUILDERS, "fake", "fake_engines:FakeBuilder")
    yield give
    for name in ("fake_engines", "fake_backend"):
        sys.modules.pop(name, None)


def write_bundle(root, name="m", version="1", **more):
    """A bundle whose network gives what it takes."""
    folder = root / name / version
    folder.mkdir(parents=True, exist_ok=True)
    identity(folder / "m.onnx", (4,), "float32", input_name="x", output_name="y")
    bundle = Bundle(name, version, "model", folder, (TensorSpec("x", "float32", (4,)),), (TensorSpec("y", "float32", (4,)),),
                    {("onnx", "fp32"): "m.onnx"}, max_batch=4, sha256={"m.onnx": digest(folder / "m.onnx")}, **more)
    write_bundle_toml(bundle, folder)
    return bundle


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "models")


@pytest.fixture
def make_bundle():
    """See `write_bundle`."""
    return write_bundle


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines", 64 << 20)


@pytest.fixture
def wish(bundle, orders):
    made = wish_of(bundle, DEVICE)
    assert made is not None
    return made
