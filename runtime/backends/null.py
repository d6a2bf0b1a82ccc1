"""The backend without a library: output i is input i. For tests, and for measuring everything around a model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError, TensorSpec
from ..errors import Failed
from .blocks import Blocks
from .dtypes import MEMORY
from .tensors import check_request, whole


class NullBackend:
    """Copies inputs to outputs.

    Params: `sleep_ms` (each run takes that long; with `sleep_every` only each n-th), `fail_every` (each n-th run fails).
    """

    def missing(self) -> str | None:
        """Never missing: it needs nothing."""
        return None

    def describe(self, bundle: Bundle) -> Bundle:
        """The bundle itself: its tensors are what it states. BundleError where input i cannot become output i."""
        pairs = list(zip(bundle.inputs, bundle.outputs, strict=False))
        if not pairs or len(bundle.inputs) < len(bundle.outputs):
            raise BundleError(f"null bundle {bundle.name!r} has {len(bundle.inputs)} inputs for "
                              f"{len(bundle.outputs)} outputs; state one input for each output")
        for given, made in pairs:
            if (given.dtype, given.shape) != (made.dtype, made.shape):
                raise BundleError(f"null bundle {bundle.name!r} copies {given.name!r} to {made.name!r}; give them the "
                                  "same dtype and shape")
        return bundle

    def open(self, bundle: Bundle, device: DeviceProfile) -> NullSession | NullFreeSession:
        """A Session where every row is static, else a FreeSession. Nothing is read from disk."""
        self.describe(bundle)
        static = all(s.static and s.dtype in MEMORY and not s.optional for s in (*bundle.inputs, *bundle.outputs))
        return NullSession(bundle, bundle.max_batch) if static else NullFreeSession(bundle)


class _Mishap:
    """What the params ask a run to suffer."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.sleep_s = float(params.get("sleep_ms", 0)) / 1e3
        self.sleep_every = int(params.get("sleep_every", 1))
        self.fail_every = int(params.get("fail_every", 0))
        self.runs = 0

    def suffer(self, name: str) -> None:
        self.runs += 1
        if self.sleep_s and self.runs % self.sleep_every == 0:
            time.sleep(self.sleep_s)
        if self.fail_every and self.runs % self.fail_every == 0:
            raise Failed(f"null model {name!r} failed in run {self.runs}, as its param fail_every asks")


class NullSession:
    """The batched path: rows in one block per tensor."""

    def __init__(self, bundle: Bundle, capacity: int) -> None:
        self.inputs = bundle.inputs
        self.outputs = bundle.outputs
        self.capacity = capacity if bundle.max_batch else 1
        self._name = bundle.name
        self._blocks = Blocks(bundle, self.capacity, MEMORY)
        self._mishap = _Mishap(bundle.params)
        self.row = self._blocks.row
        self.rows = self._blocks.rows

    def run(self, n: int) -> None:
        """Copy rows 0..n-1 of each input to its output."""
        if not 1 <= n <= self.capacity:
            raise IndexError(f"run of {n} rows, capacity {self.capacity}")
        self._mishap.suffer(self._name)
        rows = self._blocks.rows(0, n)
        for given, made in zip(self.inputs, self.outputs, strict=False):
            np.copyto(rows[made.name], rows[given.name])

    def close(self) -> None:
        """Forget the blocks."""
        self._blocks.arrays.clear()


class NullFreeSession:
    """The unbatched path: what comes goes."""

    def __init__(self, bundle: Bundle) -> None:
        self.inputs: tuple[TensorSpec, ...] = whole(bundle.inputs, bundle)
        self.outputs: tuple[TensorSpec, ...] = whole(bundle.outputs, bundle)
        self._name = bundle.name
        self._mishap = _Mishap(bundle.params)

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        """A copy of input i as output i; empty `outputs` means all. Invalid for a request that does not fit."""
        source = {made.name: given.name for given, made in zip(self.inputs, self.outputs, strict=False)}
        check_request(self._name, self.inputs, inputs, list(source), outputs)
        self._mishap.suffer(self._name)
        return {name: inputs[source[name]].copy() for name in outputs or source if source[name] in inputs}

    def close(self) -> None:
        """Nothing is held."""
