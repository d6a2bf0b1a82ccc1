"""A text encoder written from weights gives the vectors of NumPy; tokenizing is BERT's; damaged sources are said."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aisle.models.bundle import Bundle, BundleError, TensorSpec
from aisle.models.bundle_file import read_bundle
from aisle.models.make.small_bert import CONFIG, VOCABULARY, WIDTH, safetensors, weights, write
from aisle.models.search.bert import onnx_bytes, plain_vectors, read_shape
from aisle.models.search.encoder import SAMPLES, make_encoder, read_encoder, read_source
from aisle.models.search.wordpiece import WordPiece
from aisle.runtime.cli.search import run_once


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a small encoder."""
    write(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("precision", "cosine"), [("fp32", 0.99999), ("int8", 0.97)])
def test_the_graph_gives_the_vectors_of_numpy(precision: str, cosine: float) -> None:
    shape, made = read_shape(json.dumps(CONFIG).encode()), weights()
    ids, mask = WordPiece({piece: i for i, piece in enumerate(VOCABULARY)}).encode(["non-slip shoes", "rain",
        "the shoe is happy " * 5], 32)
    got = run_once(onnx_bytes(made, shape, precision), {"input_ids": ids, "attention_mask": mask})
    wanted = plain_vectors(made, shape, ids, mask)
    assert (got * wanted).sum(axis=1).min() >= cosine and np.allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    alone = run_once(onnx_bytes(made, shape, "fp32"), {"input_ids": ids[1:2, :3], "attention_mask": mask[1:2, :3]})
    assert (alone @ wanted[1]).item() > 0.9999      # filling does not count


def test_pieces() -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "shoe", "##s", "rain", "non", "-", "slip", "the", "雨"]
    pieces = WordPiece({piece: i for i, piece in enumerate(words)})
    assert [words[i] for i in pieces.numbers("Non-slip SHOES, 雨x\x00 ráin")] == [
        "non", "-", "slip", "shoe", "##s", "[UNK]", "雨", "[UNK]", "rain"]
    ids, mask = pieces.encode(["rain", "the shoe rain rain rain"], 5)
    assert ids.tolist() == [[2, 6, 3, 0, 0], [2, 10, 4, 6, 3]] and mask.sum(axis=1).tolist() == [3, 5]
    assert pieces.unknown_share("zzz yyy") == 1.0 and pieces.unknown_share("") == 0.0


def test_a_bundle_is_made_and_read(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.mkdir()
    bundle, cosine = make_encoder(read_source(folder), target, "text", "1", precision="int8", languages=["en"], licence="MIT",
                                  run=run_once)
    assert cosine > 0.97 and read_bundle(target).role == "text" and bundle.licence == "MIT"
    described = replace(read_bundle(target),
        inputs=tuple(TensorSpec(n, "int64", (None,)) for n in ("input_ids", "attention_mask")),
                        outputs=(TensorSpec("vector", "float32", (WIDTH,)),))
    encoder = read_encoder(described)
    assert encoder.languages == ("en",) and encoder.knows("the shoe") and not encoder.knows("鞋子") and not encoder.knows(" ")
    tokens = np.random.default_rng(0).standard_normal((2, 3, WIDTH)).astype(np.float32)
    mean = encoder.vectors({"vector": tokens}, np.array([[1, 1, 0], [1, 1, 1]]))
    assert np.allclose(mean[0] * np.linalg.norm(tokens[0, :2].mean(0)), tokens[0, :2].mean(0), atol=1e-5)


def test_a_graph_that_is_not_its_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not give the vectors of its weights"):
        make_encoder(read_source(folder), tmp_path, "t", "1", precision="fp32", languages=[], licence="x",
                     run=lambda graph, inputs: np.ones((len(SAMPLES), WIDTH), np.float32) / WIDTH)


def test_a_wheel_is_read_with_its_licence(folder: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "small-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("config.json", "vocab.txt", "model.safetensors"):
            archive.write(folder / name, f"small/model/{name}")
        archive.writestr("small-1.dist-info/METADATA", "Name: small\nLicense: MIT\n")
    assert read_source(wheel).licence == "MIT" and read_source(folder).licence == ""


@pytest.mark.parametrize(("name", "content", "sentence"), [
    ("config.json", b"{", "config.json cannot be used"),
        ("config.json", b'{"model_type": "gpt2"}', "config.json cannot be used"),
    ("model.safetensors", b"\xff" * 40, "damaged"), ("model.safetensors", b"", "damaged"),
    ("model.safetensors", safetensors({"a": np.zeros(1, np.float32)}), "expected those of a BERT"),
    ("vocab.txt", b"shoe\n", r"has no \[PAD\]"), ("vocab.txt", b"\xff\xfe", "cannot be read"),
])
def test_damaged_sources_are_said(name: str, content: bytes, sentence: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=sentence):
        make_encoder(read_source(folder), tmp_path, "t", "1", precision="fp32", languages=[], licence="x", run=run_once)


def test_what_is_no_source_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.whl"):
        with pytest.raises(BundleError, match=r"model.safetensors|cannot be read"):
            read_source(path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match=r"has no config.json"):
        read_source(tmp_path)


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"params": {"max_tokens": 4}}, "max_tokens"), ({"params": {"languages": "en"}}, "languages"),
    ({"params": {"typo": 1}}, "typo"),
    ({"inputs": (TensorSpec("x", "int64", (None,)),)}, "expected the inputs"),
    ({"inputs": (TensorSpec("input_ids", "float32", (None,)),)}, "int64"),
    ({"params": {"vocabulary": "lost.txt"}}, "cannot be read"),
])
def test_a_bundle_that_is_no_encoder_is_said(changes: dict, sentence: str, folder: Path) -> None:
    good = Bundle("t", "1", "text", folder, inputs=(TensorSpec("input_ids", "int64", (None,)),),
                  outputs=(TensorSpec("vector", "float32", (WIDTH,)),))
    read_encoder(good)
    with pytest.raises(BundleError, match=sentence):
        read_encoder(replace(good, **changes))


def test_tokenizer_json(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"type": "WordPiece", "vocab": {p: i for i, p in enumerate(VOCABULARY)}}}))
    assert WordPiece.read(path).numbers("shoes") == [VOCABULARY.index("shoe"), VOCABULARY.index("##s")]
    path.write_text(json.dumps({"model": {"type": "Unigram", "vocab": []}}))
    with pytest.raises(BundleError, match="Unigram"):
        WordPiece.read(path)
