"""94 models made by others: those that load answer as the reference says, the others are refused in a sentence."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, BundleError
from aisle.runtime.backends import Session
from aisle.runtime.backends.onnx import OnnxBackend

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))

MANIFEST = DATA / "onnx" / "manifest.json"
ENTRIES = json.loads(MANIFEST.read_text())["models"] if MANIFEST.is_file() else []
DEVICE = DeviceProfile("test", threads=1)
LOCALE_DEPENDS = "onnxruntime_go__example_strings.onnx"     # wants en_US.UTF-8 on the machine
HEAVY = 1 << 28                                             # bytes of input, which the suite need not spend
ALONE = ("tract__qlstm", "tract__qtdnn")                    # their free first dimension is time, not a batch


def name_of(entry):
    return Path(entry["file"]).name


def described(entry, cache):
    bundle = Bundle("foreign", "1", "model", DATA / "onnx" / "models", files={("onnx", "fp32"): name_of(entry)})
    backend = OnnxBackend(cache)
    return backend, backend.describe(bundle)


def test_the_manifest_is_all_there(foreign):
    assert len(ENTRIES) == 94 and sum(e["loads"] for e in ENTRIES) == 74


@pytest.mark.parametrize("entry", [e for e in ENTRIES if not e["loads"]], ids=name_of)
def test_a_broken_model_is_refused_in_a_sentence(entry, cache):
    try:
        described(entry, cache)
    except BundleError as error:
        sentence = str(error)
        assert name_of(entry) in sentence and "; " in sentence and "\n" not in sentence and len(sentence) < 700
        assert "ONNXRuntimeError" not in sentence and "/onnxruntime_src" not in sentence
    else:
        assert name_of(entry) == LOCALE_DEPENDS


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e["loads"]], ids=name_of)
def test_a_sound_model_answers_as_the_reference(entry, cache):
    backend, bundle = described(entry, cache)
    inputs = inputs_of(entry)
    if inputs is None or sum(a.nbytes for a in inputs.values()) > HEAVY:
        assert {s.name for s in bundle.outputs} == {o["name"] for o in entry["outputs"]}
        return
    session = backend.open(bundle, DEVICE)
    outputs = run(session, inputs)
    compare(entry, outputs)
    session.close()


@pytest.mark.parametrize("entry", [e for e in ENTRIES if name_of(e).startswith(ALONE)], ids=name_of)
def test_time_is_not_taken_for_a_batch(entry, cache):
    assert described(entry, cache)[1].max_batch == 0


def test_both_paths_agree_on_the_same_model(foreign, cache):
    entry = next(e for e in ENTRIES if name_of(e) == "server__simple.onnx")
    backend, bundle = described(entry, cache)
    inputs = inputs_of(entry)
    free = replace(bundle, inputs=tuple(replace(s, optional=True) for s in bundle.inputs))
    rows = run(backend.open(bundle, DEVICE), inputs)
    whole = run(backend.open(free, DEVICE), inputs)
    assert rows.keys() == whole.keys() and all(np.array_equal(rows[k], whole[k]) for k in rows)


def inputs_of(entry):
    """The reference's inputs by name, None where there is no reference."""
    if "reference" in entry and (entry["inputs"] == [] or arrays(entry, "in:")):
        return arrays(entry, "in:") | texts(entry, "input:")
    if "reference_json" in entry:
        return texts(entry, "input:")
    if "reference_seed" in entry:
        rng, made = np.random.default_rng(entry["reference_seed"]), {}
        kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
        for given in entry["inputs"]:
            shape = entry["input_shapes"][given["name"]]
            if given["type"] in kinds:
                made[given["name"]] = rng.random(shape).astype(kinds[given["type"]])
            else:
                high = 3 if given["type"] in ("tensor(int32)", "tensor(int64)") else 100
                made[given["name"]] = rng.integers(0, high, shape).astype(given["type"][7:-1])
        return made
    return None


def arrays(entry, prefix):
    with np.load(DATA / "onnx" / entry["reference"]) as stored:
        return {k.removeprefix(prefix): stored[k] for k in stored.files if k.startswith(prefix)}


def texts(entry, prefix):
    if "reference_json" not in entry:
        return {}
    stored = json.loads((DATA / "onnx" / entry["reference_json"]).read_text())
    return {k.removeprefix(prefix): as_bytes(v) for k, v in stored.items() if k.startswith(prefix)}


def as_bytes(nested):
    array = np.array(nested, object)
    array.reshape(-1)[:] = [t.encode() if isinstance(t, str) else t for t in array.reshape(-1)]
    return array


def run(session, inputs):
    if not isinstance(session, Session):
        return session.run(inputs, [])
    n = next(iter(inputs.values())).shape[0] if session.inputs and session.capacity > 1 else 1
    rows = session.rows(0, n)
    for name, array in inputs.items():
        rows[name][...] = array
    session.run(n)
    return {spec.name: rows[spec.name].copy() for spec in session.outputs}


def compare(entry, outputs):
    half = any("float16" in t["type"] for t in entry["inputs"] + entry["outputs"])
    close = {"rtol": 5e-3 if half else 1e-4, "atol": 5e-3 if half else 1e-5}
    if "reference" in entry:
        for name, wanted in arrays(entry, "out:").items():
            got = outputs[name]
            assert got.shape == wanted.shape and got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, **close)
    for name, stats in entry.get("reference_stats", {}).items():
        got = outputs[name].astype(np.float64)
        np.testing.assert_allclose(got.mean(), stats["mean"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(got.std(), stats["std"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(got.reshape(-1)[:8], stats["first"], rtol=5e-3 if half else 1e-3, atol=1e-4)
    if "reference_json" in entry:
        stored = json.loads((DATA / "onnx" / entry["reference_json"]).read_text())
        for key, wanted in stored.items():
            if key.startswith("output:"):
                assert same(outputs[key.removeprefix("output:")], wanted), key


def same(got, wanted):
    """Strings equal, maps equal by key as text and value to 1e-4."""
    if isinstance(wanted, list):
        return len(got) == len(wanted) and all(same(g, w) for g, w in zip(got, wanted, strict=True))
    if isinstance(wanted, dict):
        return {str(k) for k in got} == set(wanted) and all(abs(v - wanted[str(k)]) < 1e-4 for k, v in got.items())
    return got == (wanted.encode() if isinstance(wanted, str) else wanted)
