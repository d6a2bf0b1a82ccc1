"""The few places where ONNX Runtime itself is touched: import, session options, types, and its messages made short."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

# Our name of an element type -> its number in onnx.proto.
ELEMENTS = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13, "bfloat16": 16,
}
_TYPES = {"float": "float32", "double": "float64", "string": "bytes"}

# What each execution provider is given. A device profile names providers; a name not here is refused.
PROVIDERS: dict[str, dict[str, Any]] = {
    "CPUExecutionProvider": {},
    "CUDAExecutionProvider": {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"},
    "TensorrtExecutionProvider": {},
    "OpenVINOExecutionProvider": {},
}

MEMORY_SHARE = 0.5
_MEMORY = r"bad_alloc|allocate memory|Cannot allocate|Available memory of|MemoryError"
_ADVICE = (
    (r"is not a registered (function|op)|No Op registered|custom op|Op with name .* and domain",
     "it needs an operator that ONNX Runtime does not have: export it with standard operators"),
    (r"NOT_IMPLEMENTED|Could not find an implementation",
     "it needs a kernel that is missing here: export it in float32"),
    (r"locale", "install the locale it names on this machine"),
    (r"acyclic|cycl", "its nodes feed one another in a circle: export it again"),
    (_MEMORY, "it needs more memory than there is: use a smaller model"),
    (r"INVALID_PROTOBUF|Protobuf parsing failed", "the file is damaged or not an ONNX model: copy it again"),
    (r"raw_data size|external data|Missing Input", "weights are missing: save the model again with its weights"),
)


def missing() -> str | None:
    """None, or one sentence why ONNX Runtime is not usable here."""
    if find_spec("onnxruntime") is None:
        return ("ONNX Runtime is not installed; install Aisle with its engine: pip install 'aisle[cpu]' "
                "(or 'aisle[gpu]' on a machine with an NVIDIA GPU)")
    return None


def both_installed() -> str | None:
    """A sentence where two packages own the folder onnxruntime/: which one is loaded is then chance."""
    here = [name for name in ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino") if installed(name)]
    if len(here) < 2:
        return None
    return (f"{' and '.join(here)} are both installed and overwrite each other: uninstall them all (pip uninstall -y "
            f"{' '.join(here)}), then install one (pip install 'aisle[cpu]' or 'aisle[gpu]')")


def installed(package: str) -> bool:
    """Whether a package of that name is installed, whatever became of its files."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def engine() -> ModuleType:
    """The onnxruntime module, with its own log kept off standard error: what fails reaches us as an exception."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def engine_errors() -> tuple[type[Exception], ...]:
    """Everything ONNX Runtime raises; its own classes share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, MemoryError)


_bounded: list[int] = []      # ONNX Runtime keeps one arena a process: this is its limit, once there is one


def bound_memory(limit: int) -> None:
    """Give all models of this process one arena of at most `limit` bytes. Only the first limit counts.

    Without it a request for a model whose output grows with its input can take all memory of the machine: measured,
    5.8 GB for one number sent. With it the run fails with a sentence; speed is the same.
    """
    if _bounded:
        return
    ort = engine()
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": limit, "arena_extend_strategy": 1}))
    _bounded.append(limit)


def memory_limit(megabytes: int = 0) -> int:
    """Bytes that all models together may take: `megabytes`, or where 0 a share of the machine's."""
    return megabytes << 20 or int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * MEMORY_SHARE)


def is_out_of_memory(error: BaseException) -> bool:
    """True where a run failed for want of memory."""
    return isinstance(error, MemoryError) or re.search(_MEMORY, str(error)) is not None


def open_session(path: Path, threads: int, providers: Sequence[str], memory_bytes: int) -> Any:
    """An InferenceSession: all optimisations, `threads` workers that sleep when idle, no logging, bounded memory."""
    ort = engine()
    bound_memory(memory_bytes)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Idle workers that spin take the cores from the batcher, the kernels and the other models.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    chosen = [(name, PROVIDERS[name]) for name in providers]
    return ort.InferenceSession(os.fspath(path), options, providers=chosen)


def dtype_of(onnx_type: str) -> str:
    """Our name of ONNX Runtime's type text: 'tensor(float)' -> 'float32', 'seq(map(...))' -> 'sequence'."""
    inside = re.fullmatch(r"tensor\((\w+)\)", onnx_type)
    if inside:
        return _TYPES.get(inside[1], inside[1])
    return {"seq": "sequence", "map": "map"}.get(onnx_type.split("(")[0], onnx_type)


def shape_of(node: Any) -> tuple[int | None, ...]:
    """Dimensions as ONNX Runtime gives them, with None for every one that is a name, unknown or negative."""
    if not isinstance(node.shape, list | tuple):
        return ()
    return tuple(d if isinstance(d, int) and d >= 0 else None for d in node.shape)


def reason(error: BaseException) -> str:
    """What ONNX Runtime said, in one line without its paths, source places and codes."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", "", text)
    text = re.sub(r"Load model from .*? failed:", "", text)
    text = re.sub(r"\S*/onnxruntime(_src)?/\S+:\d+ ", "", text)
    text = re.sub(r"Status Message: (\w+\*? )+[\w:]+\([^)]*\) ", "", text)
    text = re.sub(r"^Error in execution: ", "", text)
    text = re.sub(r"^Non-zero status code returned while running ", "failed in ", text)
    return text.strip(" .;:")[:300]


def advice(error: BaseException) -> str:
    """What to do about an error of ONNX Runtime."""
    text = f"{type(error).__name__} {error}"
    for pattern, sentence in _ADVICE:
        if re.search(pattern, text):
            return sentence
    return "export it again and check it with another ONNX tool"
