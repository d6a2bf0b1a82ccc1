"""bundle.toml: what is written is read back equal, and every mistake is told at once with its place."""

import string
from dataclasses import replace
from pathlib import Path

import pytest
from aisle.models.bundle import DTYPES, Bundle, BundleError, QueuePolicy, TensorSpec
from aisle.models.bundle_file import MAX_TOML_BYTES, read_bundle, write_bundle_toml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = 'name = "a"\nversion = "1"\nrole = "inspector"\n'


def read(folder: Path, text: str | bytes) -> Bundle:
    (folder / "bundle.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_bundle(folder)


def mistakes(folder: Path, text: str | bytes) -> str:
    with pytest.raises(BundleError) as caught:
        read(folder, text)
    assert str(folder / "bundle.toml") in str(caught.value)
    return str(caught.value)


def test_the_least_bundle(tmp_path):
    assert read(tmp_path, GOOD) == Bundle("a", "1", "inspector", tmp_path)


def test_everything_is_read(tmp_path):
    got = read(tmp_path, GOOD + """
licence = "MIT"
max_batch = 4
canary = "canary.npz"
[[files]]
backend = "onnx"
precision = "int8"
path = "weights/net.cpu.onnx"
[[inputs]]
name = "pixel values"
dtype = "uint8"
shape = [-1, 64, 3]
[[outputs]]
name = "scores"
dtype = "float32"
shape = []
optional = true
labels = ["good", "bad"]
[queue]
wait_us = 500
[params]
threshold = 0.5
nested = {a = [[1, 2], [3]]}
[sha256]
"weights/net.cpu.onnx" = "%s"
""" % ("AB" * 32))
    assert got.files == {("onnx", "int8"): "weights/net.cpu.onnx"} and got.max_batch == 4
    assert got.inputs == (TensorSpec("pixel values", "uint8", (None, 64, 3)),)
    assert got.outputs == (TensorSpec("scores", "float32", (), True, ("good", "bad")),)
    assert got.queue == QueuePolicy(wait_us=500) and got.params["nested"] == {"a": [[1, 2], [3]]}
    assert got.sha256 == {"weights/net.cpu.onnx": "ab" * 32} and got.canary == "canary.npz" and got.licence == "MIT"


@pytest.mark.parametrize(("line", "place", "expected"), [
    ("colour = 1", "`colour`", "the keys here are name, version"),
    ("max_batch = -1", "`max_batch`", "0 to 4096, got -1"),
    ("max_batch = true", "`max_batch`", "got True"),
    ('max_batch = "8"', "`max_batch`", "got '8'"),
    ('canary = "../x.npz"', "`canary`", "relative path"),
    ('licence = ["MIT"]', "`licence`", "text"),
    ("files = 3", "`files`", "[[files]]"),
    ('[[files]]\nbackend = "onnx"\nprecision = "fp32"', "`files[0].path`", "missing"),
    ('[[files]]\nbackend = "onnx"\nprecision = "fp32"\npath = "/etc/passwd"', "`files[0].path`", "relative"),
    ('[[files]]\nbackend = "onnx"\nprecision = "fp32"\npath = "a//b"', "`files[0].path`", "relative"),
    ('[[files]]\nbackend = "o/x"\nprecision = "fp32"\npath = "a"', "`files[0].backend`", "A-Z"),
    ('[[files]]\nbackend = "x"\nprecision = "y"\npath = "a"\n' * 2, "`files[1]`", "given twice"),
    ('[[inputs]]\nname = "x"\ndtype = "float"\nshape = []', "`inputs[0].dtype`", "float32, float64"),
    ('[[inputs]]\nname = ""\ndtype = "int8"\nshape = []', "`inputs[0].name`", "printable"),
    ('[[inputs]]\nname = "x"\ndtype = "int8"\nshape = [-2]', "`inputs[0].shape`", "-1 for a free"),
    ('[[inputs]]\nname = "x"\ndtype = "int8"\nshape = [1.5]', "`inputs[0].shape`", "whole numbers"),
    ('[[inputs]]\nname = "x"\ndtype = "int8"\nshape = []\noptional = 1', "`inputs[0].optional`", "true or false"),
    ('[[inputs]]\nname = "x"\ndtype = "int8"\nshape = []\nsize = 1', "`inputs[0].size`", "unknown"),
    ('[[outputs]]\nname = "x"\ndtype = "int8"\nshape = []\nlabels = [1]', "`outputs[0].labels`", "texts"),
    ('[[inputs]]\nname = "x"\ndtype = "int8"\nshape = []\n' * 2, "`inputs[1]`", "given twice"),
    ("[queue]\nwait_ms = 1", "`queue.wait_ms`", "wait_us"),
    ('[queue]\ntimeout_action = "DROP"', "`queue.timeout_action`", "REJECT, DELAY"),
    ("params = 3", "`params`", "a table"),
    ('[sha256]\n"../x" = "%s"' % ("0" * 64), "`sha256`", "relative"),
    ('[sha256]\nx = "12"', "`sha256.x`", "64 hexadecimal"),
    ("sha256 = 1", "`sha256`", "path = digest"),
])
def test_a_mistake_is_told_with_place_and_accepted_values(tmp_path, line, place, expected):
    said = mistakes(tmp_path, GOOD + line)
    assert place in said and expected in said and "has 1 mistake" in said


def test_all_mistakes_are_told_at_once(tmp_path):
    said = mistakes(tmp_path, 'name = "a b"\nversion = "01"\nfoo = 1\n[params]\n[sha256]\nx = 1\n')
    assert "5 mistakes" in said
    assert all(place in said for place in ("`name`", "`version`", "`role` is missing", "`foo`", "`sha256.x`"))


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "ż", "x" * 129, 3])
def test_names_are_restricted(tmp_path, name):
    assert "`name`" in mistakes(tmp_path, GOOD.replace('"a"', f'"{name}"' if isinstance(name, str) else str(name)))


