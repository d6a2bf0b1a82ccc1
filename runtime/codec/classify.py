"""How classification is spoken: a picture or a raw frame in, the best classes out."""

from __future__ import annotations

from typing import Any

from ..errors import Invalid
from ..served import Served
from ..workloads.classify import BEST, MOST, Request, Verdict
from . import Codec, Decode, Payload
from .inspect import picture_of, thumbnail_of


def request(payload: Payload, decode: Decode) -> Request:
    """The picture of a payload; `best=N` asks for N classes. Raises Invalid or TooLarge with a sentence."""
    text = payload.options.get("best", str(BEST))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise Invalid(f"best={text!r}: expected how many classes to tell, a whole number from 1 to {MOST}")
    return Request(picture_of(payload, decode).image, int(text))


def answer(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data."""
    return {"classes": [{"index": c.index, "label": c.label, "score": round(c.score, 6)} for c in verdict.classes],
            "timings_ms": {stage: round(float(ms), 3) for stage, ms in verdict.timings_ms.items()}}


def picture(verdict: Verdict, payload: Payload) -> None:
    """There is none to draw."""


def thumbnail(asked: Request) -> bytes:
    """The picture at 160 pixels, as JPEG."""
    return thumbnail_of(asked.image)


def about(served: Served) -> dict[str, Any]:
    """What a classifier tells apart."""
    asset = served.engine.asset
    return {"labels": list(asset.output.labels), "width": asset.spec.width, "height": asset.spec.height}


CODEC = Codec(request, answer, picture, thumbnail, about, teaches=False, remembers=False, light=lambda verdict: True, how_made=(
    "A classifier is a bundle of the role classifier whose params say how a picture becomes its input; see docs/serving.md"))
