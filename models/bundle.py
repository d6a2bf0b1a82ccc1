"""A bundle: one version of one model on disk, with everything needed to serve it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Names of element types are NumPy's, plus two that NumPy lacks.
DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "bfloat16", "bytes",
)
AGREEMENT = 0.99           # least share of samples on which a variant must say what FP32 says, to answer in its place


class BundleError(ValueError):
    """A bundle that cannot be used; the text is a sentence that names the file and what to do."""


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model. `shape` is one row, without the batch axis; None is a free dimension.

    `any_rank`: the file does not even say how many dimensions there are; `shape` is then `(None,)` and any shape goes.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    optional: bool = False
    labels: tuple[str, ...] = ()
    any_rank: bool = False

    @property
    def static(self) -> bool:
        """True where a row has a fixed number of bytes."""
        return self.dtype not in ("bytes", "sequence", "map") and None not in self.shape


@dataclass(frozen=True)
class QueuePolicy:
    """How requests wait for a model (Triton: `dynamic_batching` and its queue policies)."""

    wait_us: int = 0
    max_requests: int = 0            # 0: the server's limit
    default_timeout_us: int = 0      # 0: none
    allow_timeout_override: bool = True
    timeout_action: str = "REJECT"   # or DELAY
    priority_levels: int = 0
    default_priority: int = 0
    preserve_ordering: bool = False
    instances: int = 1               # copies of the model, each with its share of the device's threads
    share: int = 1                   # weight of its time on the device against other models'
    background: bool = False         # it runs only while no other model wants the device


@dataclass(frozen=True)
class Variant:
    """What was measured of one way to run a bundle (see runtime/ways.py): a row of its accuracy-latency table.

    Times are of one row. Errors are against the FP32 file, as shares of the span of its outputs; `agreement` is the
    share of held-out samples with the same verdict. None is: not measured. `on` names the machine.
    """

    backend: str
    precision: str
    on: str = ""
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_mb: float | None = None
    agreement: float | None = None
    max_error: float | None = None
    mean_error: float | None = None


@dataclass(frozen=True)
class Bundle:
    """One version of one model: what it takes and gives, its files, its numbers.

    `max_batch` 0 means that the file has no batch axis of its own: shapes are then whole tensors and every
    request is one run. `files` maps (backend, precision) to a path below `root`; `sha256` maps the path of
    every file (relative to `root`, with `/`) to its hex digest. `params` holds the thresholds and numbers of
    the job. `canary` names a file (npz: `in:NAME`, `out:NAME`) that a new version must answer before it serves.
    """

    name: str
    version: str
    role: str
    root: Path
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    files: Mapping[tuple[str, str], str] = field(default_factory=dict)
    max_batch: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    canary: str | None = None
    queue: QueuePolicy = QueuePolicy()
    variants: tuple[Variant, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)   # what config.pbtxt said beyond the above

    def path(self, relative: str) -> Path:
        """The file below `root`; a path that leaves the bundle is a BundleError."""
        inside = (self.root / relative).resolve()
        if not inside.is_relative_to(self.root.resolve()):
            raise BundleError(f"file {relative!r} of bundle {self.name!r} points outside its folder {self.root}; "
                              "keep every file inside the bundle")
        return inside


def digest(path: Path) -> str:
    """SHA-256 of a file as lower-case hex, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(bundle: Bundle) -> None:
    """Raise BundleError unless every listed file exists and has its checksum, and every model file is listed."""
    for relative in bundle.files.values():
        if bundle.sha256 and relative not in bundle.sha256:
            raise BundleError(f"bundle {bundle.name!r} has no sha256 for {relative!r}; add it under [sha256]")
    for relative, expected in bundle.sha256.items():
        path = bundle.path(relative)
        if not path.is_file():
            raise BundleError(f"bundle {bundle.name!r} lacks {relative!r} (looked for {path}); copy it again")
        got = digest(path)
        if got != expected.lower():
            raise BundleError(f"checksum of {relative!r} in bundle {bundle.name!r}: expected sha256 {expected[:16]}..., "
                              f"got {got[:16]}...; the file is damaged or was changed: copy the bundle again")
