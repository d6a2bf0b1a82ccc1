"""Help me choose: the question whose answer says most about what is wanted, and what the answers so far leave.

Each item has a weight: how likely it is the wanted one. An answer multiplies the weights of what does not fit by SLIP: people
slip, and shops describe imperfectly, so nothing is ruled out by one tap. The next question is the facet whose answer is
expected to reduce the entropy of the weights most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from .facts import SIZES, TRANSLATED
from .lexicon import Lexicon
from .units import measure

MOST_QUESTIONS = 5
MOST_OPTIONS = 6
SLIP = 0.02                # what an answer that does not fit leaves of a weight: one in ten taps a wrong one of six
LEAST_GAIN = 0.15          # bits; a question that says less is not asked
LEAST_SHARE = 0.02         # of the weight; a rarer value is no option of its own
ENOUGH = 3.0               # as few items as this, by entropy, need no further question
PRICE, CATEGORY = "price", "category"
PRICE_PARTS = 3


class State(Protocol):
    """What is read of a catalogue's snapshot; models/shop/snapshot.py."""

    @property
    def facets(self) -> Mapping[str, Mapping[str, np.ndarray]]: ...
    @property
    def price(self) -> np.ndarray: ...
    @property
    def category(self) -> np.ndarray: ...
    @property
    def categories(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Answer:
    """A tap: one of `values` of a facet; `others`: none of them; neither values nor others: the visitor does not mind."""

    facet: str
    values: tuple[str, ...] = ()
    others: bool = False


@dataclass(frozen=True)
class Option:
    """One tap: the values behind it, how likely it is, and how many items it fits. `others`: none of the options before."""

    values: tuple[str, ...]
    share: float
    items: int
    others: bool = False


@dataclass(frozen=True)
class Question:
    """`gain` in bits: what the answer is expected to tell; of rare values a little below zero: answers slip."""

    facet: str
    options: tuple[Option, ...]
    gain: float


def values_of(snapshot: State, facet: str, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Value -> rows, of an attribute, of the first part of the category, or of three bands of prices with the same weight."""
    if facet == CATEGORY:
        heads = np.array([path.split("/")[0] for path in snapshot.categories], object)
        return {head: np.flatnonzero((heads == head)[snapshot.category]) for head in dict.fromkeys(heads.tolist()) if head}
    if facet == PRICE:
        return bands(snapshot, weights)
    return dict(snapshot.facets.get(facet, {}))


def bands(snapshot: State, weights: np.ndarray) -> dict[str, np.ndarray]:
    """"0-99", "99-250", "250-": rows by price, cut where the weight is in equal parts."""
    rows = np.flatnonzero((snapshot.price > 0) & (weights > 0))
    if len(rows) < PRICE_PARTS:
        return {}
    order = rows[np.argsort(snapshot.price[rows], kind="stable")]
    sums = np.cumsum(weights[order])
    cuts = [round_price(float(snapshot.price[order[np.searchsorted(sums, sums[-1] * part / PRICE_PARTS)]]))
            for part in range(1, PRICE_PARTS)]
    cuts = sorted(set(cuts))
    edges = [0.0, *cuts, np.inf]
    made = {}
    for low, high in pairwise(edges):
        name = f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g}-"
        made[name] = np.flatnonzero((snapshot.price >= low) & (snapshot.price < high))
    return made


def round_price(price: float) -> float:
    """A price as people say it, two digits."""
    step = 10.0 ** max(0, int(np.floor(np.log10(max(price, 1.0)))) - 1)
    return max(step, round(price / step) * step)


def fitting(snapshot: State, answer: Answer, weights: np.ndarray) -> np.ndarray:
    """Which rows fit an answer, bool (n,); items that do not say count as not fitting."""
    mask = np.zeros(len(snapshot), bool)
    if answer.facet == PRICE:
        for value in answer.values:
            low, _, high = value.partition("-")
            mask |= (snapshot.price >= float(low or 0)) & (snapshot.price < float(high or "inf"))
        return mask ^ answer.others
    have = values_of(snapshot, answer.facet, weights)
    for value in answer.values:
        if value in have:
            mask[have[value]] = True
    return mask ^ answer.others


def weighed(snapshot: State, weights: np.ndarray, answers: Sequence[Answer]) -> np.ndarray:
    """The weights after the answers, of sum 1; float64 (n,)."""
    made = weights.astype(np.float64)
    for answer in answers:
        if answer.values:
            made = made * np.where(fitting(snapshot, answer, made), 1.0, SLIP)
    total = made.sum()
    return made / total if total > 0 else made


def entropy(p: np.ndarray) -> float:
    """Bits."""
    some = p[p > 0]
    return float(-(some * np.log2(some)).sum())


def question(snapshot: State, weights: np.ndarray, facet: str) -> Question | None:
    """The question for a facet with its options, the likeliest first; None where it tells nothing."""
    have = {value: rows for value, rows in values_of(snapshot, facet, weights).items() if weights[rows].sum() > 0}
    if len(have) < 2:
        return None
    told = np.zeros(len(weights))             # how many values an item has: its shopper says one of them
    for rows in have.values():
        told[rows] += 1
    each = np.divide(weights, told, out=np.zeros_like(weights), where=told > 0)
    share = {value: float(each[rows].sum()) for value, rows in have.items()}
    listed = sorted((v for v in have if share[v] >= LEAST_SHARE), key=lambda v: (-share[v], v))
    best, rest = listed[:MOST_OPTIONS], [v for v in have if v not in listed[:MOST_OPTIONS]]
    if len(rest) == 1:                        # "something else" would be this one
        best, rest = [*best, *rest], []
    if len(best) + bool(rest) < 2:
        return None
    whole = entropy(weights)
    logs = np.zeros(len(weights))
    np.log2(weights, out=logs, where=weights > 0)
    parts = weights * logs
    gain = sum(share[v] * (whole - after(weights, parts, have[v])) for v in best)
    likely_from = weights.max() / 2            # what one answer did not fit is not counted any more
    options = [Option((v,), share[v], int(np.count_nonzero(weights[have[v]] >= likely_from))) for v in best]
    if rest:
        named = np.zeros(len(weights), bool)
        for v in best:
            named[have[v]] = True
        others = np.flatnonzero(~named)
        likely = sum(share[v] for v in rest)
        gain += likely * (whole - after(weights, parts, others))
        options.append(Option(tuple(best), likely, int(np.count_nonzero(weights[others] >= likely_from)), True))
    return Question(facet, in_order(facet, options), gain)


def in_order(facet: str, options: Sequence[Option]) -> tuple[Option, ...]:
    """Prices rise; everything else comes as likely as it is."""
    if facet == PRICE:
        return tuple(sorted(options, key=lambda one: float(one.values[0].partition("-")[0])))
    return tuple(options)


def after(weights: np.ndarray, parts: np.ndarray, rows: np.ndarray) -> float:
    """The entropy once these rows are known to fit; `parts` are p log p."""
    mass, inside = float(weights[rows].sum()), float(parts[rows].sum())
    outside_mass, outside = 1.0 - mass, float(parts.sum()) - inside
    total = mass + SLIP * outside_mass
    if total <= 0:
        return 0.0
    return float(np.log2(total) - (inside + SLIP * (outside + outside_mass * np.log2(SLIP))) / total)


def askable(snapshot: State) -> list[str]:
    """The facets that may be asked about: no translations, no sizes (what fits is no matter of taste), few values."""
    names = [name for name in snapshot.facets
             if not name.startswith(TRANSLATED) and name.lower() not in SIZES and not any(map(measure, snapshot.facets[name]))]
    return [CATEGORY, *(name for name in names if name not in (CATEGORY, PRICE)), PRICE]


def next_question(snapshot: State, weights: np.ndarray, answered: Sequence[str]) -> Question | None:
    """The best question among the facets not asked yet; None where enough is known or no question tells enough."""
    if len(answered) >= MOST_QUESTIONS or 2 ** entropy(weights) <= ENOUGH:
        return None
    made = [one for name in askable(snapshot) if name not in answered and (one := question(snapshot, weights,
        name)) is not None]
    best = max(made, key=lambda one: one.gain, default=None)
    return best if best is not None and best.gain >= LEAST_GAIN else None


# ---- words

Phrase = Callable[[str, Sequence[str], str], str]      # (facet, labels of the options, language) -> the question

QUESTIONS: Mapping[str, Mapping[str, str]] = {
    CATEGORY: {"en": "What are you looking for?", "zh": "您想看哪一类？"},
    "kind": {"en": "Which kind?", "zh": "哪一种？"},
    "for": {"en": "Who is it for?", "zh": "给谁用？"},
    "use": {"en": "What is it for?", "zh": "主要用来做什么？"},
    "weather": {"en": "For which weather?", "zh": "什么天气用？"},
    "season": {"en": "For which season?", "zh": "什么季节用？"},
    "material": {"en": "Which material?", "zh": "喜欢什么材质？"},
    "colour": {"en": "Which colour?", "zh": "喜欢什么颜色？"},
    "diet": {"en": "Anything to mind about the diet?", "zh": "饮食上有什么要求？"},
    "taste": {"en": "Which taste?", "zh": "喜欢什么口味？"},
    PRICE: {"en": "How much should it cost?", "zh": "预算多少？"},
    "": {"en": "{name}: what would you like?", "zh": "{name}：您的选择？"},
}


def phrased(facet: str, options: Sequence[str], language: str, lexicon: Lexicon) -> str:
    """The question in words, without any model."""
    return QUESTIONS.get(facet, QUESTIONS[""])[language].format(name=lexicon.name(facet, language).capitalize())


def label(facet: str, value: str, language: str, lexicon: Lexicon, currency: str = "") -> str:
    """An option in words."""
    if facet == PRICE:
        low, _, high = value.partition("-")
        money = {"CNY": "¥", "EUR": "€", "USD": "$", "GBP": "£"}.get(currency, "")
        if not high:
            return {"en": f"over {money}{low}", "zh": f"{money}{low} 以上"}[language]
        if low == "0":
            return {"en": f"up to {money}{high}", "zh": f"{money}{high} 以下"}[language]
        return f"{money}{low} – {money}{high}"
    return lexicon.label(f"{facet}:{value}".lower(), language) if f"{facet}:{value}".lower() in lexicon.values else value
