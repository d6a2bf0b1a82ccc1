"""Inspection: is this part like the good parts that were shown, and if not, where?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from ...kernels import overlay
from ...models.bundle import Bundle, TensorSpec
from ...models.inspect.network import feed
from ...models.inspect.recipe import CANARY_TOLERANCE, Recipe, cover_of
from ...models.inspect.recipe import load as load_recipe
from ...models.inspect.score import Examination, Prepared, Region, check_size, judge, prepare
from ..errors import Busy, Invalid
from ..pictures import Picture
from .one_picture import INPUTS as INPUTS
from .one_picture import picture

ROLES = ("inspector",)
PASS, REJECT, NOT_FOUND = "pass", "reject", "not_found"
OUTPUTS = (
    TensorSpec("VERDICT", "bytes", (1,)), TensorSpec("SCORE", "float32", (1,)), TensorSpec("THRESHOLD", "float32", (1,)),
    TensorSpec("MAP", "float32", (None, None)), TensorSpec("REGIONS", "float32", (None, 6)),
)
OVERLAY_FROM, OVERLAY_FULL = 0.7, 1.5     # thresholds at which the heatmap begins and is at its strongest


class Engine(Protocol):
    """What this workload may call; see runtime/engine.py."""

    asset: Any

    async def infer(self, role: str, fill: Callable[[Any], None], read: Callable[[Any], Any]) -> Any:
        """Run one row of a model."""

    async def offload(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run `fn` off the event loop."""


@dataclass(frozen=True)
class Request:
    """A picture to examine: uint8 BGR (h, w, 3) of the taught size, or smaller where the recipe allows (see `covers`).

    `overlay` asks for a picture of why, drawn over `whole` where `image` was decoded smaller. `size` is (height, width)
    as the picture was sent, by default that of `image`.
    """

    image: np.ndarray
    overlay: bool = False
    size: tuple[int, int] | None = None
    whole: np.ndarray | None = None


@dataclass(frozen=True)
class Verdict:
    """The answer: "pass", "reject", or "not_found" where the part is not where it was taught (treat it as a reject).

    `score` above `threshold` is a reject; a part that was not found scores at least twice the threshold. `regions` are
    the places above the threshold in px of the picture, the worst first; `map` float32 (gh, gw) lies over the picture,
    1.0 as usual; `overlay` uint8 BGR (h, w, 3) or None. `timings_ms` by stage.
    """

    verdict: str
    score: float
    threshold: float
    regions: tuple[Region, ...]
    timings_ms: Mapping[str, float]
    overlay: np.ndarray | None
    map: np.ndarray


def load(bundle: Bundle) -> Recipe:
    """The recipe of a taught bundle. BundleError says what is damaged."""
    return load_recipe(bundle)


def covers(recipe: Recipe) -> tuple[int, int] | None:
    """The least (height, width) at which pictures may be decoded, where they were when the recipe was taught."""
    return cover_of(recipe.work) if recipe.reduced else None


def canary(recipe: Recipe) -> None:
    """ValueError unless the stored reference picture gets the score it had when it was taught.

    A recipe with a backbone is not asked: its network is the repository's to run.
    """
    if recipe.backbone is not None:
        prepare(recipe.picture, recipe)
        return
    score = judge(prepare(recipe.picture, recipe), recipe).score
    if abs(score - recipe.canary_score) > CANARY_TOLERANCE * max(recipe.canary_score, 1.0):
        raise ValueError(f"inspector {recipe.name!r} version {recipe.version} scores its own reference picture {score:.4f}; "
                         f"expected {recipe.canary_score:.4f} as when it was taught; teach it again on this version of Aisle")


async def run(request: Request, engine: Engine) -> Verdict:
    """Examine one picture. Invalid for another size than was taught; Busy where it was decoded for the recipe before."""
    recipe: Recipe = engine.asset
    try:
        check_size(request.image, recipe, request.size)
    except ValueError as error:
        raise Invalid(str(error)) from None
    if not recipe.takes(request.image.shape[:2]):
        raise Busy(f"inspector {recipe.name!r} was taught anew while this picture was on its way; send it again")
    if recipe.backbone is None:
        return await engine.offload(_whole, request, recipe)
    prepared = await engine.offload(prepare, request.image, recipe)
    spec, start = recipe.backbone, perf_counter()

    def fill(row: Mapping[str, np.ndarray]) -> None:
        feed(prepared.picture, spec, row[spec.input])

    def read(row: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(np.array(row[tap], np.float32) for tap in spec.taps)     # the row is reused: copy

    taps = await engine.infer("backbone", fill, read)
    return await engine.offload(_finish, request, recipe, prepared, taps, (perf_counter() - start) * 1e3)


def _whole(request: Request, recipe: Recipe) -> Verdict:
    return _finish(request, recipe, prepare(request.image, recipe), None, 0.0)


def _finish(request: Request, recipe: Recipe, prepared: Prepared, taps: tuple[np.ndarray, ...] | None,
            network_ms: float) -> Verdict:
    seen = judge(prepared, recipe, taps)
    timings = dict(seen.timings_ms)
    timings["model"] += network_ms
    start = perf_counter()
    drawn = draw(request.image if request.whole is None else request.whole, seen, recipe) if request.overlay else None
    if drawn is not None:
        timings["overlay"] = (perf_counter() - start) * 1e3
    word = NOT_FOUND if not seen.registration.found else REJECT if seen.score > recipe.threshold else PASS
    return Verdict(word, seen.score, recipe.threshold, seen.regions, timings, drawn, seen.map)


def draw(image: np.ndarray, seen: Examination, recipe: Recipe) -> np.ndarray:
    """`image` with its heatmap: from yellow near the threshold to red far above it; other places as they are."""
    drawn = np.empty_like(image, order="C")
    line = max(recipe.threshold, 1e-6)
    overlay(np.ascontiguousarray(image), seen.map, OVERLAY_FROM * line, OVERLAY_FULL * line, out=drawn)
    return drawn


def from_tensors(inputs: Mapping[str, np.ndarray], decode: Callable[..., Picture]) -> Request:
    """The request in OIP tensors: one of IMAGE (an encoded picture) and PIXELS (BGR). Invalid for none or both."""
    seen = picture(inputs, decode)
    return Request(seen.image, size=seen.size)


def to_tensors(verdict: Verdict) -> dict[str, np.ndarray]:
    """The verdict as OIP tensors, see OUTPUTS; a row of REGIONS is x, y, w, h, area in px and score."""
    rows = [(*region.box, region.area, region.score) for region in verdict.regions]
    return {
        "VERDICT": np.array([verdict.verdict.encode()], object),
        "SCORE": np.array([verdict.score], np.float32),
        "THRESHOLD": np.array([verdict.threshold], np.float32),
        "MAP": verdict.map.astype(np.float32, copy=False),
        "REGIONS": np.array(rows, np.float32).reshape(-1, 6),
    }
