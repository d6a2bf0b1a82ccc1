"""Small stations of drawn parts: the real teaching code on a coarse grid, so that a test takes a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from aisle.models.inspect import select, teach
from aisle.models.make import parts


def quarter(image: np.ndarray) -> np.ndarray:
    """A drawn part at 160 x 120."""
    return cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="session")
def good() -> Callable[[int], np.ndarray]:
    """A good part by its seed, uint8 BGR (120, 160, 3)."""
    return lambda seed: quarter(parts.good(seed))


@pytest.fixture(scope="session")
def bad() -> Callable[[int, str], np.ndarray]:
    """A defective part by its seed and kind, uint8 BGR (120, 160, 3)."""
    return lambda seed, kind: quarter(parts.defective(seed, kind)[0])


@pytest.fixture(scope="session", autouse=True)
def coarse() -> Iterator[None]:
    """A grid of a quarter of the cells and few spoiled pictures, for this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teach, "CELLS", 256)
        patch.setattr(select, "SPOILED", 12)
        yield


@pytest.fixture(scope="session")
def learned(coarse: None, good: Callable[[int], np.ndarray]) -> teach.Learned:
    """A station that was shown eight good parts."""
    return teach.learn("flange", [good(seed) for seed in range(8)])
