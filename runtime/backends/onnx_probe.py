"""Loads an ONNX file for the first time, in a process of its own: python -m ...onnx_probe FILE ROOT NAME.

What a hostile or damaged file can do (crash the engine, eat the memory, never end) it does to this process and not
to the server. Prints one JSON object: the facts, or {"error": sentence}.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ...models.bundle import BundleError
from . import onnx_engine
from .dtypes import MEMORY
from .onnx_file import check_external, look_into

CPU_SECONDS = 120
TRIAL_SECONDS = 2.0
TRIAL_BYTES = 1 << 30
MEMORY_SHARE = 0.75            # of the machine's
MAX_TENSORS = 4096
MAX_OPTIONAL = 4               # more initializers among the inputs are an old exporter's habit, not an offer


def main(arguments: list[str]) -> int:
    """Probe arguments[0], a file below the folder arguments[1]; arguments[2] is how messages call it."""
    _limit()
    path, root, shown = Path(arguments[0]), Path(arguments[1]), arguments[2]
    try:
        answer: dict[str, Any] = probe(path, root, shown)
    except BundleError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)     # an engine that crashes while it is torn down must not spoil a good answer


def probe(path: Path, root: Path, shown: str) -> dict[str, Any]:
    """Facts of the model: inputs, outputs, overridable, weights, shapeless, external, batches, note.

    `weights` are initializers among the graph's inputs that are too many to be meant as inputs.
    """
    facts = look_into(path, shown)
    check_external(root, path, facts.external, shown)
    errors = onnx_engine.engine_errors()
    try:
        session = onnx_engine.open_session(path, 1, ["CPUExecutionProvider"])
    except errors as error:
        raise BundleError(f"{shown} cannot be loaded: {onnx_engine.reason(error)}; "
                          f"{onnx_engine.advice(error)}") from error
    tensors = {
        "inputs": session.get_inputs(),
        "outputs": session.get_outputs(),
        "overridable": session.get_overridable_initializers(),
    }
    if sum(map(len, tensors.values())) > MAX_TENSORS:
        raise BundleError(f"{shown} has more than {MAX_TENSORS} inputs and outputs; nothing sensible has")
    found: dict[str, Any] = {
        kind: [[n.name, onnx_engine.dtype_of(n.type), onnx_engine.shape_of(n)] for n in nodes]
        for kind, nodes in tensors.items()
    }
    found["weights"] = []
    if len(found["overridable"]) > MAX_OPTIONAL:
        found["overridable"], found["weights"] = [], found["overridable"]
    names = {entry[0] for kind in ("inputs", "outputs") for entry in found[kind] if not entry[2]}
    batches, note = try_rows(session, found, errors, shown)
    return {**found, "shapeless": sorted(facts.shapeless & names), "external": sorted(facts.external),
            "batches": batches, "note": note}


def try_rows(session: Any, found: dict[str, Any], errors: tuple[type[Exception], ...], shown: str) -> tuple[bool, str]:
    """Whether requests may share one run: two rows together must answer as each row alone; and why not.

    A free first dimension is not always the batch: it is time for a recurrent net, and rows then are one story.
    """
    tensors = found["inputs"] + found["outputs"]
    if not found["inputs"] or found["overridable"]:
        return False, "no inputs, or optional ones"
    if any(not shape or shape[0] is not None or None in shape[1:] for _, _, shape in tensors):
        return False, "not every tensor is a free number of fixed rows"
    if any(dtype not in MEMORY or dtype == "bfloat16" for _, dtype, _ in tensors):
        return False, "not every tensor is made of plain numbers"
    if sum(2 * np.prod(shape[1:], dtype=float) * 8 for _, _, shape in tensors) > TRIAL_BYTES:
        return False, "rows are too large to try"
    rng = np.random.default_rng(1)
    both = {name: _random(rng, dtype, (2, *shape[1:])) for name, dtype, shape in found["inputs"]}
    try:
        answers = [_run(session, {k: v[rows] for k, v in both.items()})
                   for rows in (slice(0, 1), slice(1, 2), slice(0, 2))]
    except errors as error:
        if "bad_alloc" in str(error) or isinstance(error, MemoryError):
            raise BundleError(f"{shown} cannot be run: one row needs more memory than there is; use a smaller model"
                              ) from error
        return False, f"two rows cannot be run together: {onnx_engine.reason(error)}"
    for (name, _, shape), first, second, pair in zip(found["outputs"], *answers, strict=True):
        if pair.shape != (2, *shape[1:]) or not _alike(pair, np.concatenate([first, second])):
            return False, f"rows are not independent of each other in output {name!r}"
    return True, ""


def _run(session: Any, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """One run that gives up after TRIAL_SECONDS."""
    options = onnx_engine.engine().RunOptions()
    timer = threading.Timer(TRIAL_SECONDS, setattr, (options, "terminate", True))
    timer.start()
    try:
        answer: list[np.ndarray] = session.run(None, feed, options)
        return answer
    finally:
        timer.cancel()


def _random(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    kind = np.dtype(MEMORY[dtype])
    if kind.kind == "f":
        return rng.random(shape).astype(kind)
    return rng.integers(0, 2, shape).astype(kind)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for rounding: engines choose other loops for other batch sizes, quantised nets other scales."""
    if a.shape != b.shape:
        return False
    x, y = a.astype(np.float64), b.astype(np.float64)
    span = float(np.nanmax(np.abs(y), initial=0.0, where=np.isfinite(y)))
    return bool(np.allclose(x, y, rtol=0.01, atol=0.01 * span + 1e-6, equal_nan=True))


def _limit() -> None:
    memory = int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * MEMORY_SHARE)
    for what, amount in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(what, (amount, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
