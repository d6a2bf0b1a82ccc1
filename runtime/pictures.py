"""Pictures from bytes and bytes from pictures, with every limit checked before memory is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType

import numpy as np

from .errors import Failed
from .picture_headers import PictureError, PictureSize, PictureTooLarge, broken, passes, size_of, whole

__all__ = ["Picture", "PictureError", "PictureLimits", "PictureSize", "PictureTooLarge", "decode", "decoder",
           "encode_jpeg", "encode_png", "read", "size_of"]


REDUCTIONS = (8, 4, 2)    # of a JPEG, by which it can be decoded at less cost


@dataclass(frozen=True)
class PictureLimits:
    """Bounds of one picture: bytes as sent, pixels and longest side as stored, and pixels times passes over them.

    A progressive JPEG is decoded in as many passes as it has scans, at about 1 ns a pixel and pass: the last bound is
    one of time, of a few seconds.
    """

    max_bytes: int = 64 << 20
    max_pixels: int = 50_000_000
    max_side: int = 30_000
    max_work: int = 1_000_000_000


@dataclass(frozen=True)
class Picture:
    """A decoded picture: uint8 (h, w, 3) BGR, C-contiguous; `size` is (height, width) as sent, upright.

    `image` has 1 / `reduction` of that, sides rounded up; 1 where it was decoded whole.
    """

    image: np.ndarray
    size: tuple[int, int]
    reduction: int = 1


def decode(data: bytes | memoryview, limits: PictureLimits | None = None) -> np.ndarray:
    """The picture in `data` as uint8 (height, width, 3) BGR, C-contiguous; see `read`."""
    return read(data, limits).image


def decoder(limits: PictureLimits) -> Callable[..., Picture]:
    """`read` of (data, cover=None) within these limits: what the repository hands to jobs that take pictures."""
    return partial(read, limits=limits)


def read(data: bytes | memoryview, limits: PictureLimits | None = None, cover: tuple[int, int] | None = None) -> Picture:
    """The picture in `data`, decoded at the smallest scale at which it still covers `cover`; whole where that is None.

    `cover` is the (height, width) that it will be shrunk to, of the upright picture; only a JPEG is decoded smaller, at
    1/2, 1/4 or 1/8, each pixel about the mean of those it stands for. JPEG, PNG, BMP, WebP and binary PNM. An EXIF
    orientation is applied. Gray becomes three equal channels, 16 bits become their upper 8, an alpha channel is dropped
    (what lies under transparency shows its stored colour), CMYK is converted without a colour profile. PictureTooLarge
    over a limit (all are checked before anything is decoded), PictureError for another format and for broken data; a
    picture whose end is missing is broken.
    """
    limits = limits or PictureLimits()
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the picture has {len(data):,} bytes; the limit is {limits.max_bytes:,}: compress it or "
                              "send a smaller one")
    size = size_of(data)
    _check(data, size, limits)
    reduction = _reduction(size, cover)
    picture = _decoded(whole(data, size), size, reduction)
    if cover is not None and picture.size != size.upright and any(n < least for n, least in zip(
            picture.image.shape, cover, strict=False)):
        return _decoded(data, size, 1)    # a turn that this header reader and the decoder read differently
    return picture


def _check(data: bytes | memoryview, size: PictureSize, limits: PictureLimits) -> None:
    pixels = size.width * size.height
    if pixels > limits.max_pixels or max(size.width, size.height) > limits.max_side:
        raise PictureTooLarge(
            f"the {size.format} picture has {size.width} x {size.height} pixels; the limit is "
            f"{limits.max_pixels / 1e6:g} megapixels and {limits.max_side} pixels a side: send a smaller one")
    if pixels * (times := passes(data, size)) > limits.max_work:
        raise PictureTooLarge(
            f"the {size.format} picture has {size.width} x {size.height} pixels in {times} scans; the limit is "
            f"{limits.max_work / 1e6:g} megapixels times scans: save it as a plain JPEG (baseline, not progressive)")


def _reduction(size: PictureSize, cover: tuple[int, int] | None) -> int:
    if cover is None or size.format != "JPEG":
        return 1
    return next((r for r in REDUCTIONS if size.covers(cover, r)), 1)


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """`image`, uint8 (height, width, 3) BGR or (height, width) gray, as JPEG of `quality` 1 to 100."""
    return _encoded(".jpg", image, [_cv2().IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: np.ndarray) -> bytes:
    """`image`, uint8 (height, width, 1, 3 or 4) BGR(A) or (height, width) gray, as PNG, without loss."""
    return _encoded(".png", image, [_cv2().IMWRITE_PNG_COMPRESSION, 1])


def _decoded(data: bytes | memoryview, size: PictureSize, reduction: int) -> Picture:
    """The picture at 1 / `reduction`; PictureError where that cannot be, or its size is not what the header says."""
    cv2 = _cv2()
    flag = cv2.IMREAD_COLOR if reduction == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{reduction}")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise broken(size.format, f"it cannot be decoded ({error.err or 'no reason given'})") from error
    except MemoryError as error:
        raise Failed(f"no memory for a picture of {size.width} x {size.height} pixels") from error
    if image is None:
        raise broken(size.format, "its data cannot be decoded")
    for upright in (size.upright, size.upright[::-1]):
        if image.shape[:2] == (-(-upright[0] // reduction), -(-upright[1] // reduction)):
            return Picture(np.ascontiguousarray(image), upright, reduction)
    raise broken(size.format, f"its header says {size.width} x {size.height} pixels, its data "
                              f"{reduction * image.shape[1]} x {reduction * image.shape[0]}")


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
