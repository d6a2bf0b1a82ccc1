"""Which variants answered the request at hand: noted where a network has run, read where the answer is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_noted: ContextVar[dict[str, None] | None] = ContextVar("aisle_noted", default=None)


@contextmanager
def noting() -> Iterator[dict[str, None]]:
    """What runs inside notes its variants here, in the order in which they answered; it travels with the task."""
    found: dict[str, None] = {}
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def note(variant: str) -> None:
    """This variant ("onnx int8") has answered; without effect where nobody asks."""
    found = _noted.get()
    if found is not None and variant:
        found[variant] = None


def named(variants: dict[str, None]) -> str:
    """The variants as an answer tells them: "onnx int8", or several with commas; empty where no network ran."""
    return ", ".join(variants)
