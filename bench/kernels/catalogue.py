"""Every kernel and its cases, for the contract tests and the benchmarks: a package that is named here gets both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from ...kernels._op import Op

# A package offers TOLERANCE and cases(rng). A case is a dict of the public function's arguments by name, `out` included
# (an array or a tuple of them: contents count where an op works in place); a package of several functions adds the key
# "function". TOLERANCE is a number, or (absolute, relative), or a dict of either by function; a number bounds the
# absolute error, and for floats the relative one too: |a - b| <= TOLERANCE * (1 + |b|). A case may name its own.
PACKAGES: tuple[str, ...] = ("diff", "heatmap", "kcenter", "knn", "letterbox", "mahalanobis", "mmr", "nms", "tint",
                             "topk", "warp_grid")


@dataclass(frozen=True)
class Case:
    """One call of one public function: `op` is its Op's name, `arguments` are by name and checked by the function."""

    op: str
    number: int
    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    tolerance: float | tuple[float, float]

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
        own = arguments.pop("tolerance", None)
        tolerance = module.TOLERANCE[function] if isinstance(module.TOLERANCE, dict) else module.TOLERANCE
        name = package if function == package else f"{package}.{function}"
        yield Case(name, number, getattr(module, function), arguments, tolerance if own is None else own)


def every_case() -> Iterator[Case]:
    """The cases of every package of the table."""
    for package in PACKAGES:
        yield from cases(package)


def variants(op: str) -> dict[str, Callable[..., Any]]:
    """Every implementation that runs here, the reference first; a fast one once more for each lower instruction set."""
    found = Op.table[op].variants()
    fast = found.get("fast")
    if fast is not None and "use" in inspect.signature(fast).parameters:
        for level in import_module(fast.__module__).levels()[:-1]:
            found[f"fast at level {level}"] = partial(fast, use=level)
    return found
