"""A network that a person brings as features: how it is called while teaching, and what is kept of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...kernels import letterbox
from .fit import LEAST_GAUSS, gauss, neighbour
from .recipe import Backbone
from .score import appearance
from .select import NEAR, SEED, SPOILED, Judged, Tick, judge
from .synth import KINDS, spoil

FILE = "backbone.onnx"


def feed(picture: np.ndarray, spec: Backbone, out: np.ndarray) -> None:
    """Write a working picture, uint8 BGR, into the network's input row `out`, of the layout and dtype that `spec` says."""
    shape = (3, spec.height, spec.width) if spec.layout == "NCHW" else (spec.height, spec.width, 3)
    if out.shape != shape or out.dtype != np.dtype(spec.dtype):
        raise ValueError(f"expected the network's input {spec.input!r} to be {spec.dtype} {shape} as the recipe says, got "
                         f"{out.dtype} {out.shape}")
    if spec.layout == "NCHW":
        letterbox(picture, out=out, scale=spec.scale, bias=spec.bias, swap=spec.rgb, keep_aspect=False)
        return
    sized = cv2.resize(picture, (spec.width, spec.height), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(sized, cv2.COLOR_BGR2RGB) if spec.rgb else sized
    if spec.dtype == "uint8":
        out[...] = colours
    else:
        out[...] = colours * np.asarray(spec.scale, np.float32) + np.asarray(spec.bias, np.float32)


@dataclass(frozen=True)
class Network:
    """A backbone while teaching: its ONNX file, how it is fed, and a callable that runs one batch of one.

    `run` takes the input with a batch axis and returns every tap, (1, c, h, w) each, by name.
    """

    file: Path
    spec: Backbone
    run: Callable[[np.ndarray], Mapping[str, np.ndarray]]

    def taps(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        """The taps for one working picture, (c, h, w) each, in the order of the spec."""
        shape = (3, self.spec.height, self.spec.width)
        row = np.empty(shape if self.spec.layout == "NCHW" else (*shape[1:], 3), self.spec.dtype)
        feed(picture, self.spec, row)
        given = self.run(row[None])
        return tuple(np.array(given[name][0], np.float32) for name in self.spec.taps)

    def save(self, folder: Path) -> tuple[str, ...]:
        """Copy the network into a bundle's folder."""
        shutil.copyfile(self.file, folder / FILE)
        return (FILE,)


def learn_with(network: Network, pictures: Sequence[np.ndarray], alpha: float, tick: Tick) -> list[Judged]:
    """Fit and measure candidates on the network's features of aligned working pictures."""
    rng = np.random.default_rng(SEED)
    each = max(1, SPOILED // 2 // len(pictures))
    good, faults = [], []
    for picture in pictures:
        good.append(appearance(picture, False, network.taps(picture)))
        spoiled = [spoil(picture, rng, int(k)) for k in rng.integers(len(KINDS), size=each)]
        faults.append([appearance(bad, False, network.taps(bad)) for bad in spoiled])
    features = np.stack(good)
    fits = [neighbour(features, NEAR)]
    if len(pictures) >= LEAST_GAUSS and features.shape[-1] <= 64:     # covariances of wide features do not fit anywhere
        fits.append(gauss(features))
    return [judge(features, faults, fit, False, alpha, tick) for fit in fits]
