"""One event of a visit, as the shop understands it."""

from __future__ import annotations

from typing import NamedTuple

VIEW, CART, BUY = "view", "cart", "buy"
KINDS = (VIEW, CART, BUY)


class Past(NamedTuple):
    """`row` in the catalogue; None where the item is not in it and only the fit knows it."""

    ident: str
    kind: str
    row: int | None
