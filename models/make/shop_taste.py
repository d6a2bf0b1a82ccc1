"""A recommender for the made-up shop: fitted on made-up shoppers, and shipped fitted, so that the demo needs no PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path

from ..bundle import Bundle
from ..inspect.publish import publish
from ..recommend.fit import fit
from ..recommend.format import described, write_files
from ..recommend.interactions import Interactions
from ..recommend.network import Options
from ..shop.item import said
from .shop import items
from .shoppers import shoppers

SHIPPED = Path(__file__).with_name("shop_taste")      # models/make/shop_taste/for-you/1: a folder of models
NAME = "for-you"
LICENCE = "Made for Aisle: made-up shoppers of a made-up shop, no data of anybody; same licence as Aisle."
OPTIONS = Options(depth=32, length=20, middle=32, epochs=10, dropout=0.2, rate=1e-2, rise=50, tokens=1024, seed=1)


def visits(users: int = 3000) -> Interactions:
    """What made-up shoppers looked at: they stay within a category for a while."""
    shop = items()
    return shoppers([one.id for one in shop], [one.category for one in shop], users=users)


def make(folder: Path, name: str = NAME, version: str = "1") -> Bundle:
    """Fit on `visits` and write `folder`/name/version; needs the extra `train`."""
    result = fit(visits(), OPTIONS, refit="all", texts={one.id: said(one) for one in items()})
    encoders = result.encoders()
    return publish(described(result.fitted, encoders, name, version, LICENCE),
                   lambda inside: write_files(result.fitted, encoders, inside), folder)


if __name__ == "__main__":
    print(make(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED).root)
