"""One thing that a shop sells, and the checks that make one of a plain table; every mistake is a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

Value = str | float | tuple[str, ...]

MAX_ID, MAX_TITLE, MAX_TEXT, MAX_ATTRIBUTES, MAX_VALUES, MAX_VALUE = 128, 1000, 20_000, 64, 32, 200
MAX_PRICE, MAX_STOCK = 1e9, 2**31 - 1
FIELDS = ("id", "title", "text", "category", "brand", "price", "stock", "margin", "blocked", "image", "attributes")
KNOWN = frozenset(FIELDS)
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,9})?")
TRUE, FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
NOTHING: Mapping[str, Value] = MappingProxyType({})


class ShopError(ValueError):
    """A catalogue, a change or a rule that cannot be used; the text is a sentence with its place."""


@dataclass(frozen=True, slots=True)
class Item:
    """`category` is a path with "/" between its parts, "" for none. `price` None: not said. `stock` None: not counted,
    always there. `margin`: share of the price, -1 to 1. `blocked`: never shown. `attributes`: facets, each a text, a
    number or several texts.
    """

    id: str
    title: str
    text: str = ""
    category: str = ""
    brand: str = ""
    price: float | None = None
    stock: int | None = None
    margin: float = 0.0
    blocked: bool = False
    image: str = ""
    attributes: Mapping[str, Value] = field(default_factory=lambda: NOTHING)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of one attribute as texts, () where the item has none; a number as `plain` writes it."""
        value = self.attributes.get(name)
        return () if value is None else value if isinstance(value, tuple) else (plain(value),)


def plain(value: str | float) -> str:
    """A value as the text by which it is found: 42.0 is "42"."""
    return value if isinstance(value, str) else f"{value:.9g}"


def said(item: Item) -> str:
    """All that is written about an item, as one text."""
    facts = (value for name in item.attributes for value in item.values(name))
    return " ".join(filter(None, (item.title, item.text, item.category.replace("/", " "), item.brand, *facts)))


def make_item(table: Any) -> Item:
    """The item that a plain table (of JSON, or a row of csv) describes. ShopError names the field."""
    if not isinstance(table, dict):
        raise ShopError(f"expected an object such as {{\"id\": ..., \"title\": ...}}, got {short(table)}")
    if not table.keys() <= KNOWN:
        unknown = [key for key in table if key not in FIELDS]
        raise ShopError(f"{short(unknown[0])} is unknown; the fields are {', '.join(FIELDS)}")
    ident = identifier(table.get("id"))
    return Item(
        ident, words(table, "title", MAX_TITLE) or ident, words(table, "text", MAX_TEXT), category(table.get("category")),
        words(table, "brand", MAX_VALUE), price(table.get("price")), stock(table.get("stock")), margin(table.get("margin")),
        flag(table.get("blocked")), words(table, "image", MAX_TITLE), attributes(table.get("attributes")))


def plain_item(item: Item) -> dict[str, Any]:
    """An item as `make_item` takes it, without what is at its default."""
    made: dict[str, Any] = {"id": item.id, "title": item.title}
    made |= {name: value for name in ("text", "category", "brand", "image") if (value := getattr(item, name))}
    made |= {name: value for name in ("price", "stock") if (value := getattr(item, name)) is not None}     # 0 says something
    made |= {name: value for name in ("margin", "blocked") if (value := getattr(item, name))}
    if item.attributes:
        made["attributes"] = {name: list(v) if isinstance(v, tuple) else v for name, v in item.attributes.items()}
    return made


