"""The client for ordinary programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from .http import Http
from .inspection import Inspection, question, verdict
from .results import Results
from .ways import Lane, Model, Prepared, Way

TIMEOUT_S = 60.0
SPIN_US = 100.0     # a cheap model's round trip


class Client:
    """A server behind an address: `http://host:port`, or the path of its lane's socket.

    The lane needs memory: `slots` slots of `slot_mb` MiB, each holding one request's inputs and outputs. `token` is for
    HTTP. Over the lane a call looks for its answer for `spin_us` microseconds before it sleeps (not on a single core).
    Calls raise the errors of aisle.runtime.errors; they may come from several threads, and one at a time is sent.
    """

    def __init__(self, address: str, *, slots: int = 4, slot_mb: float = 4.0, timeout_s: float = TIMEOUT_S,
                 token: str = "", spin_us: float = SPIN_US) -> None:
        self._way: Way = (Http(address, timeout_s, token) if address.startswith(("http://", "https://"))
                          else Lane(address.removeprefix("unix:"), slots, slot_mb, timeout_s, spin_us))

    def infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str] = (), *, deadline_ms: float = 0,
              priority: int = 0, version: str = "") -> Results:
        """The outputs by name (all of them without `outputs`), and as `variant` which variant of the model answered.

        Strings are object arrays of bytes. A single `bytes` or `str` is a tensor of one element. Late or Busy where
        `deadline_ms` could not be kept.
        """
        return self._way.infer(model, inputs, outputs, deadline_ms, priority, version)

    def prepare(self, model: str, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str] = (), *,
                version: str = "") -> Prepared:
        """A call to repeat: write into its `inputs`, then `run()`. Over the lane nothing is copied on this side."""
        return self._way.prepare(model, shapes, outputs, version)

    def inspect(self, station: str, image: bytes | np.ndarray, *, deadline_ms: float = 0, priority: int = 0) -> Inspection:
        """A taught station's verdict on a picture: bytes of a file, or uint8 (height, width, 3), BGR."""
        return verdict(self.infer(station, question(image), deadline_ms=deadline_ms, priority=priority))

    def models(self) -> list[Model]:
        """Everything that serves now."""
        return self._way.models()

    def ready(self) -> bool:
        """True when every required model serves."""
        return not self._way.blockers()

    def blockers(self) -> str:
        """Why the server is not ready; empty when it is."""
        return self._way.blockers()

    def close(self) -> None:
        """End the connection; over the lane the server lets go of the memory."""
        self._way.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
