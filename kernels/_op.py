"""An operation and its implementations: which one runs is chosen once, at first use, and the reason can be asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ._cuda import DeviceArray

VARIABLE = "AISLE_KERNELS"
VARIANTS = ("reference", "fast")


@dataclass(frozen=True)
class Choice:
    """What runs for an operation and why; `level` names the instruction set of a fast variant."""

    op: str
    variant: str
    level: str
    reason: str


class Op:
    """One function with a plain version (`reference.py`), perhaps a quick one (`fast.pyx`, compiled) and one for CUDA.

    `package` is the op's folder as a package, `function` the name in its modules. The last argument, `out`, decides where it
    runs, and where there is none the first. On a device that is `device.py`, which launches the kernels of `fast.cu`.
    """

    table: dict[str, Op] = {}   # noqa: RUF012  every op that was imported; filled at import, never after

    def __init__(self, package: str, function: str) -> None:
        self.package, self.function = package, function
        folder = package.rsplit(".", 1)[-1]
        self.name = folder if folder == function else f"{folder}.{function}"
        self._run: Callable[..., Any] | None = None
        self._launch: Callable[..., Any] | None = None
        self._choice: Choice | None = None
        self.table[self.name] = self

    def __call__(self, *arguments: Any) -> Any:
        """Run the chosen implementation on arguments that were checked."""
        if type(arguments[-1]) is DeviceArray or type(arguments[0]) is DeviceArray:
            return (self._launch or self._find_launch())(*arguments)
        run = self._run if self._run is not None else self._choose()
        return run(*arguments)

    def variants(self) -> dict[str, Callable[..., Any]]:
        """Every implementation that can run here, by name; the reference comes first."""
        found = {"reference": getattr(import_module(".reference", self.package), self.function)}
        fast, _ = self._fast()
        if fast is not None:
            found["fast"] = getattr(fast, self.function)
        return found

    def choice(self) -> Choice:
        """What runs, chosen now if it was not before; ValueError or RuntimeError if AISLE_KERNELS cannot be met."""
        if self._choice is None:
            self._choose()
        assert self._choice is not None
        return self._choice

    def _fast(self) -> tuple[Any, str]:
        """The compiled module, or None and why it is not there."""
        try:
            return import_module(".fast", self.package), ""
        except ImportError as error:
            return None, f"{self.package.rpartition('.')[2]}/fast is not built here ({error}); run `make setup`"

    def has_device(self) -> bool:
        """Whether the op takes arrays on a device."""
        try:
            return hasattr(import_module(".device", self.package), self.function)
        except ModuleNotFoundError:
            return False

    def _find_launch(self) -> Callable[..., Any]:
        if not self.has_device():
            raise ValueError(f"expected arrays in host memory, got one on the device - at `{self.name}`, "
                             "which has no CUDA version; copy them with .host()")
        found: Callable[..., Any] = getattr(import_module(".device", self.package), self.function)
        self._launch = found
        return found

    def _choose(self) -> Callable[..., Any]:
        wish = forced()
        fast, missing = self._fast()
        if wish == "fast" and fast is None:
            raise RuntimeError(f"{VARIABLE}=fast asks for the compiled kernels, but {missing}, or unset {VARIABLE}")
        why = f"{VARIABLE}={wish} asks for it" if wish else (missing or "the fastest that is built and that this CPU runs")
        variant = wish or ("fast" if fast is not None else "reference")
        module = fast if variant == "fast" else import_module(".reference", self.package)
        run: Callable[..., Any] = getattr(module, self.function)
        self._choice = Choice(self.name, variant, module.level() if variant == "fast" else "numpy", why)
        self._run = run
        return run


def forced() -> str | None:
    """The variant that the environment asks for, or None; ValueError for a name that does not exist."""
    wish = os.environ.get(VARIABLE, "")
    if wish and wish not in VARIANTS:
        raise ValueError(f"expected one of {', '.join(VARIANTS)} (or nothing), got {wish!r} - at environment {VARIABLE}")
    return wish or None


def choices() -> dict[str, Choice]:
    """What runs for every op that was imported, by name."""
    return {name: op.choice() for name, op in sorted(Op.table.items())}
