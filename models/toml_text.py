"""Writes plain Python values as TOML text; the standard library only reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from .bundle import BundleError

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MAX_DEPTH = 32


def toml_text(table: Mapping[str, Any]) -> str:
    """`table` as TOML: values first, then [tables] and [[lists of tables]], in their order.

    Texts, whole numbers of 64 bits, reals, true and false, lists and tables are written (NumPy's scalars too);
    anything else, None included, is a BundleError that names its place.
    """
    lines = [f"{_key(key)} = {_value(value, key, 0)}" for key, value in table.items() if not _is_section(value)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{_key(key)}]", *_pairs(value, key)]
        elif _is_section(value):
            for i, item in enumerate(value):
                lines += ["", f"[[{_key(key)}]]", *_pairs(item, f"{key}[{i}]")]
    return "\n".join(lines) + "\n"


def _is_section(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(v, Mapping) for v in value))


def _pairs(table: Mapping[str, Any], place: str) -> list[str]:
    return [f"{_key(key)} = {_value(value, f'{place}.{key}', 1)}" for key, value in table.items()]


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise BundleError(f"key {key!r} cannot be written as TOML; keys are texts")
    return key if _BARE.fullmatch(key) else _string(key, key)


def _value(value: Any, place: str, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise BundleError(f"`{place}` is nested deeper than {_MAX_DEPTH}; flatten it")
    if isinstance(value, str):
        return _string(value, place)
    if isinstance(value, Mapping):
        inside = (f"{_key(k)} = {_value(v, f'{place}.{k}', depth + 1)}" for k, v in value.items())
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v, f"{place}[{i}]", depth + 1) for i, v in enumerate(value)) + "]"
    return _scalar(value, place)


def _scalar(value: Any, place: str) -> str:
    if type(value).__name__ == "bool":   # Python's or NumPy's
        return "true" if value else "false"
    if isinstance(value, Integral):
        if not -(2**63) <= int(value) < 2**63:
            raise BundleError(f"`{place}` = {value} does not fit into 64 bits")
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    raise BundleError(f"`{place}`: a {type(value).__name__} cannot be written as TOML; "
                      "use text, numbers, true or false, lists and tables")


def _string(text: str, place: str) -> str:
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise BundleError(f"`{place}` holds half a character (a lone surrogate); write valid text")
    escaped = (_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c) for c in text)
    return '"' + "".join(escaped) + '"'
