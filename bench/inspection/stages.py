"""Where the time of one picture goes: a 640 x 480 JPEG, a taught inspector, one core, beside OpenCV and NumPy by hand."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable
from time import perf_counter

import cv2
import orjson
from tqdm import tqdm

from ...models.inspect.recipe import Recipe
from ...models.inspect.score import judge, prepare
from ...models.make import parts
from ...runtime.codec.inspect import answer
from ...runtime.pictures import decode, encode_jpeg
from ...runtime.workloads.inspect import REJECT, Verdict, draw
from ..report import Options, Row
from . import peer
from .drawn import station

NAME = "one picture, one core"
ROUNDS, QUICK_ROUNDS = 200, 30
STAGES = ("decode", "preprocess and register", "model", "postprocess", "encode")


def run(options: Options) -> Iterable[Row]:
    """Median ms of every stage and of all, ours and the peer's in turns on the same core."""
    if not options.wants(NAME):
        return
    own = os.sched_getaffinity(0)
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {max(own)})
    try:
        recipe = station(options.quick)[0].recipe
        body = encode_jpeg(parts.defective(2000, "crack")[0], 90)
        turns = _turns(body, recipe, QUICK_ROUNDS if options.quick else ROUNDS)
    finally:
        os.sched_setaffinity(0, own)
    yield from _rows(turns, recipe, len(body))


def _turns(body: bytes, recipe: Recipe, rounds: int) -> dict[str, list[dict[str, float]]]:
    """ms by stage of every round, by whose."""
    bank = peer.Bank.of(recipe)
    turns: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for _ in tqdm(range(rounds + 3), desc=NAME, disable=None):
        turns["ours"].append(ours(body, recipe))
        turns["peer"].append(peer.inspect(body, recipe, bank))
    return {whose: found[3:] for whose, found in turns.items()}     # the first rounds fill caches


def ours(body: bytes, recipe: Recipe) -> dict[str, float]:
    """One picture through the code that the server runs, ms by stage."""
    begin = perf_counter()
    image = decode(body)
    decoded = perf_counter()
    seen = judge(prepare(image, recipe), recipe)
    judged = perf_counter()
    verdict = Verdict(REJECT, seen.score, recipe.threshold, seen.regions, seen.timings_ms, None, seen.map)
    orjson.dumps(answer(verdict))
    encoded = perf_counter()
    encode_jpeg(draw(image, seen, recipe))
    drawn = perf_counter()
    named = ("preprocess", "model", "postprocess")
    found = dict(zip(STAGES, [(decoded - begin) * 1e3, *(seen.timings_ms[n] for n in named), (encoded - judged) * 1e3],
                     strict=True))
    return found | {"whole": (encoded - begin) * 1e3, "heatmap as JPEG, where asked for": (drawn - encoded) * 1e3}


def _rows(turns: dict[str, list[dict[str, float]]], recipe: Recipe, nbytes: int) -> Iterable[Row]:
    note = (f"JPEG of {nbytes >> 10} KiB; {recipe.method}, {recipe.work[1]} x {recipe.work[0]}; the peer's "
            "model is a full Gabor bank by filter2D and NumPy distances to the same bank; it gives the same map")
    for stage in (*STAGES, "whole", "heatmap as JPEG, where asked for"):
        mine = [turn[stage] for turn in turns["ours"]]
        theirs = [turn[stage] for turn in turns["peer"] if stage in turn]
        ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True)) if theirs else None
        quarters = statistics.quantiles(mine, n=4)
        yield Row(NAME, stage, statistics.median(mine), "ms", (quarters[2] - quarters[0]) / 2,
                  "OpenCV + NumPy" if theirs else None, statistics.median(theirs) if theirs else None, ratio,
                  note=note if stage == "whole" else None)
