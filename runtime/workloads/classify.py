"""Classification: which of a network's classes does a picture show?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from ...models.bundle import Bundle, BundleError, TensorSpec
from ...models.calibrate import picture_spec, top_one
from ...models.inspect.network import feed
from ...models.inspect.recipe import Backbone
from ..pictures import Picture
from .one_picture import INPUTS as INPUTS
from .one_picture import picture

ROLES = ("classifier",)
BEST, MOST = 5, 1000
OUTPUTS = (TensorSpec("INDEX", "int64", (None,)), TensorSpec("SCORE", "float32", (None,)),
           TensorSpec("LABEL", "bytes", (None,)))


class Engine(Protocol):
    """What this workload may call; see runtime/engine.py."""

    asset: Any

    async def infer(self, role: str, fill: Callable[[Any], None], read: Callable[[Any], Any]) -> Any:
        """Run one row of a model."""


@dataclass(frozen=True)
class Classifier:
    """A bundle whose params say how a picture becomes its input (`picture`); `output` is its row of scores."""

    spec: Backbone
    output: TensorSpec


@dataclass(frozen=True)
class Request:
    """A picture, uint8 BGR (h, w, 3) of any size, and how many of the best classes to tell."""

    image: np.ndarray
    best: int = BEST


@dataclass(frozen=True)
class Class:
    """One class: its place in the output, its label ("" where the bundle names none), and the network's score, as it is."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Verdict:
    """The best classes, the highest score first, equal ones by index. `timings_ms` by stage."""

    classes: tuple[Class, ...]
    timings_ms: Mapping[str, float]


def load(bundle: Bundle) -> Classifier:
    """How pictures go in and where scores come out. BundleError says what the bundle lacks."""
    table = bundle.params.get("picture")
    if not isinstance(table, dict):
        raise BundleError(f"classifier {bundle.name!r} does not say how a picture becomes its input; add the table `picture` "
                          "to [params] of its bundle.toml (input, height, width, layout, dtype, rgb, scale, bias)")
    top_one(bundle)
    output = next(s for s in bundle.outputs if s.dtype in ("float32", "float16", "uint8", "int8")
                  and len(s.shape) <= 2 and (s.shape[-1] or 2) > 1)
    return Classifier(picture_spec(bundle, table), output)


def canary(classifier: Classifier) -> None:
    """Nothing more to ask than what loading ran."""


def covers(classifier: Classifier) -> tuple[int, int]:
    """The (height, width) that pictures are shrunk to: a JPEG need not be decoded larger."""
    return classifier.spec.height, classifier.spec.width


async def run(request: Request, engine: Engine) -> Verdict:
    """Classify one picture."""
    classifier: Classifier = engine.asset
    spec, start = classifier.spec, perf_counter()
    image = np.ascontiguousarray(request.image)

    def fill(row: Mapping[str, np.ndarray]) -> None:
        target = row[spec.input]
        feed(image, spec, target if target.ndim == 3 else target[0])

    def read(row: Mapping[str, np.ndarray]) -> tuple[Class, ...]:
        return best(np.asarray(row[classifier.output.name]).reshape(-1), classifier.output.labels, request.best)

    classes = await engine.infer("backbone", fill, read)
    return Verdict(classes, {"model": (perf_counter() - start) * 1e3})


def best(scores: np.ndarray, labels: tuple[str, ...], count: int) -> tuple[Class, ...]:
    """The `count` highest of `scores`, equal ones by index; NaN counts as the lowest."""
    known = np.where(np.isnan(scores), -np.inf, scores) if scores.dtype.kind == "f" else scores
    order = np.argsort(-known.astype(np.float64), kind="stable")[:count]
    return tuple(Class(int(i), labels[i] if i < len(labels) else "", float(scores[i])) for i in order)


def from_tensors(inputs: Mapping[str, np.ndarray], decode: Callable[..., Picture]) -> Request:
    """The request in OIP tensors: one of IMAGE and PIXELS. Invalid for none or both."""
    return Request(picture(inputs, decode).image)


def to_tensors(verdict: Verdict) -> dict[str, np.ndarray]:
    """The verdict as OIP tensors, see OUTPUTS."""
    return {"INDEX": np.array([c.index for c in verdict.classes], np.int64),
            "SCORE": np.array([c.score for c in verdict.classes], np.float32),
            "LABEL": np.array([c.label.encode() for c in verdict.classes], object)}
