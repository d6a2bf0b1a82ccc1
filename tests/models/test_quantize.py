"""Choosing layers and judging: a made-up tool whose INT8 layers have known errors, so that every decision can be foreseen."""

import numpy as np
import pytest
from aisle.models.bundle import BundleError
from aisle.models.calibrate import Sample
from aisle.models.quantize import quantize, split, steps
from hypothesis import given
from hypothesis import strategies as st

LAYERS = tuple(f"layer{i}" for i in range(8))


class Fake:
    """Adds up the errors of the layers that are in INT8; `harm` says how much each one shifts the score."""

    layers = LAYERS
    head = ("last",)

    def __init__(self, harm=(), trt_harm=0.0, ways=(("fine", 1.0),), work=()):
        self.harm = dict(harm)
        self.trt_harm = trt_harm
        self.coarse = dict(ways)
        self.ways = tuple(self.coarse)
        self.shares = {**dict.fromkeys(LAYERS, 1 / len(LAYERS)), **dict(work)}
        self.written = {}
        self.seen = 0

    def calibrate(self, feeds):
        self.seen = sum(1 for _ in feeds)

    def work(self):
        return self.shares

    def write(self, kind, path, floats=(), only=(), *, ranges, settle=False):
        assert settle != bool(only)
        quantised = set(only) or set(LAYERS) - set(floats)
        off = self.coarse[ranges] * sum(self.harm.get(layer, 0.0) for layer in quantised)
        self.written[path] = off + (self.trt_harm if kind == "trt" else 0)
        path.write_bytes(b"x")

    def run(self, path):
        """What is off grows with the score, as rounding does: a shift alone would be set right by biases."""
        off = self.written.get(path, 0.0)
        return lambda feed: {"y": np.array([[1.0, feed["x"][0] * (1 + off)]], np.float32)}


def samples(count=30):
    """Scores from 0 to 2 against 1: a shift turns the verdicts of those just below 1."""
    return [Sample(f"s{i}", {"x": np.array([2 * ((i * 7) % count) / count + 0.01], np.float32)}, lambda o: o["y"][0])
            for i in range(count)]


def test_a_harmless_network_is_quantised_whole(tmp_path):
    tool = Fake()
    made = quantize(tool, samples(), tmp_path)
    assert made.floats == () and set(made.kept) == {"cpu", "trt"} and (made.tried, made.looks) == (1, 1)
    assert made.head == ("last",) and made.ranges == "fine" and (tmp_path / "cpu.onnx").exists()
    assert made.kept["cpu"].agreement == 1 and made.kept["cpu"].max_error == 0
    assert (tool.seen, made.calibrated, made.kept["cpu"].samples) == (20, 20, 10)


def names(made):
    return tuple(hurt.layer for hurt in made.floats)


def test_the_layer_that_hurts_is_kept_in_float_and_no_other(tmp_path):
    made = quantize(Fake({"layer5": 0.4, "layer2": 0.001}), samples(), tmp_path)
    assert names(made) == ("layer5",) and made.tried == 2
    assert made.floats[0].error > 0.99 and made.floats[0].work == 1 / 8


def test_two_that_hurt_are_found_worst_first(tmp_path):
    made = quantize(Fake({"layer5": 0.4, "layer1": 0.9}), samples(), tmp_path)
    assert names(made) == ("layer1", "layer5")


def test_of_layers_that_hurt_alike_the_one_with_less_work_goes_first(tmp_path):
    made = quantize(Fake({"layer5": 0.4, "layer1": 0.4}, work={"layer5": 0.01}), samples(), tmp_path)
    assert names(made) == ("layer5", "layer1")


def test_no_more_layers_than_needed_stay_in_float(tmp_path):
    """Three are needed; of 1, 2 and 4 the last holds, and halving finds three."""
    made = quantize(Fake({"layer5": 0.4, "layer1": 0.9, "layer3": 0.3, "layer7": 0.001}), samples(), tmp_path)
    assert names(made) == ("layer1", "layer5", "layer3") and made.tried == 5


def test_the_ranges_with_the_least_error_are_tried_first(tmp_path):
    made = quantize(Fake({"layer5": 0.4}, ways=(("coarse", 1.0), ("fine", 1e-4))), samples(), tmp_path)
    assert made.ranges == "fine" and made.floats == () and (made.tried, made.looks) == (2, 1)
    for ways in ((("fine", 1e-4), ("rough", 1e-3)), (("rough", 1e-3), ("fine", 1e-4))):
        made = quantize(Fake({"layer5": 0.4}, ways=ways), samples(), tmp_path)
        assert made.ranges == "fine" and made.looks == 1


def test_held_out_samples_are_neither_seen_nor_asked_before_a_choice_holds(tmp_path):
    asked = []
    many = [Sample(s.name, s.feed, lambda o, s=s: asked.append(s.name) or s.weigh(o)) for s in samples()]
    with pytest.raises(BundleError):
        quantize(Fake(dict.fromkeys(LAYERS, 0.3)), many, tmp_path)
    held = {s.name for s in split(many)[1]}
    assert all(asked.count(name) == 1 for name in held)         # by FP32 alone


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
    same = [Sample(f"s{i}", {"x": np.zeros(1, np.float32)}, lambda o: np.zeros(2)) for i in range(20)]
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


def test_layers_are_chosen_by_the_samples_of_the_calibration_too(tmp_path):
    """Where only those turn, the held-out ones would have let it pass."""
    many = [Sample(s.name, {"x": s.feed["x"] * (0.2 if i % 3 == 1 else 1)}, s.weigh) for i, s in enumerate(samples())]
    assert quantize(Fake({"layer5": 0.4}), many, tmp_path).floats[0].layer == "layer5"
