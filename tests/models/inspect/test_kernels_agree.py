"""The plain kernels and the quick ones teach the same station and give the same verdicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from aisle.kernels import knn  # noqa: F401  fills the table of ops
from aisle.kernels._op import Op

SCRIPT = """
import hashlib, json
import cv2
from aisle.kernels._op import choices
from aisle.models.inspect import select, teach
from aisle.models.inspect.score import examine, working_picture
from aisle.models.make import parts
teach.CELLS, select.SPOILED = 256, 12
def half(image): return cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
shown = [half(parts.good(seed)) for seed in range(5)]
recipe = teach.learn("flange", shown).recipe
seen = [examine(half(parts.good(900 + n)), recipe) for n in range(4)]
seen += [examine(half(parts.defective(950 + n, kind)[0]), recipe) for n, kind in enumerate(parts.DEFECTS)]
work = hashlib.sha256(b"".join(working_picture(p, recipe.work).tobytes() for p in shown)).hexdigest()
print(json.dumps({"variants": sorted({choices()[n].variant for n in ("knn", "letterbox", "heatmap.smooth")}), "work": work,
                  "bank": hashlib.sha256(recipe.bank.tobytes()).hexdigest(), "method": recipe.method,
                  "threshold": recipe.threshold, "scores": [s.score for s in seen],
                  "verdicts": [s.score > recipe.threshold for s in seen],
                  "regions": [[r.box for r in s.regions] for s in seen]}))
"""


def taught(variant: str) -> dict:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
                          env=os.environ | {"AISLE_KERNELS": variant})
    return json.loads(done.stdout)


@pytest.mark.skipif("fast" not in Op.table["knn"].variants(), reason="the compiled kernels are not built")
def test_reference_and_fast_teach_and_judge_alike():
    plain, quick = taught("reference"), taught("fast")
    assert (plain.pop("variants"), quick.pop("variants")) == (["reference"], ["fast"])
    assert any(plain["verdicts"])
    for name in ("threshold", "scores"):
        assert plain.pop(name) == pytest.approx(quick.pop(name), rel=1e-5)
    assert plain == quick
