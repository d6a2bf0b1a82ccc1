"""A question becomes what is searched for: words, corrected words, facets, exclusions and a band of prices."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .lexicon import Atom, Lexicon, atoms
from .said import STARTS, Span, negator, spans
from .typos import Vocabulary
from .units import Band, measure_spans, price_band
from .units import Span as Measures
from .words import IS_HAN, MOST_CHARACTERS, MOST_TERMS, ORDINARY, STOP, STOP_HAN, normal, pieces, terms

WORD, KIND, FACET, SHORT, SIZED = 1.0, 3.0, 1.5, 0.5, 2.0     # weights of what a question asks for; chosen on the dev phrases
WORD_OF_PHRASE = 0.6       # the words of a phrase that is known as a facet
SHORTEST = 3               # letters of each of two words that were written as one
MOST_UNKNOWN = 16          # words of one question that are looked up for typos
LEFT_OUT = re.compile(r"(?<!\S)-(?=[^\W\d_])")           # "shoes -leather"
SHORTHAND = ((re.compile(r"\bw/o(?![a-z])"), "without"), (re.compile(r"\bw/(?=\s?[a-z])"), "with "), (LEFT_OUT, " not "))
CHEAP = re.compile(
    r"(?<!not )(?<!not too )(?<!not so )(?<!n't )(?<!n’t )(?<!never )(?<!nothing )"
    r"\b(?:cheap(?:er|est)?|inexpensive|affordable|economical|budget|bargain|low[- ](?:cost|priced?)|value for money|"
    r"(?:not|isn['’]?t|nothing|never) (?:too |very |so |that )?(?:expensive|pricey|costly))\b|"
    r"(?:不要|别|不能|不)(?:太|很|那么|这么)?贵的?|(?<![不别])便宜(?:一?点|些)?的?|实惠的?|平价|性价比高?的?|划算的?|价格?低的?")
OFTEN = 0.4                # words of any question, such as "likes" or "after"
NOT = "\u00ac"             # before a term that an item says it has not


@dataclass(frozen=True)
class Wanted:
    """A phrase and the facets that it may mean."""

    phrase: str
    facets: tuple[str, ...]
    weight: float
    length: int = 0            # words, or characters of Chinese


@dataclass(frozen=True)
class Excluded:
    """What must not be: any of the facets, or all of the terms (with facets: in the title)."""

    phrase: str
    facets: tuple[str, ...]
    terms: tuple[str, ...]


@dataclass(frozen=True)
class Understood:
    """A question, taken apart. `terms` are (term, weight), `corrections` (typed, used); `cut`: it was too long."""

    text: str
    language: str
    terms: tuple[tuple[str, float], ...] = ()
    wanted: tuple[Wanted, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    band: Band | None = None
    corrections: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    cut: bool = False
    length: int = 0            # words, or characters of Chinese, that say something
    measures: tuple[Measures, ...] = ()
    cheap: bool = False        # of what fits, rather the cheaper
    typed: str = ""            # the text before anything was put right, without its price

    @property
    def empty(self) -> bool:
        """True where nothing can be searched for."""
        return not (self.terms or self.wanted or self.excluded or self.band or self.measures or self.cheap)


Known = Callable[[str], bool]


def nobody(word: str) -> bool:
    """No word is known to be one."""
    return False


def understand(question: str, lexicon: Lexicon, known: Known, vocabulary: Vocabulary, real: Known = nobody) -> Understood:
    """Take a question apart; any text of any length is fine.

    `known(term)` says whether the catalogue has a term, `real(word)` whether a word is one, though it is not sold here:
    flour is no mistyped floor.
    """
    cut = len(question) > MOST_CHARACTERS
    text = normal(question)
    language = "zh" if 3 * len(IS_HAN.findall(text)) > sum(c.isascii() and c.isalpha() for c in text) else "en"
    for pattern, meant in SHORTHAND:
        text = pattern.sub(meant, text)
    band, text = price_band(text)
    text, cheap = CHEAP.subn(lambda found: " " * len(found[0]), text)
    typed = text
    measures, text = measure_spans(text)
    text, corrections, unknown = corrected(text, lexicon, known, vocabulary, real)
    found = atoms(text)
    cut, found = cut or len(found) > MOST_TERMS, found[:MOST_TERMS]
    said = spans(text, found, lexicon)
    wanted = tuple(want(text, found, span) for span in said if span.facets and not span.negated)
    excluded = tuple(exclude(text, found, span) for span in said if span.negated)
    return Understood(text, language, searched(text, found, said), merged(wanted), excluded, band, corrections, unknown, cut,
                      telling(text, found), measures, bool(cheap), typed)


def phrase_of(text: str, found: Sequence[Atom], span: Span) -> str:
    """A span as it was written."""
    return text[found[span.start].start:found[span.end - 1].end]


def want(text: str, found: Sequence[Atom], span: Span) -> Wanted:
    """A phrase that asks for facets; a lone character of Chinese is a weaker sign."""
    phrase = phrase_of(text, found, span)
    weight = KIND if span.facets[0].startswith("kind:") else FACET
    short = len(phrase) == 1 and IS_HAN.match(phrase) is not None and weight == FACET
    return Wanted(phrase, span.facets, weight * SHORT if short else weight, telling(text, found[span.start:span.end]))


def telling(text: str, found: Sequence[Atom]) -> int:
    """How many words, or characters of Chinese, say something."""
    return sum(atom.text not in STOP_HAN and text[atom.start:atom.end] not in STOP for atom in found)


def merged(wanted: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """Each meaning once."""
    return tuple({want.facets: want for want in reversed(wanted)}.values())[::-1]


def exclude(text: str, found: Sequence[Atom], span: Span) -> Excluded:
    """A phrase that was negated."""
    phrase = phrase_of(text, found, span)
    made = tuple(dict.fromkeys(term for piece in pieces(phrase) for term in (terms(piece, True) or terms(piece))))
    lone = any(len(term) == 1 and IS_HAN.match(term) for term in made)       # such a character is in many words
    if span.within or (span.facets and lone):
        made = ()
    return Excluded(phrase, span.facets, made)


def searched(text: str, found: Sequence[Atom], said: Sequence[Span]) -> tuple[tuple[str, float], ...]:
    """Terms and weights of what is not negated: neighbouring characters of Chinese stay together for their pairs."""
    weights: dict[str, float] = {}
    run: list[Atom] = []

    def flush(weight: float) -> None:
        if run:
            for piece in pieces("".join(atom.text for atom in run)):
                for term in terms(piece, True):
                    weights[term] = max(weights.get(term, 0.0), weight)
            run.clear()
    for span in said:
        weight = WORD_OF_PHRASE if span.facets else WORD
        if span.facets and not span.negated and negator(found, span.start):     # what has laces is not what is meant
            continue
        for atom in found[span.start:span.end]:
            if atom.kind == "joined" and not span.negated:
                if run and run[-1].end != atom.start:
                    flush(weight)
                run.append(atom)
                continue
            flush(weight)
            if span.negated:
                weights[NOT + atom.text] = FACET
            elif atom.kind == "measure":
                weights[atom.text] = SIZED
            elif text[atom.start:atom.end] not in STOP:
                often = OFTEN if not span.facets and text[atom.start:atom.end] in ORDINARY else weight
                weights[atom.text] = max(weights.get(atom.text, 0.0), often)
    flush(WORD)
    return tuple(list(weights.items())[:MOST_TERMS])


def corrected(text: str, lexicon: Lexicon, known: Known, vocabulary: Vocabulary,
              real: Known = nobody) -> tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]:
    """(the text with likely typos put right, what was put right, words that nothing is known of)."""
    made, corrections, unknown, end, looked = [], [], [], 0, 0
    for piece in pieces(text):
        if piece.kind != "word" or looked >= MOST_UNKNOWN:
            continue
        term = (terms(piece) or [""])[0]
        if not term or piece.text in STOP or piece.text in ORDINARY or term in STARTS or term in lexicon.known or known(term):
            continue
        looked += 1
        better = opposite(piece.text, lexicon, vocabulary) or split(piece.text, lexicon, known)
        if better is None and not real(piece.text):
            better = vocabulary.nearest(piece.text)
        if better is None:
            unknown.append(piece.text)
            continue
        if not better.startswith("not "):
            corrections.append((piece.text, better))
        made += [text[end:piece.start], better]
        end = piece.end
    return "".join([*made, text[end:]]), tuple(corrections), tuple(unknown)


def opposite(word: str, lexicon: Lexicon, vocabulary: Vocabulary) -> str | None:
    """"unsalted" is "not salted", "nutless" is "not nut"; but "wirless" is a "wireless" with a mistake."""
    if word.startswith("un"):
        rest = [term for piece in pieces(word[2:]) for term in terms(piece)]
        return f"not {word[2:]}" if rest and rest[0] in lexicon.known else None
    if word.endswith("less") and not (vocabulary.nearest(word) or "").endswith("less"):
        rest = [term for piece in pieces(word[:-4]) for term in terms(piece)]
        return f"not {word[:-4]}" if rest and any(len(key) == 1 for key, _ in lexicon.phrases.get(rest[0], ())) else None
    return None


def split(word: str, lexicon: Lexicon, known: Known) -> str | None:
    """Two known words that were written as one."""
    if word.isascii() and word.isalpha():
        for i in range(SHORTEST, len(word) - SHORTEST + 1):
            if all((t := (terms(p) or [""])[0]) in lexicon.known or known(t) for p in pieces(f"{word[:i]} {word[i:]}")):
                return f"{word[:i]} {word[i:]}"
    return None

