"""Every CUDA kernel on a real GPU, through pycuda, against the reference on all cases: `make gpu-check`."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels import _cuda
from ..kernels._op import Op
from . import gpu_backends
from .gpu_work import Work, every
from .kernels.catalogue import PACKAGES, Case, cases, variants
from .report import Options, Row, device, keep, summary, table

KERNELS = Path(__file__).parent.parent / "kernels"
PAGE = KERNELS.parent / "docs" / "verified-on.md"
COPIED, QUICK_COPIED = 512 << 20, 1 << 20     # bytes
BUDGET_S, QUICK_BUDGET_S = 1.0, 0.05          # for the time of one work, there and here each
TURN_MS, MOST_CALLS = 10.0, 200               # calls that share a wait
LEAST_TURNS, MOST_TURNS = 3, 51
FULL = Options()
BEGIN, END = "<!-- gpu-check: begin -->", "<!-- gpu-check: end -->"


def packages() -> list[str]:
    """The ops that have CUDA kernels."""
    return [package for package in PACKAGES if (KERNELS / package / "fast.cu").exists()]


def on_device(value: Any) -> Any:
    """An argument as a call on the device wants it: arrays there, the rest as it is."""
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
        return tuple(_cuda.DeviceArray.of(v) for v in value)
    return _cuda.DeviceArray.of(value) if isinstance(value, np.ndarray) else value


def results(case: Case, arguments: dict[str, Any]) -> list[np.ndarray]:
    """What the call writes and gives, on the host."""
    given = case.call(**arguments)
    out = arguments.get("out", ())
    values = [v for v in (*(out if isinstance(out, tuple) else (out,)), given) if v is not None]
    return [v.host() if isinstance(v, _cuda.DeviceArray) else np.atleast_1d(v) for v in values]


def truth(case: Case) -> list[np.ndarray]:
    """The same by the reference."""
    op = Op.table[case.op]
    before, op._run = op._run, variants(case.op)["reference"]
    try:
        return results(case, case.fresh())
    finally:
        op._run = before


def worst(case: Case, found: list[np.ndarray]) -> float:
    """The largest difference from the reference in units of what the case tolerates: above 1 is wrong."""
    return apart(case, found, truth(case))


def apart(case: Case, found: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """The largest difference between results in units of what the case tolerates."""
    most = 0.0
    for got, want in zip(found, wanted, strict=True):
        floats = want.dtype.kind == "f"
        absolute, relative = (case.tolerance if isinstance(case.tolerance, tuple)
                              else (case.tolerance, case.tolerance if floats else 0.0))
        wide = want.astype(np.float64)
        with np.errstate(invalid="ignore"):   # two infinities
            away = np.abs(got - wide)
        away[(got == want) | (np.isnan(wide) & np.isnan(got.astype(np.float64)))] = 0
        room = np.maximum(absolute + relative * np.abs(np.nan_to_num(wide)), np.finfo(np.float64).tiny)
        most = max(most, float(np.nan_to_num(away / room, nan=np.inf).max(initial=0)))
    return most


def run(options: Options) -> Iterator[Row]:
    """What the device copies a second; for each op the worst disagreement over all cases; for each work time and bytes.

    One row where no GPU is.
    """
    try:
        _cuda.driver()
    except _cuda.CudaError as error:
        yield Row("gpu-check", "worst error of what is tolerated", None, goal="<= 1", note=f"no GPU was used: {error}")
        return
    copied = copy_rate(QUICK_COPIED if options.quick else COPIED)
    yield Row("a copy on the device", "read and written", copied, "GB/s")
    for package in packages():
        if not options.wants(package):
            continue
        ran = [case for case in cases(package) if Op.table[case.op].has_device()]
        errors = [worst(case, results(case, {key: on_device(value) for key, value in case.fresh().items()})) for case in ran]
        yield Row(package, "worst error of what is tolerated", max(errors), "1", goal="<= 1", met=max(errors) <= 1,
                  note=f"{len(errors)} cases")
    for work in every(options.quick):
        if options.wants(work.op):
            yield from timed(work, copied, QUICK_BUDGET_S if options.quick else BUDGET_S)


def timed(work: Work, copied: float, budget_s: float) -> Iterator[Row]:
    """How far a work's results are from the CPU version's, its time beside that one's, its bytes beside a copy's."""
    whole = work.tolerance >= 1     # steps of whole numbers, else a share of the value
    case = Case(work.op, 0, work.call, work.arguments, (work.tolerance, 0.0) if whole else (work.tolerance, work.tolerance))
    there, here = {key: on_device(value) for key, value in case.fresh().items()}, case.fresh()
    error = apart(case, results(case, there), results(case, here))
    name = f"{work.op}, {work.name}"
    yield Row(name, "error of what is tolerated", error, "1", peer="the CPU version here", goal="<= 1", met=error <= 1)
    witness = _cuda.DeviceArray((1,), np.uint8)
    ours, spread = turns_ms(lambda: work.call(**there), witness.host, budget_s)
    theirs, _ = turns_ms(lambda: work.call(**here), lambda: None, budget_s)
    yield Row(name, "time", ours, "ms", spread, "the CPU version here", theirs, theirs / ours)
    rate = work.bytes / ours / 1e6
    yield Row(name, "read and written once", rate, "GB/s", None, "a copy on the device", copied, rate / copied,
              note=f"{work.bytes / 1e6:.2f} MB; what fits into the device's cache can be above a copy")


def copy_rate(size: int) -> float:
    """GB/s that a copy within the device's memory reads and writes together."""
    one, two = _cuda.DeviceArray((size,), np.uint8), _cuda.DeviceArray((size,), np.uint8)
    witness = _cuda.DeviceArray((1,), np.uint8)
    ms, _ = turns_ms(lambda: _cuda.driver().copy(one.address, two.address, size), witness.host, QUICK_BUDGET_S)
    return 2 * size / ms / 1e6


