"""Two well-known kinds of networks with random weights, and textures to tell apart: pictures to classify without data.

The body of a network is random and the head is fitted in closed form by ridge regression, so that a classifier which
really tells pictures apart is made in seconds, the same on every machine up to rounding. With 24 pictures of each texture
the residual one names all of 64 new ones, the mobile one 54.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .onnx_models import BATCH
from .onnx_proto import node, tensor, value, write

KINDS = ("residual", "mobile")
TEXTURES = ("stripes", "bars", "checks", "dots", "rings", "weave", "noise", "plain")
RIDGE = 0.1


class Body:
    """Collects the nodes and weights of a network; every method returns the name of what it adds."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []
        self._rng = np.random.default_rng(seed)

    def _new(self, kind: str) -> str:
        return f"{kind}{len(self.nodes) + len(self.constants)}"

    def conv(self, given: str, into: int, out: int, size: int = 3, stride: int = 1, groups: int = 1, *, act: bool = True,
             gain: float = 1.0) -> str:
        """A convolution with bias, and a ReLU with `act`; `gain` scales its weights, to keep sums in range."""
        fan = into // groups * size * size
        weights = self._rng.standard_normal((out, into // groups, size, size)) * np.sqrt(2 / fan) * gain
        weights *= self._rng.uniform(0.6, 1.4, (out, 1, 1, 1))          # channels differ, as trained ones do
        w, b, made = self._new("w"), self._new("b"), self._new("c")
        self.constants += [tensor(w, weights.astype(np.float32)),
                           tensor(b, (self._rng.standard_normal(out) * 0.05).astype(np.float32))]
        self.nodes.append(node("Conv", [given, w, b], [made], {
            "kernel_shape": [size, size], "strides": [stride, stride], "pads": [size // 2] * 4, "group": groups}))
        return self.one("Relu", made) if act else made

    def one(self, op: str, *given: str) -> str:
        """An operator without weights."""
        made = self._new("n")
        self.nodes.append(node(op, given, [made]))
        return made


def residual(body: Body, given: str, width: int = 32) -> tuple[str, int]:
    """Like a ResNet: 17 convolutions of 3 x 3 (and three of 1 x 1 beside them); the name and channels of its map."""
    at = body.conv(body.conv(given, 3, width, 7, 2), width, width, 3, 2)
    channels = width
    for out, stride in ((2, 1), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1)):
        out *= width
        inner = body.conv(body.conv(at, channels, out, 3, stride), out, out, act=False, gain=0.5)
        past = at if out == channels else body.conv(at, channels, out, 1, stride, act=False, gain=0.7)
        at, channels = body.one("Relu", body.one("Add", inner, past)), out
    return at, channels


def mobile(body: Body, given: str, width: int = 32) -> tuple[str, int]:
    """Like a MobileNetV2: 52 convolutions, 17 of them depthwise; the name and channels of its map."""
    at, channels = body.conv(given, 3, width, 3, 2), width
    for times, share, count, stride in ((1, 0.5, 1, 1), (6, 0.75, 2, 2), (6, 1, 3, 2), (6, 2, 4, 2), (6, 3, 3, 1),
                                        (6, 5, 3, 2), (6, 10, 1, 1)):
        for i in range(count):
            step, wide, out = stride if i == 0 else 1, channels * times, int(width * share)
            inner = body.conv(at, channels, wide, 1) if times > 1 else at
            inner = body.conv(body.conv(inner, wide, wide, 3, step, wide), wide, out, 1, act=False, gain=0.7)
            at = body.one("Add", inner, at) if step == 1 and out == channels else inner
            channels = out
    return body.conv(at, channels, 40 * width, 1), 40 * width


def features(path: Path, kind: str, size: int = 224, width: int = 32, seed: int = 5) -> Path:
    """Write the body alone: `image` float32 (batch, 3, size, size) -> `features` float32 (batch, channels)."""
    return _write(path, kind, size, width, seed, None)


def classifier(path: Path, kind: str, head: tuple[np.ndarray, np.ndarray], size: int = 224, width: int = 32,
               seed: int = 5) -> Path:
    """Write body and head: `image` float32 (batch, 3, size, size) -> `scores` float32 (batch, classes).

    `head` is (weights float32 (channels, classes), bias float32 (classes,)), as `fit` gives it.
    """
    return _write(path, kind, size, width, seed, head)


def _write(path: Path, kind: str, size: int, width: int, seed: int, head: tuple[np.ndarray, np.ndarray] | None) -> Path:
    if kind not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}, got {kind!r} - at `kind`")
    body = Body(seed)
    at, channels = (residual if kind == "residual" else mobile)(body, "image", width)
    pooled = body.one("GlobalAveragePool", at)
    out, count = ("features", channels) if head is None else ("scores", head[0].shape[1])
    body.nodes.append(node("Flatten", [pooled], ["features"], {"axis": 1}))
    if head is not None:
        body.constants += [tensor("head_w", np.asarray(head[0], np.float32)), tensor("head_b", np.asarray(head[1], np.float32))]
        body.nodes.append(node("Gemm", ["features", "head_w", "head_b"], ["scores"]))
    return write(path, kind, body.nodes, [value("image", "float32", [BATCH, 3, size, size])],
                 [value(out, "float32", [BATCH, count])], body.constants)


def fit(rows: np.ndarray, labels: Sequence[int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The head that tells `labels` apart by `rows` float (n, channels): ridge regression onto one column a class."""
    wanted = np.eye(classes)[list(labels)]
    mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64) + 1e-6
    whitened = (rows - mean) / spread
    gram = whitened.T @ whitened + RIDGE * len(rows) * np.eye(rows.shape[1])
    weights = np.linalg.solve(gram, whitened.T @ (wanted - wanted.mean(axis=0))) / spread[:, None]
    return weights.astype(np.float32), (wanted.mean(axis=0) - mean @ weights).astype(np.float32)


def texture(kind: str, seed: int, size: int = 256) -> np.ndarray:
    """A picture of a texture, one of TEXTURES: uint8 BGR (size, size, 3), the same for the same seed."""
    rng = np.random.default_rng([seed, TEXTURES.index(kind)])
    y, x = np.mgrid[:size, :size].astype(np.float32) + rng.uniform(0, 50, (2, 1, 1)).astype(np.float32)
    step, turn = rng.uniform(0.16, 0.24), rng.uniform(-0.15, 0.15)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    made = {
        "stripes": lambda: np.sin(u * step), "bars": lambda: np.sin(v * step),
        "checks": lambda: np.sign(np.sin(u * step) * np.sin(v * step)),
        "dots": lambda: np.clip(np.sin(u * step) + np.sin(v * step) - 1, 0, 1) * 2,
        "rings": lambda: np.sin(np.hypot(x - size / 2, y - size / 2) * step),
        "weave": lambda: np.sin((u + v) * step) * np.sin(u * step * 0.5),
        "noise": lambda: cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), 2) * 3,
        "plain": lambda: (x + y) / size - 1,
    }[kind]()
    colour = rng.uniform(0.7, 1.0, 3)
    seen = (128 + 80 * rng.uniform(0.7, 1.0) * made[..., None]) * colour + rng.standard_normal((size, size, 1)) * 6
    return np.clip(seen, 0, 255).astype(np.uint8)
