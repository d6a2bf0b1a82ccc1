"""How inspection is spoken: a picture or a raw frame in; verdict, score and regions out, with a heatmap where asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from ..errors import Invalid, Unsupported
from ..pictures import Picture, encode_jpeg, encode_png
from ..served import Served
from ..workloads.inspect import Request, Verdict
from . import Codec, Decode, Payload

RAW_FRAME = "application/x-raw-frame"
RAW_FORMATS = {"bgr8": 3, "rgb8": 3, "gray8": 1}
RAW_OPTIONS = ("width", "height", "format")
MAX_SIDE = 65_535
THUMBNAIL = 160    # longer side in pixels


def request(payload: Payload, decode: Decode) -> Request:
    """The picture of a payload, with `overlay=1` for a heatmap. Raises Invalid or TooLarge with a sentence."""
    seen, overlay = picture_of(payload, decode), payload.flag("overlay")
    # A heatmap is drawn over the picture as it came; the verdict is that of the smaller one, as without a heatmap.
    whole = decode(payload.body, cover=None).image if overlay and seen.reduction > 1 else None
    return Request(seen.image, overlay, seen.size, whole)


def picture_of(payload: Payload, decode: Decode) -> Picture:
    """The picture of a payload, decoded as small as the job allows. Raises Invalid or TooLarge with a sentence."""
    raw = payload.content_type == RAW_FRAME or any(name in payload.options for name in RAW_OPTIONS)
    if not raw:
        check_kind(payload)
    if raw:
        frame = raw_frame(payload.body, payload.options)
        return Picture(frame, (frame.shape[0], frame.shape[1]))
    found: Picture = decode(payload.body)
    return found


def check_kind(payload: Payload) -> None:
    """Refuse bodies that are plainly no picture, and say how to send one."""
    kind = payload.content_type
    if kind.startswith("multipart/") or kind == "application/json":
        raise Invalid(f"the body is {kind}; expected the bytes of one JPEG, PNG, BMP or WebP picture as the whole body, "
                      "as `curl --data-binary @part.jpg` sends them")
    if not payload.body:
        raise Invalid("the body is empty; expected the bytes of one JPEG, PNG, BMP or WebP picture")


def raw_frame(body: bytes, options: Mapping[str, str]) -> np.ndarray:
    """Rows of pixels as uint8 BGR (height, width, 3); RGB and grey are turned into it."""
    kind = options.get("format", "bgr8")
    if kind not in RAW_FORMATS:
        raise Invalid(f"format={kind!r} of the raw frame: expected one of {', '.join(RAW_FORMATS)}")
    width, height = (side(options, name) for name in ("width", "height"))
    channels = RAW_FORMATS[kind]
    if len(body) != width * height * channels:
        raise Invalid(f"a raw {kind} frame of {width} x {height} has {width * height * channels} bytes, got {len(body)}; "
                      "send the rows without padding")
    frame = np.frombuffer(body, np.uint8).reshape(height, width, channels)
    if kind == "bgr8":
        return frame
    return cv2.cvtColor(frame, cv2.COLOR_RGB2BGR if kind == "rgb8" else cv2.COLOR_GRAY2BGR)


def side(options: Mapping[str, str], name: str) -> int:
    """Width or height of a raw frame in pixels."""
    text = options.get(name, "")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_SIDE or len(text) > 9:
        raise Invalid(f"{name}={text!r} of the raw frame: expected a whole number of pixels from 1 to {MAX_SIDE}; "
                      "send ?width=W&height=H&format=bgr8")
    return int(text)


def answer(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data: boxes are x, y, width, height in pixels of the picture that came."""
    return {
        "verdict": verdict.verdict,
        "score": round(float(verdict.score), 6),
        "threshold": round(float(verdict.threshold), 6),
        "regions": [{"box": [int(n) for n in r.box], "area": int(r.area), "score": round(float(r.score), 6)}
                    for r in verdict.regions],
        "timings_ms": {stage: round(float(ms), 3) for stage, ms in verdict.timings_ms.items()},
    }


def picture(verdict: Verdict, payload: Payload) -> tuple[bytes, str] | None:
    """The picture with its heatmap as PNG where only that is accepted, else JPEG; None where none was asked for."""
    if not payload.flag("overlay"):
        return None
    if verdict.overlay is None:
        raise Unsupported("this inspector draws no heatmap; ask again without overlay=1")
    png = "image/png" in payload.accept and "image/jpeg" not in payload.accept
    return (encode_png(verdict.overlay), "image/png") if png else (encode_jpeg(verdict.overlay), "image/jpeg")


def thumbnail(asked: Request) -> bytes:
    """The picture at 160 pixels, as JPEG of a few KiB."""
    return thumbnail_of(asked.image)


def thumbnail_of(image: np.ndarray) -> bytes:
    """A picture at 160 pixels, as JPEG of a few KiB."""
    height, width = image.shape[:2]
    scale = min(1.0, THUMBNAIL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Strides first: averaging all pixels of a large picture would cost more than inspecting it.
    step = max(1, int(0.5 / scale))
    small = cv2.resize(image[::step, ::step], size, interpolation=cv2.INTER_AREA)
    return encode_jpeg(small, 70)


def about(served: Served) -> dict[str, Any]:
    """What a taught inspector was shown and promises."""
    params = served.bundle.params
    keys = ("threshold", "promise_average", "promise_bound", "width", "height")
    return {"good": params.get("good_parts")} | {key: params[key] for key in keys if key in params}


CODEC = Codec(request, answer, picture, thumbnail, about)
