"""The phrases of two languages and the facets they stand for; what a text says is found by the longest phrase."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..bundle import BundleError
from .words import Piece, normal, pieces, terms

SHIPPED = Path(__file__).with_name("lexicon.toml")
LANGUAGES = ("en", "zh")
LONGEST_PHRASE = 8
MOST_LEARNT = 20_000       # phrases that a shop's own attribute values may add


class Atom(NamedTuple):
    """The smallest thing that a phrase is made of: a word's stem, a character of Chinese, a measure or a picture."""

    text: str
    kind: str
    start: int
    end: int


def atoms(text: str, cut: Sequence[Piece] | None = None) -> list[Atom]:
    """The atoms of a text that went through `normal`; `cut` are its pieces where they are at hand."""
    found: list[Atom] = []
    for piece in pieces(text) if cut is None else cut:
        if piece.kind == "joined":
            found += [Atom(c, "joined", piece.start + i, piece.start + i + 1) for i, c in enumerate(piece.text)]
        else:
            made = terms(piece)
            if made:
                found.append(Atom(made[0], piece.kind, piece.start, piece.end))
    return found


@dataclass(frozen=True)
class Value:
    """One value of a facet: its phrases by language, the first is its label; what it implies."""

    facet: str
    phrases: Mapping[str, tuple[str, ...]]
    implies: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The facet without the value."""
        return self.facet.partition(":")[0]


class Lexicon:
    """Made once; `learn` adds a shop's own phrases. Reading is safe from any thread."""

    def __init__(self, values: Sequence[Value], names: Mapping[str, Mapping[str, str]], pictures: Mapping[str, str]) -> None:
        self.values = {value.facet: value for value in values}
        self.names = names
        self.known: set[str] = set()                  # every atom of a phrase: a word that needs no correction
        self.surfaces: dict[str, str] = {}            # a phrase's word as it is written -> its atom
        self.learnt: list[tuple[str, str]] = []       # (facet, phrase) of a shop's own values
        self.phrases: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
        for value in values:
            for phrase in (p for language in value.phrases.values() for p in language):
                self._add(phrase, value.facet)
        for picture, facet in pictures.items():
            self._add(picture, facet)

    def _add(self, phrase: str, facet: str) -> bool:
        text = normal(phrase)
        key = tuple(atom.text for atom in atoms(text))
        if not 0 < len(key) <= LONGEST_PHRASE:
            return False
        at = self.phrases.setdefault(key[0], [])
        for i, (have, facets) in enumerate(at):
            if have == key:
                if facet not in facets:
                    at[i] = (key, (*facets, facet))
                return False
        self.phrases[key[0]] = sorted([*at, (key, (facet,))], key=lambda entry: -len(entry[0]))
        self.known.update(key)
        self.surfaces.update({text[a.start:a.end]: a.text for a in atoms(text) if a.kind == "word"})
        return True

    def learn(self, facet: str, phrase: str) -> None:
        """A value of a shop's attribute that no phrase names: its own text is its phrase from now on."""
        if facet in self.values or len(self.learnt) >= MOST_LEARNT:
            return
        self.learnt.append((facet, phrase))
        self.values[facet] = Value(facet, {"en": (phrase,)})
        self._add(phrase, facet)

    def match(self, found: Sequence[Atom], at: int) -> tuple[int, tuple[str, ...]]:
        """(length of the longest phrase that begins at that atom, its facets); (0, ()) for none."""
        for key, facets in self.phrases.get(found[at].text, ()):
            size = len(key)
            if size == 1 or (at + size <= len(found) and found[at + 1].text == key[1] and
                             all(found[at + i].text == key[i] for i in range(2, size))):
                return size, facets
        return 0, ()

    @cache     # noqa: B019 - one lexicon lives as long as its shop
    def whole(self, facet: str) -> tuple[str, ...]:
        """The facet and all that it implies."""
        found, left = [], [facet]
        while left:
            one = left.pop()
            if one not in found:
                found.append(one)
                left += self.values[one].implies if one in self.values else ()
        return tuple(found)

    def label(self, facet: str, language: str) -> str:
        """How a facet is called in a language."""
        value = self.values.get(facet)
        if value is None:
            return facet.partition(":")[2]
        phrases = value.phrases.get(language) or next(iter(value.phrases.values()))
        return phrases[0]

    def called(self, texts: Iterable[str], language: str) -> dict[str, str]:
        """Texts, such as names of categories, in a language; those that are no phrase as a whole are left out."""
        made: dict[str, str] = {}
        for text in texts:
            found = atoms(normal(text))
            length, facets = self.match(found, 0) if found else (0, ())
            if length and length == len(found):
                made[text] = self.label(facets[0], language)
        return made

    def name(self, name: str, language: str) -> str:
        """How a facet's name is called in a language."""
        return self.names.get(name, {}).get(language, name)


def read_lexicon(*files: Path) -> Lexicon:
    """The shipped lexicon and a shop's own, whose values replace those of the same name. BundleError says what is wrong."""
    values: dict[str, Value] = {}
    names: dict[str, Mapping[str, str]] = {}
    pictures: dict[str, str] = {}
    for file in (SHIPPED, *files):
        try:
            table = tomllib.loads(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BundleError(f"the lexicon {file} cannot be read: {error}; correct it and load again") from None
        for facet, entry in table.get("values", {}).items():
            values[facet] = value_of(file, facet, entry)
        names |= table.get("names", {})
        pictures |= table.get("pictures", {})
    for value in values.values():
        lost = [facet for facet in value.implies if facet not in values]
        if lost:
            raise BundleError(f"the lexicon says that {value.facet!r} implies {lost[0]!r}, which has no line of its own")
    return Lexicon(list(values.values()), names, pictures)


def value_of(file: Path, facet: str, entry: Any) -> Value:
    """One line of the file."""
    name, colon, value = facet.partition(":")
    if not (name and colon and value):
        raise BundleError(f"the lexicon {file}: expected keys such as \"grip:non-slip\", got {facet!r}")
    good = isinstance(entry, dict) and entry.keys() <= {*LANGUAGES, "implies"} and all(
        isinstance(part, list) and all(isinstance(text, str) and text for text in part) for part in entry.values())
    if not good or not any(entry.get(language) for language in LANGUAGES):
        raise BundleError(f"the lexicon {file}, {facet!r}: expected lists of phrases as en = [...] and zh = [...], and "
                          f"implies = [...], got {str(entry)[:80]}")
    phrases = {language: tuple(entry[language]) for language in LANGUAGES if entry.get(language)}
    return Value(facet, phrases, tuple(entry.get("implies", ())))
