"""Routes: are the answers right, and how fast are they, on the maps at hand and on a made city."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from tqdm import tqdm

from ..report import Options, Row

SECTIONS = {
    "exact": "aisle.bench.routes.exact:run",
    "roads": "aisle.bench.routes.roads:run",
    "engines": "aisle.bench.routes.engines:run",
    "indoors": "aisle.bench.routes.indoors:run",
    "served": "aisle.bench.routes.served:run",
    "tours": "aisle.bench.routes.tours:run",
}


def run(options: Options) -> Iterable[Row]:
    """All sections in turn; `--only` may name a section or the start of one of its cases."""
    for name in tqdm(SECTIONS, desc="routes", unit="section"):
        if options.only is None or name in options.only or options.only in name:
            module, attribute = SECTIONS[name].split(":")
            yield from getattr(import_module(module), attribute)(options)
