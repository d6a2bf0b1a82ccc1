"""What is seen of tensors: extremes of all values, the range with the least error, and means by channel of chosen samples."""

import numpy as np
import pytest
from aisle.models.make import nets
from hypothesis import example, given
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from aisle.runtime.backends import onnx_ranges as module  # noqa: E402


def error(values, low, high):
    step = (high - low) / module.LEVELS
    zero = round(-low / step)
    return float(np.mean(((np.clip(np.rint(values / step) + zero, 0, module.LEVELS) - zero) * step - values) ** 2))


def test_a_rare_extreme_is_clipped_where_that_helps_all_others():
    values = np.append(np.random.default_rng(0).uniform(0, 1, 100_000), 9.0).astype(np.float32)
    low, high = module.least_squares(values, 0.0, 9.0)
    assert low == 0 and 1 <= high < 9 and error(values, low, high) < error(values, 0, 9)


def test_an_even_spread_keeps_its_whole_range():
    values = np.random.default_rng(0).uniform(-3, 5, 50_000).astype(np.float32)
    assert module.least_squares(values, -3.0, 5.0) == (-3.0, 5.0)


@example([-60.10546875, -84.6796875])
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50))
def test_the_range_holds_zero_and_is_never_worse_than_the_whole(numbers):
    values = np.array(numbers, np.float32)
    low, high = float(min(0, values.min())), float(max(0, values.max()))
    found = module.least_squares(values, low, high)
    assert low <= found[0] <= 0 <= found[1] <= high and {type(end) for end in found} == {float}
    if high - low > 1e-6:
        assert error(values, *found) <= error(values, low, high) * 1.001 + 1e-12


def feeds(count):
    rng = np.random.default_rng(1)
    return [{"image": rng.standard_normal((1, 3, 32, 32)).astype(np.float32)} for _ in range(count)]


def test_the_network_is_watched_at_the_tensors_that_were_asked(tmp_path):
    path = nets.features(tmp_path / "net.onnx", "residual", 32, 8)
    node = onnx.load(path).graph.node[0]
    given_feeds = feeds(5)
    seen = module.watch(path, given_feeds, ["image", node.output[0]], [node.output[0]])
    every = np.concatenate([f["image"] for f in given_feeds])
    assert (seen.low["image"], seen.high["image"]) == (every.min(), every.max())
    assert seen.sizes == {"image": 3072, node.output[0]: 8 * 16 * 16} and seen.mean(node.output[0]).shape == (8,)
    ranges = seen.ranges(module.WHOLE)
    assert [float(end) for end in ranges["image"].range_value] == [every.min(), every.max()]
    assert set(module.WAYS) == {module.WHOLE, module.SQUARES} and seen.ranges(module.SQUARES)["image"]


def test_means_are_those_of_the_samples_that_set_the_biases(monkeypatch):
    seen = module.Seen()
    for i in range(100):
        seen.add({"x": np.zeros(1)}, {"t": np.full((1, 2, 3, 3), i, np.float32)}, ["t"])
    assert len(seen.chosen()) == module.MEANS and seen.mean("t") == pytest.approx(np.mean(seen.chosen()))
    monkeypatch.setattr(module, "HELD_BYTES", 0)
    assert seen.chosen() == [i * 100 // 8 for i in range(8)]


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 10)
    monkeypatch.setattr(module, "MOST", 25)
    seen = module.Seen()
    for i in range(20):
        seen.add({}, {"t": np.arange(1000, dtype=np.float32) + min(i, 3), "whole": np.arange(3)}, [])
        assert sum(part.size for part in seen._kept["t"]) <= 50
    assert seen._some("t").size == 25 and (seen.low["t"], seen.high["t"]) == (0, 1002) and "whole" not in seen.low


def test_a_tensor_without_channels_has_no_mean():
    seen = module.Seen()
    seen.add({}, {"t": np.ones(4, np.float32)}, ["t"])
    assert seen.mean("t") is None