def identifier(value: Any) -> str:
    """An id: 1 to 128 printable characters, not only blanks; a whole number counts as its digits."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= MAX_ID or not text.isprintable() or text != text.strip():
        raise ShopError(f"id: expected 1 to {MAX_ID} printable characters without blanks around them, got {short(value)}")
    return text


def words(table: Mapping[str, Any], name: str, most: int) -> str:
    """A text that may be missing; line breaks and control characters become blanks."""
    value = table.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        got = f"{len(value)} characters" if isinstance(value, str) else short(value)
        raise ShopError(f"{name}: expected a text of at most {most} characters, got {got}")
    return value if value.isprintable() else " ".join("".join(c if c.isprintable() else " " for c in value).split())


def category(value: Any) -> str:
    """A path: "Shoes/Boots", "Shoes > Boots" or ["Shoes", "Boots"]."""
    return "" if value is None else path_of(value) if isinstance(value, str) else path_of.__wrapped__(value)


@lru_cache(maxsize=4096)                      # a shop has few
def path_of(value: Any) -> str:
    """See `category`."""
    parts = value.replace(">", "/").split("/") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) and part.isprintable() for part in parts):
        raise ShopError(f"category: expected a path such as \"Shoes/Boots\", got {short(value)}")
    path = "/".join(part.strip() for part in parts if part.strip())
    if len(path) > MAX_VALUE:
        raise ShopError(f"category: expected at most {MAX_VALUE} characters, got {len(path)}")
    return path


def number(value: Any, name: str, least: float, most: float) -> float:
    """A finite number within bounds, also as text."""
    made = float(value) if isinstance(value, str) and NUMBER.fullmatch(value.strip()) else value
    if isinstance(made, bool) or not isinstance(made, (int, float)) or not least <= made <= most or not math.isfinite(made):
        raise ShopError(f"{name}: expected a number from {least:g} to {most:g}, got {short(value)}")
    return float(made)


def price(value: Any) -> float | None:
    """A price, or None where it is not said."""
    return None if value is None or value == "" else number(value, "price", 0, MAX_PRICE)


def stock(value: Any) -> int | None:
    """How many there are, or None where nobody counts."""
    if value is None or value == "":
        return None
    made = number(value, "stock", 0, MAX_STOCK)
    if made != int(made):
        raise ShopError(f"stock: expected a whole number, got {short(value)}")
    return int(made)


def margin(value: Any) -> float:
    """The share of the price that is earned."""
    return 0.0 if value is None or value == "" else number(value, "margin", -1, 1)


def flag(value: Any) -> bool:
    """True or false, also as a word of a csv file."""
    if isinstance(value, bool):
        return value
    word = "" if value is None else value.strip().lower() if isinstance(value, str) else None
    if word not in TRUE + FALSE:
        raise ShopError(f"blocked: expected true or false, got {short(value)}")
    return word in TRUE


def attributes(value: Any) -> Mapping[str, Value]:
    """Facets, read-only."""
    if value is None or value == {}:
        return NOTHING
    if not isinstance(value, dict) or len(value) > MAX_ATTRIBUTES:
        raise ShopError(f"attributes: expected an object of at most {MAX_ATTRIBUTES} fields, got {short(value)}")
    made: dict[str, Value] = {}
    for name, one in value.items():
        if type(one) is str:                  # nearly all are
            if not one:
                continue
            made[facet_name(name)] = one if len(one) <= MAX_VALUE and one.isprintable() else facet(name, one)
        elif one not in (None, [], ()):
            made[facet_name(name)] = facet(name, one)
    return MappingProxyType(made)


@lru_cache(maxsize=4096, typed=True)          # a shop has few names, and many items
def facet_name(name: Any) -> str:
    """The name of an attribute."""
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise ShopError(f"attributes: expected names of 1 to 64 printable characters, got {short(name)}")
    return name


def facet(name: str, value: Any) -> Value:
    """One attribute's value: a text, a finite number, or texts each once in the order given."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    parts = [value] if isinstance(value, str) else value
    good = isinstance(parts, (list, tuple)) and len(parts) <= MAX_VALUES and all(
        isinstance(part, str) and 0 < len(part) <= MAX_VALUE and part.isprintable() for part in parts)
    if not good:
        raise ShopError(f"attributes.{name}: expected a text of 1 to {MAX_VALUE} printable characters, a number, or at most "
                        f"{MAX_VALUES} texts, got {short(value)}")
    return parts[0] if isinstance(value, str) else tuple(dict.fromkeys(parts))


def short(value: Any) -> str:
    """A value as it is quoted in a sentence."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
