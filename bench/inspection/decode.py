"""What a JPEG costs on its way to the working picture: decoded as small as an inspector may, and whole."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from ...models.inspect.score import working_picture
from ...models.inspect.teach import cover, working
from ...runtime.pictures import decode, encode_jpeg, read
from ..kernels.timing import interleaved, row, seconds
from ..report import Options, Row

SIZES = ((1080, 1920), (3000, 4000))
QUALITY = 90


def scene(height: int, width: int) -> np.ndarray:
    """Shapes of all sizes, the smaller the fainter, under a sensor's noise."""
    rng = np.random.default_rng(0)
    made = np.full((height, width, 3), 127, np.float32)
    for cell in (256, 64, 16):
        coarse = rng.normal(0, 4 * np.sqrt(cell), (-(-height // cell), -(-width // cell), 3)).astype(np.float32)
        made += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(made + rng.normal(0, 4, made.shape), 0, 255).astype(np.uint8)


def run(options: Options) -> Iterable[Row]:
    """Decoding alone, then with the shrinking that follows; ours as small as an inspector may, the peer whole."""
    for height, width in SIZES:
        case = f"JPEG {width} x {height}"
        if not options.wants(case):
            continue
        body, work, least = encode_jpeg(scene(height, width), QUALITY), working((height, width)), cover((height, width))
        small, whole = read(body, cover=least), decode(body)
        apart = np.abs(working_picture(small.image, work).astype(int) - working_picture(whole, work)).mean()
        found = interleaved({
            "small": lambda b=body, c=least: read(b, cover=c), "whole": lambda b=body: decode(b),               # type: ignore[misc]
            "small shrunk": lambda b=body, w=work, c=least: working_picture(read(b, cover=c).image, w),         # type: ignore[misc]
            "whole shrunk": lambda b=body, w=work: working_picture(decode(b), w)}, 2 * seconds(options.quick))  # type: ignore[misc]
        note = (f"{len(body) >> 10} KiB at quality {QUALITY}; decoded at 1/{small.reduction}; working picture of {work[1]} x "
                f"{work[0]}, apart by {apart:.2f} of 255 in the mean")
        yield row(f"{case}, decode", found["small"], "whole decode", found["whole"], note=note)
        yield row(f"{case}, decode and shrink", found["small shrunk"], "whole decode, then shrink", found["whole shrunk"])
