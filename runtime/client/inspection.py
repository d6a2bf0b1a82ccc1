"""What an inspector says of a picture, and how it is asked in tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Invalid
from .results import Results


@dataclass(frozen=True)
class Spot:
    """A place above the threshold: x, y, width, height and area in pixels of the picture, and its score."""

    box: tuple[int, int, int, int]
    area: int
    score: float


@dataclass(frozen=True)
class Inspection:
    """A verdict: "pass", "reject" or "not_found". `map` float32 lies over the picture, 1.0 as usual.

    `variant` is the form of the station's network that answered ("onnx int8"); empty where it has no network.
    """

    verdict: str
    score: float
    threshold: float
    regions: tuple[Spot, ...]
    map: np.ndarray
    variant: str = ""


def question(image: bytes | np.ndarray) -> dict[str, np.ndarray]:
    """The tensors that ask: bytes of a JPEG, PNG, BMP or WebP file, or pixels uint8 (height, width, 3), BGR."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        return {"IMAGE": np.array([bytes(image)], object)}
    if image.dtype != np.uint8 or image.ndim != 3:
        raise Invalid(f"expected a picture as bytes or uint8 (height, width, 3), got {image.dtype} {image.shape}")
    return {"PIXELS": image}


def verdict(results: Results) -> Inspection:
    """The answer's tensors as a verdict."""
    spots = tuple(Spot((int(x), int(y), int(w), int(h)), int(area), float(score))
                  for x, y, w, h, area, score in results["REGIONS"].reshape(-1, 6).tolist())
    return Inspection(results["VERDICT"][0].decode(), float(results["SCORE"][0]), float(results["THRESHOLD"][0]), spots,
                      results["MAP"], results.variant)