def turns_ms(call: Callable[[], object], wait: Callable[[], object], budget_s: float) -> tuple[float, float]:
    """ms of one call, the median over turns of several calls and one wait each, and half the spread of its quarters."""
    def turn(calls: int) -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        wait()
        return (time.perf_counter() - begin) / calls * 1e3
    turn(1)
    once = turn(1)
    calls = max(1, min(MOST_CALLS, int(TURN_MS / max(once, 1e-6))))
    count = max(LEAST_TURNS, min(MOST_TURNS, int(budget_s * 1e3 / max(once * calls, 1e-6))))
    found = sorted(turn(calls) for _ in range(count))
    return statistics.median(found), (found[-1 - len(found) // 4] - found[len(found) // 4]) / 2


def section(rows: list[Row], name: str, commit: str, when: str) -> str:
    """The page's part, between its marks."""
    def figure(value: float | None) -> str:
        return "-" if value is None else f"{value:.3g}"
    here = device()
    lines = [f"{BEGIN}", f"`make gpu-check` ran on {name} ({here['cpu']}, {here['machine']}), commit {commit}, {when}.", "",
             "| op | measured | value | beside | ratio | met |", "|---|---|---|---|---|---|"]
    for r in rows:
        beside = "-" if r.peer_value is None else f"{r.peer}: {figure(r.peer_value)} {r.unit}"
        met = {True: "yes", False: "**no**", None: "-"}[r.met]
        lines.append(f"| {r.case} | {r.metric} | {figure(r.value)} {r.unit} | {beside} | {figure(r.ratio)} | {met} |")
    return "\n".join([*lines, END])


def record(text: str, page: Path = PAGE) -> None:
    """Put the section into the page, in place of the last run's."""
    before = page.read_text("utf-8") if page.exists() else "# Verified on\n\n"
    if BEGIN in before and END in before:
        head, _, rest = before.partition(BEGIN)
        page.write_text(head + text + rest.partition(END)[2], "utf-8")
    else:
        page.write_text(before.rstrip() + "\n\n## CUDA kernels\n\n" + text + "\n", "utf-8")


def main(options: Options = FULL, page: Path = PAGE, keep: Callable[[dict[str, Any]], Path] = keep) -> int:
    """Run, print, keep, and write the page; 0 where every kernel agrees, 1 where one does not or none could run."""
    rows = list(run(options))
    if len(rows) == 1 and rows[0].value is None:
        print(rows[0].note)
        return 1
    rows += gpu_backends.run(options)
    result = summary("gpu", rows)
    held = _cuda.driver()
    result["device"]["gpu"] = name = getattr(held, "name", "an unnamed device")
    print(table(rows), f"kept as {keep(result)}", sep="\n")
    record(section(rows, name, result["commit"], result["when"][:10]), page)
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
