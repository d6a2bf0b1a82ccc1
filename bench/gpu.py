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
from .kernels.catalogue import PACKAGES, Case, cases, variants
from .report import Options, Row, device, keep, summary, table

KERNELS = Path(__file__).parent.parent / "kernels"
PAGE = KERNELS.parent / "docs" / "verified-on.md"
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
    most = 0.0
    for got, want in zip(found, truth(case), strict=True):
        floats = want.dtype.kind == "f"
        absolute, relative = (case.tolerance if isinstance(case.tolerance, tuple)
                              else (case.tolerance, case.tolerance if floats else 0.0))
        wide = want.astype(np.float64)
        with np.errstate(invalid="ignore"):   # two infinities
            apart = np.abs(got - wide)
        apart[(got == want) | (np.isnan(wide) & np.isnan(got.astype(np.float64)))] = 0
        room = np.maximum(absolute + relative * np.abs(np.nan_to_num(wide)), np.finfo(np.float64).tiny)
        most = max(most, float(np.nan_to_num(apart / room, nan=np.inf).max(initial=0)))
    return most


def run(options: Options) -> Iterator[Row]:
    """A row an op: the worst disagreement over all its cases, and the largest case's time; one row where no GPU is."""
    try:
        _cuda.driver()
    except _cuda.CudaError as error:
        yield Row("gpu-check", "worst error of what is tolerated", None, goal="<= 1", note=f"no GPU was used: {error}")
        return
    for package in packages():
        if not options.wants(package):
            continue
        ran = [case for case in cases(package) if Op.table[case.op].has_device()]
        errors = []
        for case in ran:
            errors.append(worst(case, results(case, {key: on_device(value) for key, value in case.fresh().items()})))
        yield Row(package, "worst error of what is tolerated", max(errors), "1", goal="<= 1", met=max(errors) <= 1,
                  note=f"{len(errors)} cases")
        yield timed(max(ran, key=lambda case: sum(v.size for v in case.arguments.values() if isinstance(v, np.ndarray))))


def timed(case: Case) -> Row:
    """The largest case, launched and waited for, against the quickest version on the CPU."""
    arguments = {key: on_device(value) for key, value in case.fresh().items()}
    witness = _cuda.DeviceArray((1,), np.uint8)

    def there() -> None:
        case.call(**arguments)
        witness.host()
    ours, theirs = median_us(there), median_us(lambda: case.call(**case.fresh()))
    return Row(f"{case.op}, its largest case", "time with one wait", ours, "us", peer="the CPU version here",
               peer_value=theirs, ratio=theirs / ours)


def median_us(call: Callable[[], object], times: int = 30) -> float:
    """The median time of a call after one to warm up."""
    call()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1e6


def section(rows: list[Row], name: str, commit: str, when: str) -> str:
    """The page's part, between its marks."""
    here = device()
    lines = [f"{BEGIN}", f"`make gpu-check` ran on {name} ({here['cpu']}, {here['machine']}), commit {commit}, {when}.", "",
             "| op | measured | value | met |", "|---|---|---|---|"]
    lines += [f"| {r.case} | {r.metric} | {'-' if r.value is None else f'{r.value:.3g}'} {r.unit} | "
              f"{ {True: 'yes', False: '**no**', None: '-'}[r.met] } |" for r in rows]
    return "\n".join([*lines, END])


def record(text: str, page: Path = PAGE) -> None:
    """Put the section into the page, in place of the last run's."""
    before = page.read_text("utf-8") if page.exists() else "# Verified on\n\n"
    if BEGIN in before and END in before:
        head, _, rest = before.partition(BEGIN)
        page.write_text(head + text + rest.partition(END)[2], "utf-8")
    else:
        page.write_text(before.rstrip() + "\n\n## CUDA kernels\n\n" + text + "\n", "utf-8")


def main() -> int:
    """0 where every kernel agrees, 1 where one does not or none could run."""
    rows = list(run(Options()))
    if len(rows) == 1 and rows[0].value is None:
        print(rows[0].note)
        return 1
    result = summary("gpu", rows)
    held = _cuda.driver()
    result["device"]["gpu"] = name = getattr(held, "name", "an unnamed device")
    print(table(rows), f"kept as {keep(result)}", sep="\n")
    record(section(rows, name, result["commit"], result["when"][:10]))
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
