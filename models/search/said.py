"""What a text says: phrases that stand for facets, other words, and what is negated ("not leather", "不要皮的")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .lexicon import LONGEST_PHRASE, Atom, Lexicon
from .words import STOP, STOP_HAN

PUNCTUATION = frozenset(",;.!?:()[]，、；。！？：（）|\n")
NEGATORS: tuple[tuple[str, ...], ...] = tuple(sorted((
    ("not",), ("no",), ("without",), ("non",), ("except",), ("anyth", "but"), ("anything", "but"), ("other", "than"),
    ("dont", "want"),
    ("do", "not", "want"), ("dont", "like"), ("do", "not", "like"), ("fre", "of"), ("fre", "from"), ("isnt",), ("arent",),
    ("nor",), ("neither",), *((word, verb) for word in ("doesnt", "dont", "didnt") for verb in ("hav", "contain", "includ")),
    ("hasnt",),
    ("not", "mad", "of"), ("not", "mad", "from"), ("nothing", "with"), ("nothing",), ("hate",), ("avoid",), ("never",),
    ("minu",),
    *(tuple(word) for word in (
        "不要", "不含", "不带", "不是", "不想要", "不喜欢", "别", "无", "非", "没有", "除了", "不用", "不能有", "拒绝",
        "不能是",
        "别是", "别要", "不要有", "不需要", "未添加", "不加", "不", "没")),
), key=len, reverse=True))
STARTS: dict[str, tuple[tuple[str, ...], ...]] = {       # first word -> the negators that begin with it, longest first
    first: tuple(words for words in NEGATORS if words[0] == first) for first in dict.fromkeys(w[0] for w in NEGATORS)}
LITTLE = ("any a an the mad of from too very with so it to them is are much kind have be has in contain contains "
          "anything anyth something either out which")
SKIPPED = frozenset(LITTLE.split()) | frozenset("有太会那么很用是的含任何")
CANONICAL = tuple(tuple(Atom(word, "word", 0, 0) for word in words)      # how phrases of the lexicon begin
                  for words in (("no",), ("without",), tuple("没有"), ("无",), tuple("不含"), tuple("不要")))
BEHIND = ("以", "之", "除")    # before "外": "白色以外" is all but white
ALSO = frozenset(("or", "nor", "或", "和", "及"))
FREE = "fre"               # of "lace-free": what stands before it is negated
AFTER = frozenset((FREE, *BEHIND))
MARKS = STARTS.keys() | ALSO | AFTER
NO_NEGATION_AFTER = frozenset("特级类性区识个")   # "特别" is "very", not "do not"
BEFORE_NO_NEGATION = {"非": "常", "无": "论", "不": "错过同断仅但", "没": "想"}
LONGEST_HAN = 4


class Span(NamedTuple):
    """Atoms `start` to `end`: a phrase with its facets, or one word without; `negated` or not.

    `within`: it is part of a phrase that says so itself, as "laces" of "without laces" is.
    """

    start: int
    end: int
    facets: tuple[str, ...]
    negated: bool
    within: bool = False


def negator(found: Sequence[Atom], at: int) -> int:
    """How many atoms from here say "not", 0 for none."""
    first = found[at].text
    if first not in STARTS:
        return 0
    if first == "别" and at and found[at - 1].text in NO_NEGATION_AFTER:
        return 0
    if at + 1 < len(found) and found[at + 1].text in BEFORE_NO_NEGATION.get(first, ""):
        return 0
    for words in STARTS[first]:
        if len(words) <= len(found) - at and all(found[at + i].text == word for i, word in enumerate(words)):
            return len(words)
    return 0


def boundary(text: str, found: Sequence[Atom], at: int) -> bool:
    """True where punctuation stands before that atom."""
    return at > 0 and not PUNCTUATION.isdisjoint(text[found[at - 1].end:found[at].start])


def spans(text: str, found: Sequence[Atom], lexicon: Lexicon, plain: bool = True) -> list[Span]:
    """All phrases and words of a text in order, negators left out. A phrase that contains its own "no" ("non-slip") wins.

    Without `plain` words that are neither part of a phrase nor negated are left out.
    """
    made: list[Span] = []
    at, phrases = 0, lexicon.phrases
    while at < len(found):
        first = found[at].text
        if first not in phrases and first not in MARKS:
            if plain or (at + 1 < len(found) and found[at + 1].text in AFTER):
                made.append(Span(at, at + 1, (), False))
            at += 1
            continue
        length, facets = lexicon.match(found, at)
        head = negator(found, at)
        if length:
            made.append(Span(at, at + length, facets, False))
            at += length
            if length > 1 and found[at - 1].text == FREE:
                made += opposites(found, lexicon, at - length, at - 1, facets)
            if head:
                made += opposites(found, lexicon, at - length + head, at, facets)
                at = others(text, found, lexicon, at, found[at - length:at - length + head], made)
            continue
        if head:
            at = negated(text, found, lexicon, at, head, made)
            continue
        if first == FREE and made and made[-1].end == at and not boundary(text, found, at):     # "lace-free"
            made[-1] = made[-1]._replace(negated=True)
        elif first in BEHIND and at + 1 < len(found) and found[at + 1].text == "外" and made and made[-1].end == at:
            behind(text, found, lexicon, made)
            at += 1
        elif first not in ALSO:
            made.append(Span(at, at + 1, (), False))
        at += 1
    return made


def behind(text: str, found: Sequence[Atom], lexicon: Lexicon, made: list[Span]) -> None:
    """Negate what "以外" stands behind: a phrase, or the few characters before it that are no phrase."""
    last = made.pop()
    while (not last.facets and last.end - last.start < LONGEST_HAN and made and made[-1].end == last.start
           and not made[-1].facets and not made[-1].negated and found[last.start].kind == "joined"
           and found[last.start - 1].kind == "joined" and found[last.start - 1].text not in STOP_HAN
           and not boundary(text, found, last.start)):
        last = last._replace(start=made.pop().start)
    made.append(last._replace(negated=True))


def opposites(found: Sequence[Atom], lexicon: Lexicon, at: int, end: int, facets: tuple[str, ...]) -> list[Span]:
    """What a phrase with its own "no" refuses: "without laces" asks for slip-ons, and refuses laces."""
    if at >= end:
        return []
    length, refused = lexicon.match(found[:end], at)
    names = {"kind", *(facet.partition(":")[0] for facet in facets)}
    refused = tuple(facet for facet in refused if facet.partition(":")[0] in names and facet not in facets)
    return [Span(at, end, refused, True, True)] if refused and at + length == end else []


def with_its_no(found: Sequence[Atom], lexicon: Lexicon, at: int, words: Sequence[Atom]) -> tuple[int, tuple[str, ...]]:
    """(length, facets) of a phrase from here that the lexicon has with a "no" before it: "no nuts"; (0, ()) for none."""
    for before in (words, *CANONICAL):
        length, facets = lexicon.match([*before, *found[at:at + LONGEST_PHRASE]], 0)
        rest = length - len(before)
        if rest > 1 or (rest == 1 and (before is words or found[at].kind != "joined")):      # "无香" does not begin "不含香菜"
            return rest, facets
    return 0, ()


def negated(text: str, found: Sequence[Atom], lexicon: Lexicon, at: int, head: int, made: list[Span]) -> int:
    """Append what the negator of `head` atoms there takes away; the atom after it. "不" alone takes only a phrase."""
    weak, words = head == 1 and found[at].text in "不没", found[at:at + head]
    at = skip(found, lexicon, at + head)
    if at >= len(found) or boundary(text, found, at):
        return at
    length, facets = with_its_no(found, lexicon, at, words)      # "without a cable" is "without cable"
    itself = length > 0
    if not itself:
        length, facets = lexicon.match(found, at)
        length = length or (0 if weak else run(text, found, lexicon, at))
    if not length:
        return at
    made.append(Span(at, at + length, facets, not itself))
    if itself:
        made += opposites(found, lexicon, at, at + length, facets)
    return others(text, found, lexicon, at + length, words, made)


def others(text: str, found: Sequence[Atom], lexicon: Lexicon, at: int, words: Sequence[Atom], made: list[Span]) -> int:
    """What is negated along with it: "without nuts or milk" says "without milk" as well. The atom after it."""
    while at < len(found) and (found[at].text in ALSO or "、" in text[found[at - 1].end:found[at].start]):
        begin = skip(found, lexicon, at)
        if begin >= len(found):
            break
        length, facets = with_its_no(found, lexicon, begin, words)
        itself = length > 0
        if not itself:
            length, facets = lexicon.match(found, begin)
        if length <= 0:
            break
        made.append(Span(begin, begin + length, facets, not itself))
        if itself:
            made += opposites(found, lexicon, begin, begin + length, facets)
        at = begin + length
    return at


def skip(found: Sequence[Atom], lexicon: Lexicon, at: int) -> int:
    """The first atom from here that says something."""
    while at < len(found) and (found[at].text in SKIPPED or found[at].text in ALSO) and not lexicon.match(found, at)[0]:
        at += 1
    return at


def run(text: str, found: Sequence[Atom], lexicon: Lexicon, at: int) -> int:
    """How many atoms a word without a phrase has that is negated here: one word, or a few characters of Chinese."""
    if negator(found, at):
        return 0
    if found[at].kind != "joined":
        return 0 if found[at].text in STOP else 1
    length = 0
    while (length < LONGEST_HAN and at + length < len(found) and found[at + length].kind == "joined"
           and found[at + length].text not in STOP_HAN and not boundary(text, found, at + length)
           and not (length and lexicon.match(found, at + length)[0])):
        length += 1
    return length
