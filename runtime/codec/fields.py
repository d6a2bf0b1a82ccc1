"""Takes the fields of a JSON object one by one; every mistake is a sentence with its place, and so is a field left over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..errors import Invalid

T = TypeVar("T")
ABSENT: Any = object()


class Fields:
    """One object of a request. Call `done()` after the last field: what nobody took is a mistake."""

    def __init__(self, table: Any, place: str = "") -> None:
        if not isinstance(table, dict):
            raise Invalid(f"{place or 'the body'}: expected a JSON object, got {short(table)}")
        self.table: Mapping[str, Any] = table
        self.place = place
        self.known: list[str] = []

    def at(self, name: str) -> str:
        """Where a field stands, for sentences; the field "" is the object itself, of an `alone`."""
        return f"{self.place}.{name}" if self.place and name else self.place or name

    def raw(self, name: str, default: Any = ABSENT, expected: str = "it") -> Any:
        """The field as it is; Invalid where it is missing and has no default."""
        self.known.append(name)
        if name in self.table:
            return self.table[name]
        if default is ABSENT:
            raise Invalid(f"{self.at(name)} is missing: expected {expected}")
        return default

    def wrong(self, name: str, expected: str) -> Invalid:
        """What to raise for a field of the wrong kind."""
        return Invalid(f"{self.at(name)}: expected {expected}, got {short(self.table.get(name))}")

    def number(self, name: str, default: Any = ABSENT, least: float = -math.inf, most: float = math.inf) -> float:
        """A finite number within bounds."""
        span = f"a number from {least:g} to {most:g}" if math.isfinite(least + most) else "a number"
        value = self.raw(name, default, span)
        if value is default:
            return default
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not numeric or not least <= value <= most:
            raise self.wrong(name, span)
        return float(value)

    def whole(self, name: str, default: Any = ABSENT, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number within bounds."""
        span = f"a whole number from {least} to {most}"
        value = self.raw(name, default, span)
        if value is default:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(name, span)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.raw(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def choice(self, name: str, accepted: tuple[str, ...], default: Any = ABSENT) -> str:
        """One of a few words."""
        value = self.raw(name, default, f"one of {', '.join(accepted)}")
        if value not in accepted:
            raise self.wrong(name, f"one of {', '.join(accepted)}")
        return str(value)

    def text(self, name: str, default: Any = ABSENT, most: int = 128) -> str:
        """A text of 1 to `most` printable characters."""
        value = self.raw(name, default, f"a text of 1 to {most} characters")
        if value is default:
            return default
        if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
            raise self.wrong(name, f"a text of 1 to {most} printable characters")
        return value

    def items(self, name: str, take: Callable[[Any, str], T], default: Any = ABSENT, least: int = 0,
              most: int = 100_000) -> tuple[T, ...]:
        """A list, each item through `take(item, place)`."""
        value = self.raw(name, default, f"a list of {least} to {most}")
        if not isinstance(value, (list, tuple)) or not least <= len(value) <= most:
            raise self.wrong(name, f"a list of {least} to {most}")
        return tuple(take(item, f"{self.at(name)}[{i}]") for i, item in enumerate(value))

    def done(self) -> None:
        """Invalid for a field that nobody took."""
        over = [name for name in self.table if name not in self.known]
        if over:
            known = ", ".join(dict.fromkeys(self.known))
            raise Invalid(f"{self.at(str(over[0])[:80])} is unknown; the fields here are {known}")


def alone(value: Any, place: str) -> Fields:
    """One value of a list as a field called ""."""
    return Fields({"": value}, place)


def short(value: Any) -> str:
    """A value as it is quoted in a sentence."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
