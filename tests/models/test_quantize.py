"""Choosing layers and judging: a made-up tool whose INT8 layers have known errors, so that every decision can be foreseen."""

import numpy as np
import pytest
from aisle.models.bundle import BundleError
from aisle.models.calibrate import Sample
from aisle.models.quantize import at_least, quantize, split, steps
from hypothesis import given
from hypothesis import strategies as st

LAYERS = tuple(f"layer{i}" for i in range(8))


class Fake:
    """Adds up the errors of the layers that are in INT8; `harm` says how much each one shifts the score."""

    layers = LAYERS

    def __init__(self, harm=(), trt_harm=0.0):
        self.harm = dict(harm)
        self.trt_harm = trt_harm
        self.written = {}
        self.seen = 0

    def calibrate(self, feeds):
        self.seen = sum(1 for _ in feeds)

    def write(self, kind, path, floats=(), only=()):
        quantised = set(only) or set(LAYERS) - set(floats)
        self.written[path] = sum(self.harm.get(layer, 0.0) for layer in quantised) + (self.trt_harm if kind == "trt" else 0)
        path.write_bytes(b"x")

    def run(self, path):
        shift = self.written.get(path, 0.0)
        return lambda feed: {"y": np.array([[1.0, feed["x"][0] + shift]], np.float32)}


def samples(count=30):
    """Scores from 0 to 2 against 1: a shift turns the verdicts of those just below 1."""
    return [Sample(f"s{i}", {"x": np.array([2 * ((i * 7) % count) / count + 0.01], np.float32)}, lambda o: int(o["y"].argmax()))
            for i in range(count)]


def test_a_harmless_network_is_quantised_whole(tmp_path):
    tool = Fake()
    made = quantize(tool, samples(), tmp_path)
    assert made.floats == () and set(made.kept) == {"cpu", "trt"} and made.tried == 1
    assert made.kept["cpu"].agreement == 1 and made.kept["cpu"].max_error == 0
    assert (tool.seen, made.calibrated, made.kept["cpu"].samples) == (20, 20, 10)


def test_the_layer_that_hurts_is_kept_in_float_and_no_other(tmp_path):
    made = quantize(Fake({"layer5": 0.4, "layer2": 0.001}), samples(), tmp_path)
    assert made.floats == ("layer5",) and made.tried == 2


def test_two_that_hurt_are_found_worst_first(tmp_path):
    made = quantize(Fake({"layer5": 0.4, "layer1": 0.9}), samples(), tmp_path)
    assert made.floats == ("layer1", "layer5")


def test_what_no_choice_can_save_is_refused_with_its_best(tmp_path):
    with pytest.raises(BundleError, match=r"refused: at least 99.00%.*at best [0-9.]+%.*4 of 8 layers"):
        quantize(Fake(dict.fromkeys(LAYERS, 0.3)), samples(), tmp_path)


def test_tensorrts_file_is_dropped_alone(tmp_path):
    made = quantize(Fake(trt_harm=0.5), samples(), tmp_path)
    assert set(made.kept) == {"cpu"} and "the bound is 99.00%" in made.dropped["trt"]


def test_wrong_verdicts_are_named_and_counted(tmp_path):
    made = quantize(Fake({"layer0": 0.15}), samples(), tmp_path, bound=0.5)
    judged = made.kept["cpu"]
    assert judged.agreement < 1 and len(judged.wrong) == round((1 - judged.agreement) * judged.samples)
    assert judged.max_error == pytest.approx(0.15 / (2 * 29 / 30), rel=0.1)


def test_progress_ends_where_it_says(tmp_path):
    told = []
    quantize(Fake({"layer5": 0.4}), samples(), tmp_path, progress=lambda done, of, stage: told.append((stage, done, of)))
    assert {stage for stage, _, _ in told} == {"calibrate", "compare", "try", "layers"}
    for stage in ("calibrate", "compare", "layers"):
        last = [t for t in told if t[0] == stage][-1]
        assert last[1] == last[2]


def test_a_network_of_nan_is_said(tmp_path):
    class Broken(Fake):
        def run(self, path):
            return lambda feed: {"y": np.array([[1.0, np.nan]], np.float32)}

    with pytest.raises(BundleError, match="not numbers"):
        quantize(Broken(), samples(), tmp_path)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_samples_are_refused(count):
    with pytest.raises(BundleError, match=f"at least 8 .* got {count}"):
        split(samples(30)[:count])


def test_samples_that_are_all_the_same_are_refused():
    same = [Sample(f"s{i}", {"x": np.zeros(1, np.float32)}, lambda o: 0) for i in range(20)]
    with pytest.raises(BundleError, match="all 20 samples are the same"):
        split(same)


@given(st.integers(8, 200))
def test_every_sample_is_on_one_side_of_the_split(count):
    many = samples(count)
    shown, held = split(many)
    assert sorted(s.name for s in shown + held) == sorted(s.name for s in many)
    assert len(held) >= count // 3 and shown


@given(st.integers(1, 300))
def test_steps_grow_from_none_to_half(layers):
    counts = steps(layers)
    assert counts[0] == 0 and counts[-1] == layers // 2 and counts == sorted(set(counts))


def test_the_bound_of_all_agreeing_is_the_known_one():
    assert at_least(59, 59) == pytest.approx(0.05 ** (1 / 59), abs=1e-9)
    assert at_least(0, 10) == 0 and at_least(299, 300) < 299 / 300


@given(st.integers(1, 60), st.data())
def test_the_bound_never_exceeds_what_was_seen(of, data):
    right = data.draw(st.integers(0, of))
    assert 0 <= at_least(right, of) <= right / of + 1e-9


def test_layers_are_chosen_by_the_samples_of_the_calibration_too(tmp_path):
    """Where only those turn, the held-out ones would have let it pass."""
    many = [Sample(s.name, {"x": s.feed["x"] * (0.2 if i % 3 == 1 else 1)}, s.verdict) for i, s in enumerate(samples())]
    assert quantize(Fake({"layer5": 0.4}), many, tmp_path).floats == ("layer5",)
