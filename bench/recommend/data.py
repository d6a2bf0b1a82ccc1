"""Interaction files of the data folder, whatever they are called, and the data sets that are made of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...models.make.shoppers import shoppers
from ...models.recommend.interactions import Interactions, core, is_core, narrowed
from ...models.recommend.read import TEXT_ENDS, InteractionError, read

ENDS = (*TEXT_ENDS, ".zip", ".parquet")
LEAST_EVENTS = 2000
QUICK_EVENTS = 25_000
BEAUTY = (22_363, 12_101, 198_502)       # users, items, events of Amazon Beauty 5-core


@dataclass(frozen=True)
class DataSet:
    """`name` stands in the rows' cases; `made` says in words what it is; `main` ones get three seeds and the refit."""

    name: str
    made: str
    data: Interactions
    main: bool = True

    @property
    def beauty(self) -> bool:
        """True for the data that the goals were set for."""
        return (len(self.data.users), len(self.data.items), len(self.data.user)) == BEAUTY


def data_sets(folder: Path | None, quick: bool) -> Iterator[DataSet]:
    """Of each file the 5-core and, where that leaves something out, the whole file; a made shop where there is no file."""
    found = False
    for path, data in files(folder):
        found = True
        name = path.stem.lower().replace("_", "-").replace(" ", "-")
        if is_core(data):
            yield sampled(DataSet(f"{name} 5-core", "the file is 5-core as it is", data), quick)
            continue
        kept = core(data)
        if len(kept.user) >= LEAST_EVENTS:
            yield sampled(DataSet(f"{name} 5-core", "5-core filter repeated until it holds", kept), quick)
        if not quick:
            yield DataSet(f"{name} whole", "the file as it is", data, main=len(kept.user) < LEAST_EVENTS)
    if not found:
        ids = tuple(f"item-{i}" for i in range(600))
        yield DataSet("made shop", "made-up shoppers, models/make/shoppers.py; no interactions found in the data folder",
                      shoppers(ids, [f"g{i % 20}" for i in range(600)], users=1500 if quick else 4000))


def sampled(one: DataSet, quick: bool) -> DataSet:
    """Few enough users for a quick run."""
    if not quick or len(one.data.user) <= QUICK_EVENTS:
        return one
    share = 2 * QUICK_EVENTS / len(one.data.user)          # the core filter takes about half of it
    chosen = np.random.default_rng(0).random(len(one.data.users)) < share
    kept = core(narrowed(one.data, np.flatnonzero(chosen[one.data.user])))
    return replace(one, name=f"{one.name} sample", made=f"{one.made}; QUICK: {len(kept.users):,} of {len(one.data.users):,} "
                   "users and the core of what they did, so that these are not the data's figures", data=kept)


def files(folder: Path | None) -> Iterator[tuple[Path, Interactions]]:
    """Files with interactions in `folder`/recs and `folder`, each with what it holds; others are named on standard error."""
    if folder is None:
        return
    for path in sorted(p for place in (folder / "recs", folder) if place.is_dir() for p in place.iterdir()):
        if not path.name.lower().endswith(ENDS) or not path.is_file():
            continue
        try:
            data = read(path)
        except InteractionError as error:
            print(f"no interactions: {str(error)[:160]}", file=sys.stderr)
            continue
        if len(data.user) >= LEAST_EVENTS and len(data.users) > 50:
            yield path, data
