"""Verdicts on real pictures: nets with a head fitted on half of the photos of cartons, quantised with the other half."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...models.bundle import Bundle, BundleError, TensorSpec
from ...models.calibrate import picture_spec
from ...models.inspect.network import feed
from ...models.inspect.publish import publish
from ...models.make import nets
from ...runtime.backends import make_backend
from ...runtime.pictures import decode
from ...runtime.quantizing import quantize_bundle
from ..report import Options, Row
from .ratios import ONE

ARCHIVE = Path("retail") / "grocery" / "grocery_packages_trainval.zip"
GOAL = 0.99


def agreements(data: Path, folder: Path, options: Options) -> list[Row]:
    """One row a kind of network; without the archive a row that says so."""
    if not options.wants("real"):
        return []
    if not (data / ARCHIVE).is_file():
        return [Row("real", "verdicts that agree", None, goal=f">= {GOAL:.0%}", note=f"{data / ARCHIVE} is not there")]
    pictures, labels, names = photos(data / ARCHIVE)
    kept = folder / "photos"
    kept.mkdir()
    for i in range(1, len(pictures), 2):
        (kept / f"{i:04d}.jpg").write_bytes(pictures[i])
    return [one(kind, pictures, labels, names, folder, kept) for kind in nets.KINDS]


def photos(archive: Path) -> tuple[list[bytes], list[int], list[str]]:
    """(the photos as they are, which product each shows, the products)."""
    with zipfile.ZipFile(archive) as opened:
        files = sorted(n for n in opened.namelist() if n.lower().endswith(".jpg"))
        names = sorted({Path(n).parent.name for n in files})
        return [opened.read(n) for n in files], [names.index(Path(n).parent.name) for n in files], names


def one(kind: str, pictures: list[bytes], labels: list[int], names: list[str], folder: Path, kept: Path) -> Row:
    """Fit the head on every second photo, quantise with the others, and say how many held-out verdicts agree."""
    size = 224
    table = {"input": "image", "height": size, "width": size, "scale": [1 / 58] * 3, "bias": [-2.0] * 3}
    specs = TensorSpec("image", "float32", (3, size, size)), TensorSpec("scores", "float32", (len(names),))
    bundle = Bundle(f"real-{kind}", "1", "model", folder, (specs[0],), (specs[1],), {("onnx", "fp32"): "model.onnx"}, 8,
                    {"picture": table})
    body = nets.features(folder / f"{kind}.onnx", kind, size)
    backend = make_backend("onnx")
    plain = Bundle("body", "1", "model", folder, files={("onnx", "fp32"): body.name})
    session: Any = backend.open(backend.describe(plain), ONE)
    spec, rows = picture_spec(bundle, table), []
    for data in tqdm(pictures, desc=f"real {kind}", file=sys.stderr, leave=False):
        feed(decode(data), spec, session.row(0)["image"])
        session.run(1)
        rows.append(session.row(0)["features"].copy())
    learnt = np.arange(len(pictures)) % 2 == 0
    head = nets.fit(np.stack(rows)[learnt], np.array(labels)[learnt].tolist(), len(names))
    right = float(np.mean((np.stack(rows)[~learnt] @ head[0] + head[1]).argmax(1) == np.array(labels)[~learnt]))
    publish(bundle, lambda at: (nets.classifier(at / "model.onnx", kind, head, size).name,), folder / "real")
    case = f"real {kind}: {len(names)} products, {len(pictures)} photos"
    try:
        made = quantize_bundle(folder / "real" / bundle.name, kept, bound=GOAL, most=1000)
    except BundleError as error:
        return Row(case, "verdicts that agree", None, goal=f">= {GOAL:.0%}", met=False,
                   note=f"FP32 itself names {right:.1%} rightly; {error}")
    seen = made.result.kept["cpu"]
    note = (f"of {seen.samples} held-out photos, at least {seen.least:.1%} with 95 % confidence; FP32 itself names {right:.1%} "
            f"rightly; {len(made.result.floats)} of {made.result.layers} layers in float; ratio: of speed")
    return Row(case, "verdicts that agree", seen.agreement, "", None, "FP32", 1.0, made.ratio, f">= {GOAL:.0%}",
               seen.agreement >= GOAL, note)
