"""Pictures from bytes and bytes from pictures, with every limit checked before memory is taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

from .errors import Failed
from .picture_headers import PictureError, PictureSize, PictureTooLarge, broken, size_of, whole

__all__ = ["PictureError", "PictureLimits", "PictureSize", "PictureTooLarge", "decode", "encode_jpeg", "encode_png",
           "size_of"]


@dataclass(frozen=True)
class PictureLimits:
    """Bounds of one picture: bytes as sent, pixels and longest side as decoded."""

    max_bytes: int = 64 << 20
    max_pixels: int = 50_000_000
    max_side: int = 30_000


def decode(data: bytes | memoryview, limits: PictureLimits | None = None) -> np.ndarray:
    """The picture in `data` as uint8 (height, width, 3) BGR, C-contiguous.

    JPEG, PNG, BMP, WebP and binary PNM. An EXIF orientation is applied. Gray becomes three equal channels, 16 bits
    become their upper 8, an alpha channel is dropped (what lies under transparency shows its stored colour), CMYK is
    converted without a colour profile. PictureTooLarge over a limit, PictureError for another format and for broken data;
    a picture whose end is missing is broken.
    """
    limits = limits or PictureLimits()
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the picture has {len(data):,} bytes; the limit is {limits.max_bytes:,}: compress it or "
                              "send a smaller one")
    size = size_of(data)
    if size.width * size.height > limits.max_pixels or max(size.width, size.height) > limits.max_side:
        raise PictureTooLarge(
            f"the {size.format} picture has {size.width} x {size.height} pixels; the limit is "
            f"{limits.max_pixels / 1e6:g} megapixels and {limits.max_side} pixels a side: send a smaller one")
    image = _decoded(whole(data, size), size)
    if image.shape[:2] not in ((size.height, size.width), (size.width, size.height)):
        raise broken(size.format, f"its header says {size.width} x {size.height} pixels, its data "
                                  f"{image.shape[1]} x {image.shape[0]}")
    return np.ascontiguousarray(image)


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """`image`, uint8 (height, width, 3) BGR or (height, width) gray, as JPEG of `quality` 1 to 100."""
    return _encoded(".jpg", image, [_cv2().IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: np.ndarray) -> bytes:
    """`image`, uint8 (height, width, 1, 3 or 4) BGR(A) or (height, width) gray, as PNG, without loss."""
    return _encoded(".png", image, [_cv2().IMWRITE_PNG_COMPRESSION, 1])


def _decoded(data: bytes | memoryview, size: PictureSize) -> np.ndarray:
    cv2 = _cv2()
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise broken(size.format, f"it cannot be decoded ({error.err or 'no reason given'})") from error
    except MemoryError as error:
        raise Failed(f"no memory for a picture of {size.width} x {size.height} pixels") from error
    if image is None:
        raise broken(size.format, "its data cannot be decoded")
    decoded: np.ndarray = image
    return decoded


def _encoded(suffix: str, image: np.ndarray, options: list[int]) -> bytes:
    cv2 = _cv2()
    try:
        done, data = cv2.imencode(suffix, image, options)
    except cv2.error as error:
        raise Failed(f"a picture {image.shape} {image.dtype} cannot be written as {suffix}: {error.err}") from error
    if not done:
        raise Failed(f"a picture {image.shape} {image.dtype} cannot be written as {suffix}")
    return bytes(data)


@cache
def _cv2() -> ModuleType:
    """OpenCV, imported when the first picture comes (it is large) and told to keep its complaints to itself."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
