"""Ratios in one process, in turns: INT8 over FP32, our session over the bare engine, OpenVINO over ONNX Runtime, options.

CPU time of one thread, so that whatever else the machine does disturbs neither side.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError
from ...runtime.backends import make_backend, onnx_engine
from ...runtime.ways import Way, narrowed, ways
from ..report import Options, Row

TURNS, QUICK_TURNS = 60, 12
GOALS = {"residual": 2.9, "mobile": 1.6}
ONE = DeviceProfile("one", backends=("onnx", "openvino"), precisions=("int8", "bf16", "fp32"), threads=1)
Call = Callable[[], Any]


def ratios(bundles: Sequence[Bundle], options: Options) -> list[Row]:
    """All comparisons that this machine can make; in a quick round the options are told of the first bundle alone."""
    turns = QUICK_TURNS if options.quick else TURNS
    rows: list[Row] = []
    for bundle in tqdm(bundles, desc="compare", file=sys.stderr, leave=False):
        calls = sessions(bundle)
        if "onnx int8" in calls and options.wants("int8"):
            rows.append(int8_row(bundle, calls, turns))
        for precision in ("fp32", "int8", "bf16"):
            peer = "onnx fp32" if precision == "bf16" else f"onnx {precision}"
            if f"openvino {precision}" in calls and peer in calls and options.wants("openvino"):
                ours, theirs = in_turns((calls[f"openvino {precision}"], calls[peer]), turns)
                rows.append(Row(f"openvino {precision} {bundle.name}", "CPU time of a run", med(ours), "ms", spread(ours), peer,
                                med(theirs), med(theirs) / med(ours), note="ratio: times faster than the peer"))
        if options.wants("session"):
            rows.append(session_row(bundle, turns))
        if options.wants("options") and (bundle is bundles[0] or not options.quick):
            rows += option_rows(bundle, turns)
    return rows


def sessions(bundle: Bundle) -> dict[str, Call]:
    """One run of one row by every way that opens here, on one thread."""
    calls: dict[str, Call] = {}
    for way in ways(bundle, ONE):
        backend = make_backend(way.backend)
        if way.backend not in ONE.backends or backend.missing():
            continue
        try:
            session: Any = backend.open(backend.describe(narrowed(bundle, way)), ONE)
        except BundleError:
            continue
        fill(session.row(0)["image"])
        calls[way.name] = partial(session.run, 1)
    return calls


def fill(row: np.ndarray) -> None:
    """The same picture for all."""
    row[...] = np.random.default_rng(3).standard_normal(row.shape)


def int8_row(bundle: Bundle, calls: dict[str, Call], turns: int) -> Row:
    """INT8 against FP32 of the same bundle by ONNX Runtime."""
    ours, theirs = in_turns((calls["onnx int8"], calls["onnx fp32"]), turns)
    ratio, goal = med(theirs) / med(ours), GOALS.get(bundle.name)
    table = {(v.backend, v.precision): v for v in bundle.variants}
    seen = table.get(("onnx", "int8"))
    return Row(f"int8 {bundle.name}", "CPU time of a run", med(ours), "ms", spread(ours), "onnx fp32", med(theirs), ratio,
               f"ratio >= {goal} on a machine with VNNI" if goal else None, ratio >= goal if goal else None,
               "ratio: times faster than FP32" + ("" if seen is None or seen.agreement is None else
                                                  f"; verdicts on drawn textures that agree: {seen.agreement:.1%}"))


def session_row(bundle: Bundle, turns: int) -> Row:
    """Our session against bare `run_with_iobinding` of an engine with the same options, on the same memory."""
    way = next(w for w in ways(bundle, ONE) if w.backend == "onnx" and w.precision == "fp32")
    backend = make_backend("onnx")
    ours: Any = backend.open(backend.describe(narrowed(bundle, way)), ONE)
    fill(ours.row(0)["image"])
    bare, binding = bound(bundle, way, {}, fill)
    mine, theirs = in_turns((lambda: ours.run(1), lambda: bare.run_with_iobinding(binding)), 2 * turns)
    ratio = float(np.median(np.array(mine) / np.array(theirs)))
    return Row(f"session {bundle.name}", "CPU time of a run", med(mine), "ms", spread(mine), "bare session.run, IO binding",
               med(theirs), ratio, "within 3 %", ratio <= 1.03, "ratio: of the bare run's time")


def bound(bundle: Bundle, way: Way, entries: dict[str, Any], filling: Callable[[np.ndarray], None]) -> tuple[Any, Any]:
    """An engine of ONNX Runtime with these options beyond ours, and a binding to arrays of its own."""
    session = bare_session(bundle.path(bundle.files[way.file]), entries)
    binding = session.io_binding()
    for node in session.get_inputs():
        array = np.zeros([d if isinstance(d, int) else 1 for d in node.shape], np.float32)
        filling(array[0])
        binding.bind_ortvalue_input(node.name, onnx_engine.engine().OrtValue.ortvalue_from_numpy(array))
    for node in session.get_outputs():
        binding.bind_output(node.name, "cpu")
    return session, binding


def bare_session(path: Path, entries: dict[str, Any]) -> Any:
    """As `onnx_engine.open_session` makes it, with single options changed: `graph`, `spin`, `threads`, `arena`, `parallel`."""
    ort = onnx_engine.engine()
    options = ort.SessionOptions()
    options.graph_optimization_level = entries.get("graph", ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    options.intra_op_num_threads = entries.get("threads", 1)
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = entries.get("arena", True)
    if entries.get("parallel"):
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if entries.get("spin") else "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def option_rows(bundle: Bundle, turns: int) -> list[Row]:
    """What each option that could be set otherwise would cost: CPU time of a run against ours."""
    ort = onnx_engine.engine()
    level = ort.GraphOptimizationLevel
    others: dict[str, dict[str, Any]] = {
        "graph basic": {"graph": level.ORT_ENABLE_BASIC}, "no arena": {"arena": False}, "parallel mode": {"parallel": True},
        "two threads": {"threads": 2}, "two threads that spin": {"threads": 2, "spin": True}}
    rows = []
    for way in ways(bundle, ONE):
        if way.backend != "onnx" or way.precision not in ("fp32", "int8"):
            continue
        for name, entries in others.items():
            ours, mine = bound(bundle, way, {}, fill)
            other, theirs = bound(bundle, way, entries, fill)
            first, second = in_turns((partial(ours.run_with_iobinding, mine), partial(other.run_with_iobinding, theirs)),
                                     max(8, turns // 3))
            rows.append(Row(f"options {bundle.name} {way.precision}: {name}", "CPU time of a run", med(second), "ms",
                            spread(second), "our options", med(first), med(second) / med(first),
                            note="ratio: of the time with our options; above 1, ours are better"))
    return rows


def in_turns(calls: Sequence[Call], turns: int) -> list[list[float]]:
    """ms of CPU time of each call, one after the other, `turns` times; the first three are not counted."""
    spent: list[list[float]] = [[] for _ in calls]
    for turn in range(turns + 3):
        for call, times in zip(calls, spent, strict=True):
            start = time.process_time_ns()
            call()
            if turn >= 3:
                times.append((time.process_time_ns() - start) / 1e6)
    return spent


def med(times: Sequence[float]) -> float:
    """The median."""
    return float(np.median(times))


def spread(times: Sequence[float]) -> float:
    """Half the distance of the quartiles, as a share of the median."""
    low, high = np.percentile(times, (25, 75))
    return float((high - low) / 2 / np.median(times))
