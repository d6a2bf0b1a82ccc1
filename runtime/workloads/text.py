"""Text as vectors: whatever encoder a bundle with the role "text" brings, for search by meaning and over OIP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from ...models.bundle import Bundle, TensorSpec
from ...models.search.encoder import ROLE, TextEncoder, read_encoder
from ..errors import Invalid

ROLES = ("backbone",)
INPUTS = (TensorSpec("TEXT", "bytes", (None,)), TensorSpec("QUERY", "bool", (1,), optional=True))
OUTPUTS = (TensorSpec("VECTOR", "float32", (None, None)),)
MOST_TEXTS, MOST_BYTES = 64, 20_000
__all__ = ["INPUTS", "OUTPUTS", "ROLE", "ROLES", "Request", "Verdict", "canary", "from_tensors", "load", "run", "to_tensors"]


class Engine(Protocol):
    """What this workload may call; see runtime/engine.py."""

    asset: Any

    async def infer(self, role: str, fill: Callable[[Any], None], read: Callable[[Any], Any]) -> Any:
        """Run one row of a model."""


@dataclass(frozen=True)
class Request:
    """Texts to encode; `query`: they are questions, not things that are looked for."""

    texts: Sequence[str]
    query: bool = False


@dataclass(frozen=True)
class Verdict:
    """float32 (n, d) of length one."""

    vectors: np.ndarray
    timings_ms: Mapping[str, float]


def load(bundle: Bundle) -> TextEncoder:
    """The encoder of a bundle. BundleError says what it lacks."""
    return read_encoder(bundle)


def canary(encoder: TextEncoder) -> None:
    """ValueError where the vocabulary cuts nothing out of a plain word."""
    if not encoder.pieces.numbers("shoes"):
        raise ValueError(f"the vocabulary of text encoder {encoder.name!r} knows no plain word")


async def run(request: Request, engine: Engine) -> Verdict:
    """Encode some texts, in one run. Busy, Late or Failed with a sentence."""
    start, encoder = perf_counter(), engine.asset
    fed = encoder.feed(request.texts, request.query)

    def read(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return encoder.vectors(outputs, fed["attention_mask"])
    vectors = await engine.infer("backbone", lambda row: row.update({name: fed[name] for name in encoder.inputs}), read)
    return Verdict(vectors, {"encode": (perf_counter() - start) * 1e3})


def from_tensors(inputs: Mapping[str, np.ndarray], decode: Callable[[bytes], np.ndarray]) -> Request:
    """TEXT: the texts as UTF-8; QUERY true: they are questions."""
    texts = inputs["TEXT"]
    if texts.ndim != 1 or not 0 < len(texts) <= MOST_TEXTS:
        raise Invalid(f"TEXT: expected 1 to {MOST_TEXTS} texts, got shape {texts.shape}")
    made = []
    for text in texts.tolist():
        raw = text if isinstance(text, bytes) else str(text).encode()
        if len(raw) > MOST_BYTES:
            raise Invalid(f"TEXT: expected texts of at most {MOST_BYTES} bytes, got one of {len(raw)}")
        made.append(raw.decode("utf-8", "replace"))
    return Request(made, bool(inputs["QUERY"][0]) if "QUERY" in inputs else False)


def to_tensors(verdict: Verdict) -> dict[str, np.ndarray]:
    """The vectors."""
    return {"VECTOR": verdict.vectors}
