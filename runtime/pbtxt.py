"""Reads protobuf text format, as far as `config.pbtxt` files use it, into dictionaries."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 32
_TOKEN = re.compile(r"""
    (?P<space>[\s]+|\#[^\n]*)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?|inf(?:inity)?\b|nan\b))
  | (?P<word>-?[A-Za-z_][A-Za-z0-9_.]*)
  | (?P<mark>[{}<>\[\]:,;])
""", re.VERBOSE)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_PLAIN = {"n": b"\n", "t": b"\t", "r": b"\r", "a": b"\a", "b": b"\b", "f": b"\f", "v": b"\v",
          "\\": b"\\", "'": b"'", '"': b'"', "?": b"?"}
_CLOSING = {"{": "}", "<": ">"}


class PbtxtError(ValueError):
    """Text that is not protobuf text format; the sentence has the line."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def parse(text: str, repeated: Container[str] = ()) -> dict[str, Any]:
    """The message in `text`: numbers, texts (enum values too), booleans, dictionaries, and lists of them.

    A field that is given twice, in brackets, or is named in `repeated`, becomes a list. PbtxtError names the line.
    """
    if len(text) > MAX_CHARACTERS:
        raise PbtxtError(f"expected at most {MAX_CHARACTERS:,} characters, got {len(text):,}")
    return _Parser(_tokens(text), repeated).message("", 0)


def _tokens(text: str) -> list[_Token]:
    tokens, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PbtxtError(f"line {line}: cannot read {text[at:at + 20].splitlines()[0]!r}; expected a field, a "
                             "value or a bracket (a text must end on its line)")
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], line))
        line += match[0].count("\n")
        at = match.end()
    tokens.append(_Token("end", "", line))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token], repeated: Container[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.repeated = repeated

    def next(self) -> _Token:
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def skip(self, *marks: str) -> bool:
        found = self.tokens[self.at].kind == "mark" and self.tokens[self.at].text in marks
        self.at += found
        return found

    def message(self, closing: str, depth: int) -> dict[str, Any]:
        """Fields up to `closing` ("" for the end of the text)."""
        if depth > MAX_DEPTH:
            raise PbtxtError(f"line {self.tokens[self.at].line}: nested deeper than {MAX_DEPTH}")
        found: dict[str, Any] = {}
        while True:
            token = self.next()
            if token.text == closing and token.kind in ("mark", "end"):
                return found
            if token.kind != "word":
                raise _unexpected(token, f"a field name{f' or {closing}' if closing else ''}")
            value, several = self.field_value(depth)
            self.skip(",", ";")
            self.store(found, token.text, value, several)

    def store(self, found: dict[str, Any], name: str, value: Any, several: bool) -> None:
        old = found.get(name)
        if name in found or several or name in self.repeated:
            values = [] if name not in found else old if isinstance(old, list) else [old]
            found[name] = values + (value if several else [value])
        else:
            found[name] = value

    def field_value(self, depth: int) -> tuple[Any, bool]:
        """What follows a field's name, and whether it was a list. Only a message goes without a colon."""
        colon = self.skip(":")
        token = self.tokens[self.at]
        if self.skip("["):
            return self.items(depth), True
        if not colon and token.text not in _CLOSING:
            raise _unexpected(token, "a colon or {")
        return self.value(depth), False

    def items(self, depth: int) -> list[Any]:
        values: list[Any] = []
        while not self.skip("]"):
            values.append(self.value(depth))
            if not self.skip(",") and self.tokens[self.at].text != "]":
                raise _unexpected(self.tokens[self.at], "a comma or ]")
        return values

    def value(self, depth: int) -> Any:
        token = self.next()
        if token.kind == "mark" and token.text in _CLOSING:
            return self.message(_CLOSING[token.text], depth + 1)
        if token.kind == "string":
            raw = _unquote(token)
            while self.tokens[self.at].kind == "string":      # neighbours are one text
                raw += _unquote(self.next())
            return _decode(raw, token)
        if token.kind == "number":
            return _number(token)
        if token.kind == "word":
            return {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}.get(
                token.text, token.text)
        raise _unexpected(token, "a value")


def _unexpected(token: _Token, expected: str) -> PbtxtError:
    got = "the end of the text" if token.kind == "end" else repr(token.text[:40])
    return PbtxtError(f"line {token.line}: expected {expected}, got {got}")


def _number(token: _Token) -> int | float:
    text = token.text
    try:
        if re.fullmatch(r"[-+]?0[xX][0-9a-fA-F]+", text):
            return int(text, 16)
        if re.fullmatch(r"[-+]?0[0-7]+", text):
            return int(text, 8)
        if re.fullmatch(r"[-+]?\d{1,40}", text):
            return int(text)
        return float(text.rstrip("fF") if text[-1] in "fF" and text[-3:].lower() != "inf" else text)
    except ValueError as error:
        raise PbtxtError(f"line {token.line}: {text[:40]!r} is not a number") from error


def _unquote(token: _Token) -> bytes:
    """The bytes of a quoted text; escapes are those of C."""
    parts, at, inner = [], 0, token.text[1:-1]
    for match in _ESCAPE.finditer(inner):
        parts.append(inner[at:match.start()].encode("utf-8"))
        parts.append(_escaped(match[1], token))
        at = match.end()
    return b"".join([*parts, inner[at:].encode("utf-8")])


def _escaped(code: str, token: _Token) -> bytes:
    if code in _PLAIN:
        return _PLAIN[code]
    if code[0] == "x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    if code[0] in "01234567":
        return bytes([int(code, 8) & 255])
    point = int(code[1:], 16) if code[0] in "uU" and len(code) > 1 else -1
    if 0 <= point < 0x110000 and not 0xD800 <= point < 0xE000:
        return chr(point).encode("utf-8")
    raise PbtxtError(f"line {token.line}: unknown escape \\{code}")


def _decode(raw: bytes, token: _Token) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PbtxtError(f"line {token.line}: the text is not UTF-8") from error