@pytest.mark.parametrize("data", [b"\xff\xfe", b"name = ", b"[a]\n[a]\n", b"a = " + b"[" * 5000])
def test_what_is_no_toml_is_said(tmp_path, data):
    assert "is not TOML" in mistakes(tmp_path, data)


def test_a_file_beyond_the_limit_is_refused(tmp_path):
    assert "over" in mistakes(tmp_path, GOOD + "#" * MAX_TOML_BYTES)


def test_a_folder_without_the_file_is_said(tmp_path):
    with pytest.raises(BundleError, match=r"a bundle is a folder with a bundle\.toml"):
        read_bundle(tmp_path)


NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12)
TENSORS = st.lists(st.builds(
    TensorSpec, NAMES, st.sampled_from(DTYPES),
    st.lists(st.none() | st.integers(0, 2**40), max_size=4).map(tuple), st.booleans(),
    st.lists(TEXTS, max_size=3).map(tuple)), max_size=3, unique_by=lambda s: s.name).map(tuple)
BUNDLES = st.builds(
    Bundle, NAMES, st.integers(0, 10**17).map(str), NAMES, st.just(Path()), inputs=TENSORS, outputs=TENSORS,
    files=st.dictionaries(st.tuples(NAMES, NAMES), NAMES, max_size=2), max_batch=st.integers(0, 4096),
    params=st.dictionaries(TEXTS, VALUES, max_size=4), sha256=st.dictionaries(NAMES, st.just("0" * 64), max_size=2),
    licence=TEXTS, canary=st.none() | NAMES,
    queue=st.builds(QueuePolicy, wait_us=st.integers(0, 10**6), timeout_action=st.sampled_from(["REJECT", "DELAY"])))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bundle=BUNDLES)
def test_what_is_written_is_read_back(tmp_path, bundle):
    write_bundle_toml(bundle, tmp_path)
    assert read_bundle(tmp_path) == replace(bundle, root=tmp_path)


@pytest.mark.parametrize("wrong", [{"name": "a/b"}, {"params": {"x": None}}, {"params": {"x": 2**63}},
                                   {"params": {"x": "\ud800"}}, {"files": {("onnx", "fp32"): "../x"}}])
def test_a_bundle_that_could_not_be_read_is_not_written(tmp_path, wrong):
    good = Bundle("a", "1", "model", tmp_path)
    path = write_bundle_toml(good, tmp_path)
    before = path.read_bytes()
    with pytest.raises(BundleError):
        write_bundle_toml(replace(good, **wrong), tmp_path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["bundle.toml"]
