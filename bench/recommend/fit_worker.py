"""One fit in a process of its own, in an environment that has PyTorch: fit_worker.py JOB.json DATA.npz OUT.json [BUNDLE]."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from aisle.models.recommend import format
from aisle.models.recommend.encoder import Weights, encode
from aisle.models.recommend.evaluate import Score, Split, leave_one_out, measure
from aisle.models.recommend.fit import fit
from aisle.models.recommend.interactions import Interactions
from aisle.models.recommend.network import Options, train
from aisle.models.recommend.scoring import score, tastes


def ours(data: Interactions, split: Split, job: dict[str, Any], bundle: str | None) -> dict[str, Any]:
    """What `aisle recommend fit` does, and the same scores with table and taste as int8."""
    result = fit(data, Options(**job["options"]), refit=job["refit"], progress=told)
    whole = measure(score(result.fitted, result.weights, whole=True), split.before("test"), split.test)
    if bundle:
        format.save(result.fitted, result.encoders(), Path(bundle), "bench")
    return {**result.report, "int8_hit": whole.hit, "int8_ndcg": whole.ndcg}


def plain(data: Interactions, split: Split, job: dict[str, Any], bundle: str | None) -> dict[str, Any]:
    """The network alone, stopped early by the same validation users."""
    some = np.random.default_rng(0).choice(len(split.users), min(5000, len(split.users)), replace=False)
    before = split.before("valid")
    histories, targets = [before[u] for u in some], split.valid[some]
    began = time.process_time()
    made = train(split.train, split.items, Options(**job["options"]),
                 lambda weights, vectors: measure(network(weights, vectors), histories, targets).ndcg, told)
    spent = time.process_time() - began
    found = measure(network(made.weights, made.vectors), split.before("test"), split.test)
    return {"hit": found.hit, "ndcg": found.ndcg, "epochs": made.epochs, "cpu_s": spent}


def network(weights: Weights, vectors: np.ndarray) -> Score:
    """Scores of the network alone."""
    return lambda some: tastes(lambda given: encode(weights, given), weights.length, vectors, some) @ vectors.T


def told(part: float, text: str) -> None:
    """Progress as lines that the bench turns into a bar."""
    print(f"{part:.4f} {text}", flush=True)


def main(words: list[str]) -> None:
    """Run one job."""
    job = json.loads(Path(words[0]).read_text())
    with np.load(words[1]) as stored:
        user, item = stored["user"], stored["item"]
    data = Interactions(tuple(map(str, range(int(user.max()) + 1))), tuple(map(str, range(int(item.max()) + 1))), user, item)
    kind = {"ours": ours, "plain": plain}[job["what"]]
    made = kind(data, leave_one_out(data), job, words[3] if len(words) > 3 else None)
    Path(words[2]).write_text(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1:])
