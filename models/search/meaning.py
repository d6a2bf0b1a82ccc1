"""What a text encoder is given: items and questions as text that it was made for."""

from __future__ import annotations

from collections.abc import Mapping

from .ask import Understood
from .encoder import TextEncoder
from .facts import TRANSLATED, Thing
from .lexicon import Lexicon
from .words import IS_HAN, STOP_HAN

MOST_TEXT = 400            # characters of an item's text
COVERED = 0.5              # of a question in another language the lexicon must know this share to tell it in English


def foreign(text: str, encoder: TextEncoder) -> bool:
    """True for Chinese where the encoder was not made for it."""
    return IS_HAN.search(text) is not None and "zh" not in encoder.languages


def item_text(item: Thing, facets: Mapping[str, float], lexicon: Lexicon, encoder: TextEncoder) -> str:
    """Title, kind, facets in words, and text; the parts in another language are left out, their facets are told instead."""
    texts = [item.title, *(item.category.split("/")[-1:]), item.text[:MOST_TEXT]]
    texts += [" ".join(item.values(name))[:MOST_TEXT] for name in item.attributes if name.startswith(TRANSLATED)]
    readable = [text for text in texts if text and not foreign(text, encoder)]
    told = [lexicon.label(facet, "en") for facet, sure in facets.items() if sure >= 1.0 and facet in lexicon.values]
    told = [text for text in told if not foreign(text, encoder)]
    return ". ".join([*readable[:1], ", ".join(dict.fromkeys(told)), *readable[1:]])


def question_text(asked: Understood, lexicon: Lexicon, encoder: TextEncoder) -> str:
    """The question for the encoder; "" where it could not read it.

    A Chinese question is told in English by the facets that the lexicon saw in it, where these cover most of it.
    """
    if not foreign(asked.text, encoder):
        return asked.typed if encoder.knows(asked.typed) else ""
    said = [c for c in asked.text if IS_HAN.match(c) and c not in STOP_HAN]
    covered = sum(len(want.phrase) for want in asked.wanted)
    if not asked.wanted or covered < COVERED * len(said):
        return ""
    return " ".join(lexicon.label(want.facets[0], "en") for want in asked.wanted)
