"""The encoder's ONNX files against the same sum in NumPy."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
from aisle.models.recommend.encoder import Weights, encode, onnx

ort = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


def made(d: int = 16, length: int = 7, heads: int = 2, middle: int = 12, seed: int = 1) -> Weights:
    rng = np.random.default_rng(seed)
    shapes = {"place": (length, d), "up": (d, middle), "up_bias": (middle,), "down": (middle, d)}
    square = ("query", "key", "value", "out")
    return Weights(**{f.name: (rng.standard_normal(shapes.get(f.name, (d, d) if f.name in square else (d,))) * 0.3).astype("f4")
                      for f in fields(Weights) if f.name != "heads"}, heads=heads)


def runner(model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda history: session.run(None, {"history": history})[0]


def histories(weights: Weights, batch: int = 9) -> np.ndarray:
    rng = np.random.default_rng(2)
    out = rng.standard_normal((batch, weights.length, weights.depth)).astype(np.float32)
    for row in range(batch):
        out[row, :min(row, weights.length)] = 0       # from whole to empty
    return out


@pytest.mark.parametrize("heads", [1, 2])
def test_fp32_is_the_same_sum(heads: int) -> None:
    weights = made(heads=heads)
    given = histories(weights)
    wanted = encode(weights, given)
    run = runner(onnx(weights))
    assert np.isfinite(wanted).all() and np.abs(run(given) - wanted).max() < 1e-4
    assert np.abs(run(given[:1]) - wanted[:1]).max() < 1e-4


def test_int8_is_near() -> None:
    weights = made(32)
    given = histories(weights)
    wanted, got = encode(weights, given), runner(onnx(weights, "int8"))(given)
    close = (wanted * got).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(got, axis=1)
    assert close.min() > 0.99 and not np.array_equal(wanted, got)


def test_what_is_not_there_does_not_count() -> None:
    weights = made()
    given = histories(weights)[3:4]
    changed = weights.place.copy()
    changed[:3] = 7
    moved = Weights(**{f.name: getattr(weights, f.name) for f in fields(Weights)} | {"place": changed})
    assert np.allclose(encode(weights, given), encode(moved, given), atol=1e-6)
