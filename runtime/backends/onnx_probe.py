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
from .onnx_uses import lendable

CPU_SECONDS = 120
TRIAL_SECONDS = 2.0
TRIAL_BYTES = 1 << 30
ADDRESS_SHARE = 0.75           # of the machine's memory
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
    """Facts of the model: inputs, outputs, overridable, weights, shapeless, external, batches, note, lendable.

    `weights` are initializers among the graph's inputs that are too many to be meant as inputs.
    """
    facts = look_into(path, shown)
    check_external(root, path, facts.external, shown)
    errors = onnx_engine.engine_errors()
    try:
        session = onnx_engine.open_session(path, 1, ["CPUExecutionProvider"], onnx_engine.memory_limit())
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
    batches, note = try_run(session, found, errors, shown)
    return {**found, "shapeless": sorted(facts.shapeless & names), "external": sorted(facts.external),
            "batches": batches, "note": note, "lendable": lendable(path, [n for n, *_ in found["inputs"]])}


def try_run(session: Any, found: dict[str, Any], errors: tuple[type[Exception], ...], shown: str) -> tuple[bool, str]:
    """Run the smallest request there is; whether requests may share one run, and if not why.

    BundleError where that request already needs more memory than there is. Any other failure may be the fault of the
    made-up numbers and is left to real requests.
    """
    tensors = found["inputs"] + found["outputs"]
    if any(dtype not in MEMORY or dtype == "bfloat16" for _, dtype, _ in found["inputs"]):
        return False, "not every input is made of plain numbers"
    if sum(2 * np.prod([d or 1 for d in shape], dtype=float) * 8 for _, _, shape in tensors) > TRIAL_BYTES:
        return False, "rows are too large to try"
    rng = np.random.default_rng(1)
    first, second = ({name: _random(rng, dtype, [1 if d is None else d for d in shape])
                      for name, dtype, shape in found["inputs"]} for _ in range(2))
    try:
        alone = _run(session, first)
        reason = _not_rows(found)
        return (False, reason) if reason else try_rows(session, found, first, second, alone)
    except errors as error:
        if onnx_engine.is_out_of_memory(error):
            raise BundleError(f"{shown} cannot be run: the smallest request needs more memory than there is "
                              f"({onnx_engine.reason(error)}); use a smaller model") from error
        return False, f"a trial failed: {onnx_engine.reason(error)}"


def _not_rows(found: dict[str, Any]) -> str:
    """Why the declared shapes rule rows out; empty where they do not."""
    tensors = found["inputs"] + found["outputs"]
    if not found["inputs"] or found["overridable"]:
        return "it has no inputs, or optional ones"
    if any(not shape or shape[0] is not None or None in shape[1:] for _, _, shape in tensors):
        return "not every tensor is a free number of fixed rows"
    if any(dtype not in MEMORY or dtype == "bfloat16" for _, dtype, _ in tensors):
        return "not every tensor is made of plain numbers"
    return ""


def try_rows(session: Any, found: dict[str, Any], first: dict[str, np.ndarray], second: dict[str, np.ndarray],
             alone: list[np.ndarray]) -> tuple[bool, str]:
    """Whether two rows together answer as each alone (`alone` is the answer to `first`), and if not why.

    A free first dimension is not always the batch: it is time for a recurrent net, and rows then are one story.
    """
    other = _run(session, second)
    pairs = _run(session, {name: np.concatenate([first[name], second[name]]) for name in first})
    for (name, _, shape), one, two, pair in zip(found["outputs"], alone, other, pairs, strict=True):
        if pair.shape != (2, *shape[1:]) or not _alike(pair, np.concatenate([one, two])):
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


def _random(rng: np.random.Generator, dtype: str, shape: list[int]) -> np.ndarray:
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
    memory = int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * ADDRESS_SHARE)
    for what, amount in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(what, (amount, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
