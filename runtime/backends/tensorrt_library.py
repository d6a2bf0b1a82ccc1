"""The few things around TensorRT that building and running share: the import, its log, its types' names.

Nothing here or in the files beside it uses what TensorRT 11 dropped (precision flags, calibrators) or what came after
10.3: `make check-tensorrt` holds every name against the real bindings of 10.3, 10.16 and 11.4.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ...edge_devices.probe import probe, read
from ...models.bundle import Bundle, BundleError
from ..engines import BuildError
from ..engines.key import Platform
from .tensors import STATE_SIZES

log = logging.getLogger("aisle.backends.tensorrt")
KEPT = 20            # messages of the library
PLACES = re.compile(r"\[\w+\.cpp::[^\]]*\] ?|\.? ?\bIn \w+ at /_src/[^\s)]+ ?")
# Our name of an element type -> TensorRT's. What is not here it has no tensors of.
DTYPES = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BF16", "int8": "INT8", "int32": "INT32", "int64": "INT64",
          "bool": "BOOL", "uint8": "UINT8"}


def missing(library: str = "tensorrt") -> str | None:
    """None, or one sentence why TensorRT is not usable here; nothing is imported and no device is asked."""
    if find_spec(library) is None:
        return ("TensorRT is not installed: pip install 'aisle[gpu]' on a machine with an NVIDIA GPU; on a Jetson JetPack "
                "brings it, make the virtual environment with --system-site-packages")
    if find_spec("pycuda") is None:
        return "TensorRT is installed, but pycuda is not: pip install 'aisle[gpu]'"
    machine = probe()
    if not machine.nvidia_driver and "NVIDIA" not in machine.model:      # a Jetson's driver is part of its kernel
        return "TensorRT is installed, but no NVIDIA driver is loaded (no /proc/driver/nvidia/version); install the driver"
    return None


def load(library: str = "tensorrt") -> ModuleType:
    """The module. BuildError where its own libraries are missing or do not fit."""
    try:
        return import_module(library)
    except (ImportError, OSError) as error:
        raise BuildError(f"TensorRT cannot be loaded ({error}): its version must fit the driver; `aisle doctor` shows both"
                         ) from error


def driver() -> Any:
    """The CUDA device. BuildError where there is none."""
    from ...kernels import _cuda
    try:
        return _cuda.driver()
    except _cuda.CudaError as error:
        raise BuildError(str(error), innocent=True) from error


def platform(library: str = "tensorrt") -> Platform:
    """What engines built here are bound to. BuildError where library, driver or device do not answer."""
    cuda, device = driver().versions
    return Platform(library, str(load(library).__version__), cuda, driver_version(), device)


def driver_version(root: Path = Path("/")) -> str:
    """NVIDIA's number of the driver: "580.95.05", on a Jetson the release of its kernel, "R36 4.3"; empty where none says."""
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", probe(root).nvidia_driver)
    if found:
        return found[0]
    tegra = re.search(r"# (R\d+) \(release\), REVISION: ([\d.]+)", read(root / "etc/nv_tegra_release"))
    return f"{tegra[1]} {tegra[2]}" if tegra else ""


def refuses(bundle: Bundle) -> str | None:
    """None, or a sentence why no engine can be made of a model with these tensors."""
    for spec in (*bundle.inputs, *bundle.outputs):
        if spec.dtype not in DTYPES:
            return f"tensor {spec.name!r} is {spec.dtype}, and TensorRT has only {', '.join(DTYPES)}"
        if spec.optional:
            return f"input {spec.name!r} is optional, and an engine needs all of its inputs"
        if not spec.static or spec.any_rank:
            shape = [-1 if d is None else d for d in spec.shape]
            return (f"tensor {spec.name!r} has a free dimension beside the batch ({shape}), and an engine is built for "
                    f"bounded shapes; {STATE_SIZES}")
    return None


class Told:
    """The last messages of the library that matter, in order."""

    def __init__(self) -> None:
        self.messages: deque[str] = deque(maxlen=KEPT)

    def last(self, otherwise: str) -> str:
        """What it complained of last, in one line; `otherwise` where it did not."""
        return plain(self.messages[-1])[:600] if self.messages else otherwise


def plain(text: str) -> str:
    """A message of the library in one line, without places in its own source."""
    return PLACES.sub("", " ".join(text.split()))


def make_log(trt: Any, told: Told) -> Any:
    """TensorRT's logger: errors are kept for our sentences, the rest goes to our log; standard error stays clean."""
    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity <= trt.ILogger.ERROR:
                told.messages.append(msg)
            log.debug("TensorRT: %s", msg)
    return Log()


def same_names(bundle: Bundle, names: Sequence[str]) -> None:
    """BundleError where an engine has other tensors than the bundle."""
    wanted = {spec.name for spec in (*bundle.inputs, *bundle.outputs)}
    if set(names) != wanted:
        raise BundleError(f"the engine of {bundle.name!r} has the tensors {sorted(names)}, its model has {sorted(wanted)}")
