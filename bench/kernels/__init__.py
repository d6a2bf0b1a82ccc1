"""Every kernel against what people use today, one core, interleaved in one process: `python -m aisle.bench kernels`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from tqdm import tqdm

from ..report import Options, Row

# An op's module offers `rows(options) -> Iterator[Row]`; each loads its peers only when it runs.
OPS: dict[str, str] = {
    "heatmap": "aisle.bench.kernels.heatmap:rows",
    "letterbox": "aisle.bench.kernels.letterbox:rows",
    "nms": "aisle.bench.kernels.nms:rows",
    "mmr": "aisle.bench.kernels.mmr:rows",
    "warp_grid": "aisle.bench.kernels.warp_grid:rows",
    "diff": "aisle.bench.kernels.diff:rows",
    "knn": "aisle.bench.kernels.knn:rows",
    "kcenter": "aisle.bench.kernels.kcenter:rows",
    "mahalanobis": "aisle.bench.kernels.mahalanobis:rows",
    "topk": "aisle.bench.kernels.topk:rows",
    "tint": "aisle.bench.kernels.tint:rows",
}


def run(options: Options) -> Iterable[Row]:
    """The rows of every op in turn; `--only letterbox` runs the cases whose name contains that."""
    for target in tqdm(OPS.values(), desc="kernels", disable=None):
        module, attribute = target.split(":")
        yield from getattr(import_module(module), attribute)(options)
