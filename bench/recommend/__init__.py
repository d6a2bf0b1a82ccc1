"""Recommendation and search: how good the answers are and how long they take, on the data at hand and on a made-up shop."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from tqdm import tqdm

from ..report import Options, Row

SECTIONS = {
    "accuracy": "aisle.bench.recommend.accuracy:run",
    "retrieval": "aisle.bench.recommend.retrieval:run",
    "served": "aisle.bench.recommend.served:run",
    "search": "aisle.bench.recommend.search:run",
    "search_http": "aisle.bench.recommend.search_http:run",
    "choose": "aisle.bench.recommend.choose:run",
}


def run(options: Options) -> Iterable[Row]:
    """All sections in turn; `--only` may name a section or the start of one of its cases."""
    for name in tqdm(SECTIONS, desc="recommend", unit="section"):
        if options.only is None or name in options.only or options.only in name:
            module, attribute = SECTIONS[name].split(":")
            yield from getattr(import_module(module), attribute)(options)
