"""A made-up shop: some four hundred products in English and Chinese, the same ones every time."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..search.lexicon import Lexicon, read_lexicon
from ..shop.item import Item

TABLE = Path(__file__).with_name("shop.toml")
IN_TITLE = ("colour", "water", "grip", "weight", "warmth", "diet", "power", "build", "taste", "skin", "care")
LETTERS = ("XS", "S", "M", "L", "XL", "XXL")
CURRENCY = "CNY"


def pick(key: str, choices: Sequence[Any]) -> Any:
    """One of the choices, the same for the same key on every machine."""
    return choices[zlib.crc32(key.encode()) % len(choices)]


@cache
def items() -> tuple[Item, ...]:
    """All products. Titles and texts are English, with the Chinese ones in the attributes `title:zh` and `text:zh`."""
    table, lexicon = tomllib.loads(TABLE.read_text("utf-8")), read_lexicon()
    return tuple(item(table, kind, number, lexicon) for kind in table["kind"]
                 for number in range(kind["count"] + len(kind.get("extra", ()))))


def item(table: Mapping[str, Any], kind: Mapping[str, Any], number: int, lexicon: Lexicon) -> Item:
    """One product of a kind."""
    ident = f"{kind['id']}-{number + 1}"
    facets = chosen(kind, number)
    low, high = kind["price"]
    steps = max(1, kind["count"] - 1)
    price = round(low + (high - low) * ((number * 3) % kind["count"]) / steps) - 0.1
    brand = pick(ident + "brand", table["brands"])
    en, zh = table["names"][(number * 5 + zlib.crc32(kind["id"].encode())) % len(table["names"])]
    size = sizes(kind, number)
    volume = facets.pop("volume", kind["volumes"][number % len(kind["volumes"])] if "volumes" in kind else "")
    told = [f"{name}:{facets[name]}" for name in IN_TITLE if name in facets][:2 - number % 2]
    title = " ".join([en, *(lexicon.label(f, "en") for f in told), kind["en"], volume]).strip()
    title_zh = "".join([zh, " ", *(lexicon.label(f, "zh") for f in told), kind["zh"], f" {volume}" if volume else ""])
    text_en, text_zh = texts(table, ident, facets)
    attributes = {"kind": kind["id"], **facets, **({"size": size} if size else {}), **({"content": volume} if volume else {})}
    return Item(
        ident, title, text_en, kind["category"], brand, price, 0 if pick(ident + "stock", range(25)) == 0 else 3 + number,
        0.15 + 0.05 * (number % 5), attributes={**attributes, "title:zh": title_zh, "text:zh": text_zh})


def chosen(kind: Mapping[str, Any], number: int) -> dict[str, str]:
    """The facets of one product: those beyond the count are given whole, the others take turns."""
    if number >= kind["count"]:
        return dict(kind["extra"][number - kind["count"]])
    made = {}
    for i, (name, choices) in enumerate(kind["facets"].items()):
        turn = number + pick(f"{kind['id']}{name}", range(7)) + number // len(choices) * (i % 3)
        if choices[turn % len(choices)]:
            made[name] = choices[turn % len(choices)]
    return made


def texts(table: Mapping[str, Any], ident: str, facets: Mapping[str, str]) -> tuple[str, str]:
    """What is said of it in two languages; about one value in five is not spoken of."""
    says = table["says"]
    keys = [f"{name}:{value}" for name, value in facets.items()]
    keys = [key for key in keys if key in says and pick(ident + key + "silent", range(5))]
    return (" ".join(pick(ident + key, says[key][0]) for key in keys), "".join(pick(ident + key, says[key][1]) for key in keys))


def sizes(kind: Mapping[str, Any], number: int) -> tuple[str, ...]:
    """The sizes in which it is there: some of the kind's."""
    if "sizes" not in kind:
        return ()
    first, last = kind["sizes"]
    whole = [str(n) for n in range(int(first), int(last) + 1)] if first.isdigit() else list(LETTERS[LETTERS.index(first):])
    begin = number % 3 * len(whole) // 5
    return tuple(whole[begin:begin + max(2, len(whole) // 2)])
