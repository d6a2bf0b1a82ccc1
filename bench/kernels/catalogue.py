"""Every kernel and its cases, for the contract tests and the benchmarks: a package that is named here gets both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from ...kernels._op import Op

# A package offers TOLERANCE (a number, or one by function) and cases(rng). A case is a dict of the public function's
# arguments by name, `out` included (an array or a tuple of them: contents count where an op works in place); a package
# of several functions adds the key "function".
PACKAGES: tuple[str, ...] = ("heatmap", "knn", "letterbox")


@dataclass(frozen=True)
class Case:
    """One call of one public function: `op` is its Op's name, `arguments` are by name and checked by the function."""

    op: str
    number: int
    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    tolerance: float

    def fresh(self) -> dict[str, Any]:
        """The arguments with an `out` of their own, so that each call starts from the same contents."""
        made = dict(self.arguments)
        if "out" in made:
            out = made["out"]
            made["out"] = tuple(o.copy() for o in out) if isinstance(out, tuple) else out.copy()
        return made


def cases(package: str, seed: int = 0) -> Iterator[Case]:
    """What the package's `cases` gives, with the functions and tolerances found."""
    module = import_module(f"aisle.kernels.{package}")
    for number, given in enumerate(module.cases(np.random.default_rng(seed))):
        arguments = dict(given)
        function = arguments.pop("function", package)
        tolerance = module.TOLERANCE[function] if isinstance(module.TOLERANCE, dict) else module.TOLERANCE
        name = package if function == package else f"{package}.{function}"
        yield Case(name, number, getattr(module, function), arguments, tolerance)


def every_case() -> Iterator[Case]:
    """The cases of every package of the table."""
    for package in PACKAGES:
        yield from cases(package)


def op_of(case: Case) -> Op:
    """The Op behind a case: its variants are what the tests compare."""
    return Op.table[case.op]
