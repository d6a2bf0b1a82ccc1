"""Help me choose on simulated shoppers: how many questions until the product they have in mind is among the first five."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import numpy as np
from tqdm import tqdm

from ...models.make.shop import items
from ...models.search import choose
from ...models.search.choose import Answer, Question
from ...models.shop.catalogue import Catalogue
from ...models.shop.snapshot import Snapshot
from ..report import Options, Row

SHOWN = 5
GAIN, RANDOM, FIXED = "information gain", "random order", "fixed order"
FIXED_ORDER = ("category", "kind", "price", "for", "use", "material", "colour")
Pick = Callable[[Snapshot, np.ndarray, list[str], np.random.Generator], Question | None]


def by_gain(snapshot: Snapshot, weights: np.ndarray, answered: list[str], rng: np.random.Generator) -> Question | None:
    """Ours."""
    return choose.next_question(snapshot, weights, answered)


def by_chance(snapshot: Snapshot, weights: np.ndarray, answered: list[str], rng: np.random.Generator) -> Question | None:
    """Any question that has two options."""
    names = [name for name in choose.askable(snapshot) if name not in answered]
    for name in rng.permutation(names):
        made = choose.question(snapshot, weights, str(name))
        if made is not None:
            return made
    return None


def by_order(snapshot: Snapshot, weights: np.ndarray, answered: list[str], rng: np.random.Generator) -> Question | None:
    """Always the same, as a form would; facets beyond FIXED_ORDER follow by name."""
    for name in (*FIXED_ORDER, *sorted(choose.askable(snapshot))):
        if name not in answered and (made := choose.question(snapshot, weights, name)) is not None:
            return made
    return None


PICKS: dict[str, Pick] = {GAIN: by_gain, RANDOM: by_chance, FIXED: by_order}


def place(weights: np.ndarray, target: int) -> int:
    """How many items stand before the target or tie with it: ties count against us."""
    return int(np.count_nonzero(weights >= weights[target])) - 1


def reply(snapshot: Snapshot, asked: Question, target: int, weights: np.ndarray, slip: float,
          rng: np.random.Generator) -> Answer:
    """What a shopper with that product in mind taps; with the chance `slip` any of the options."""
    if rng.random() < slip:
        one = asked.options[rng.integers(len(asked.options))]
        return Answer(asked.facet, one.values, one.others)
    fits = [one for one in asked.options if not one.others and choose.fitting(snapshot, Answer(asked.facet, one.values),
        weights)[target]]
    if fits:
        one = fits[rng.integers(len(fits))]
        return Answer(asked.facet, one.values)
    others = next((one for one in asked.options if one.others), None)
    says = any(target in rows for rows in choose.values_of(snapshot, asked.facet, weights).values())
    return Answer(asked.facet, others.values, True) if others is not None and says else Answer(asked.facet)


def shopper(snapshot: Snapshot, target: int, pick: Pick, slip: float, rng: np.random.Generator) -> int:
    """Questions until the target is among the first SHOWN; one more than allowed where it never is."""
    start = np.ones(len(snapshot))
    answers: list[Answer] = []
    weights = choose.weighed(snapshot, start, answers)
    for count in range(choose.MOST_QUESTIONS + 1):
        if place(weights, target) < SHOWN:
            return count
        asked = pick(snapshot, weights, [one.facet for one in answers], rng) if count < choose.MOST_QUESTIONS else None
        if asked is None:
            break
        answers.append(reply(snapshot, asked, target, weights, slip, rng))
        weights = choose.weighed(snapshot, start, answers)
    return choose.MOST_QUESTIONS + 1


def run(options: Options) -> Iterator[Row]:
    """Shoppers who answer truly, and shoppers of whom one answer in ten is a slip."""
    snapshot = Catalogue(items()).now()
    targets = range(0, len(snapshot), 4 if options.quick else 1)
    for case, slip in (("choose: true answers", 0.0), ("choose: one answer in ten is a slip", 0.1)):
        if not options.wants(case):
            continue
        counts = {name: np.array([shopper(snapshot, target, pick, slip,
            np.random.default_rng(zlib.crc32(f"{name}{target}".encode())))
                                  for target in tqdm(targets, desc=f"{case}, {name}", leave=False)])
                  for name, pick in PICKS.items()}
        ours = counts[GAIN]
        found = float((ours <= choose.MOST_QUESTIONS).mean())
        spread = float(ours.std() / np.sqrt(len(ours)))
        for name in (RANDOM, FIXED):
            theirs = counts[name]
            yield Row(case, f"mean questions until the target is in the top {SHOWN}", float(ours.mean()), "questions", spread,
                name,
                      float(theirs.mean()), float(ours.mean() / theirs.mean()), "fewer than the other orders",
                      bool(ours.mean() < theirs.mean()),
                      f"{len(ours)} shoppers, every product once; who does not find it in {choose.MOST_QUESTIONS} counts as "
                      f"{choose.MOST_QUESTIONS + 1}; found: ours {found:.3f}, {name} "
                      f"{float((theirs <= choose.MOST_QUESTIONS).mean()):.3f}")
