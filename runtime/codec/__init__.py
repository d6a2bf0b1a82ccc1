"""Bytes become a job's Request, its Verdict becomes JSON and pictures: a table, so that no transport knows a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from ..errors import NotFound
from ..served import Served

Decode = Callable[..., Any]      # of (data, cover=...), a pictures.Picture


@dataclass(frozen=True)
class Payload:
    """What arrived, whatever carried it: the bytes, what they claim to be, and the options beside them."""

    body: bytes
    content_type: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    accept: str = ""

    def flag(self, name: str) -> bool:
        """True for `name=1` (or true, yes, on) among the options."""
        return self.options.get(name, "").lower() in ("1", "true", "yes", "on")


def heavy(verdict: Any) -> bool:
    """No verdict is told on the spot."""
    return False


@dataclass(frozen=True)
class Codec:
    """How one job is spoken. All but `about` may take a millisecond and run off the event loop,
    but for what `light_bytes` and `light` let through."""

    request: Callable[[Payload, Decode], Any]                    # Payload -> Request
    answer: Callable[[Any], dict[str, Any]]                      # Verdict -> plain data for JSON
    picture: Callable[[Any, Payload], tuple[bytes, str] | None]  # Verdict -> (bytes, media type) instead, where asked for
    thumbnail: Callable[[Any], bytes]                            # Request -> small JPEG
    about: Callable[[Served], dict[str, Any]]                    # a served bundle -> what people want to know of it
    teaches: bool = True                                         # its bundles are made from pictures, over HTTP too
    remembers: bool = True                                       # its last answers are kept for people to look at
    light_bytes: int = 0                                         # bodies up to this size are read on the spot, in microseconds
    light: Callable[[Any], bool] = heavy                         # Verdict -> whether telling it takes microseconds
    how_made: str = ""                                           # a sentence, where it does not teach
    query: str = ""                                              # a GET with this parameter is a question (?q=)


CODECS = {
    "inspect": "aisle.runtime.codec.inspect:CODEC",
    "classify": "aisle.runtime.codec.classify:CODEC",
    "routes": "aisle.runtime.codec.route:CODEC",
    "recommend": "aisle.runtime.codec.recommend:CODEC",
    "catalogue": "aisle.runtime.codec.recommend_shop:CATALOGUE",
    "visitor": "aisle.runtime.codec.recommend_shop:VISITOR",
    "search": "aisle.runtime.codec.search:CODEC",
    "choose": "aisle.runtime.codec.search:CHOOSE",
}
# Other names under which a job's stations answer other questions.
JOB_OF = dict.fromkeys(("catalogue", "visitor", "search", "choose"), "recommend")


def make_codec(job: str) -> Codec:
    """The codec of that job, imported only now; NotFound names the jobs that exist."""
    if job not in CODECS:
        raise NotFound(f"no job is called {job!r}; the jobs are {', '.join(CODECS)}")
    return imported(CODECS[job])


@cache
def imported(target: str) -> Codec:
    """The codec at "module:attribute"."""
    module, attribute = target.split(":")
    codec: Codec = getattr(import_module(module), attribute)
    return codec
