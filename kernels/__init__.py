"""Arrays in, arrays out: the operations that run for every picture. They know no servers, models or devices."""

from . import distance_field, nearest_piece, shortest_path, street_line
from ._cuda import missing as cuda_missing
from ._op import Choice, choices
from .diff import diff, find_shift
from .heatmap import heatmap, overlay, regions, smooth, top_mean
from .kcenter import kcenter
from .knn import Bank, knn, within
from .letterbox import Placement, letterbox, placement, warp
from .mahalanobis import mahalanobis
from .mmr import mmr
from .nms import nms
from .tint import tint
from .topk import exact, packed, topk, weighed
from .warp_grid import warp_grid

__all__ = [
    "Bank", "Choice", "Placement", "choices", "cuda_missing", "diff", "distance_field", "exact", "find_shift", "heatmap",
    "kcenter", "knn", "letterbox", "mahalanobis", "mmr", "nearest_piece", "nms", "overlay", "packed", "placement",
    "regions", "shortest_path", "smooth", "street_line", "tint", "top_mean", "topk", "warp", "warp_grid", "weighed",
    "within",
]
