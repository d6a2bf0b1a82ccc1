"""The part of gpu-check that runs one network on every backend: rows of those that run, a sentence of those that cannot."""

import os
from pathlib import Path

import pytest
from aisle.bench import gpu_backends
from aisle.bench.report import Options
from aisle.models.make.onnx_models import conv_net
from aisle.runtime.backends import BACKENDS
from aisle.runtime.engines import BUILDERS

FAKES = Path(__file__).parents[1] / "runtime" / "backends"


@pytest.fixture(autouse=True)
def short(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_backends, "features", lambda path, kind, size: conv_net(path, 16))
    monkeypatch.setattr(gpu_backends, "QUICK_BUDGET_S", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_cannot_run_says_why():
    rows = list(gpu_backends.run(Options(quick=True, only="TensorRT")))
    assert [r.case for r in rows] == ["ONNX Runtime on the CPU"] * 2 + ["TensorRT"]
    assert rows[2].value is None and "TensorRT is not installed" in rows[2].note


def test_an_engine_is_built_compared_and_timed(monkeypatch):
    monkeypatch.syspath_prepend(str(FAKES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setitem(BACKENDS, "tensorrt", "over_fakes:FakedBackend")
    monkeypatch.setitem(BUILDERS, "tensorrt", "over_fakes:FakedBuilder")
    rows = [r for r in gpu_backends.run(Options(quick=True, only="TensorRT")) if r.case == "TensorRT"]
    assert [r.metric for r in rows] == ["difference from the CPU", "built, compared and loaded", "one row", "8 rows"]
    assert rows[0].met and rows[3].ratio > 0


def test_a_backend_that_answers_otherwise_does_not_pass(monkeypatch):
    monkeypatch.setattr(gpu_backends, "apart", lambda *_: 0.5)
    monkeypatch.setattr(gpu_backends, "PLACES", (gpu_backends.Place("ONNX again", "onnx"),))
    rows = {r.metric: r for r in gpu_backends.run(Options(quick=True))}
    assert rows["difference from the CPU"].met is False
