"""Which engine a bundle should have on a device, if any: the first backend in the device's order decides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError, digest
from ..backends import make_backend
from ..backends.onnx_facts import cache_folder, facts_of
from ..backends.onnx_file import check_external
from . import BUILDERS, Builder, BuildError, Job, make_builder
from .key import EngineKey, Profile

# Without a file of its own a backend that builds engines takes the ONNX file of one of these precisions: other forms of
# INT8 than its own are refused by its parser.
PLAIN = ("fp32", "fp16")


@dataclass(frozen=True)
class Wish:
    """An engine to have: of which file, for which backend, known by which key, built by whom."""

    backend: str
    precision: str
    source: str
    key: EngineKey
    job: Job
    place: str


@dataclass(frozen=True)
class Refused:
    """The backend that the device prefers cannot take this model; the sentence says why."""

    backend: str
    reason: str


def wish_of(bundle: Bundle, device: DeviceProfile, builders: Mapping[str, str] = BUILDERS) -> Wish | Refused | None:
    """The engine that `bundle` should have on `device`; None where a backend without engines comes first.

    BundleError where the model's file cannot be read.
    """
    refused = None
    for backend in device.backends:
        if backend not in builders:
            if any(name == backend for name, _ in bundle.files) and make_backend(backend).missing() is None:
                return refused
            continue
        builder = make_builder(builders[backend])
        source = source_of(bundle, backend, device.precisions)
        if source is None or builder.missing():
            continue
        try:
            return _wish(bundle, device, backend, builders[backend], builder, *source)
        except BuildError as error:
            refused = refused or Refused(backend, str(error))
    return refused


def source_of(bundle: Bundle, backend: str, precisions: tuple[str, ...]) -> tuple[str, str] | None:
    """(precision, path) of the file that an engine is built from."""
    have = {p: path for (b, p), path in bundle.files.items() if b == "onnx" and p in PLAIN}
    have |= {p: path for (b, p), path in bundle.files.items() if b == backend}
    order = [*precisions, *have]
    return next(((p, have[p]) for p in order if p in have), None)


def as_onnx(bundle: Bundle, precision: str, source: str) -> Bundle:
    """The bundle with nothing but the ONNX file that an engine is built from."""
    return replace(bundle, files={("onnx", precision): source})


def _wish(bundle: Bundle, device: DeviceProfile, backend: str, place: str, builder: Builder, precision: str, source: str
          ) -> Wish:
    try:
        described = make_backend(backend).describe(replace(bundle, files={(backend, precision): source}))
    except BundleError as error:
        raise BuildError(str(error)) from error
    if sentence := builder.refuses(described):
        raise BuildError(sentence)
    shapes = profiles(described)
    path = bundle.path(source)
    key = EngineKey(bundle.name, bundle.sha256.get(source) or digest(path), weights(bundle, source), precision,
                    builder.platform(), shapes)
    return Wish(backend, precision, source, key, Job(path, precision, shapes, device.memory_mb // 4), place)


def profiles(bundle: Bundle) -> tuple[Profile, ...]:
    """One for a single row, one for up to a full batch: an engine is quickest at the shape it was built for."""
    if not bundle.max_batch:
        return ()
    return tuple({spec.name: tuple((n, *(d or 0 for d in spec.shape)) for n in (1, most, most)) for spec in bundle.inputs}
                 for most in dict.fromkeys((1, bundle.max_batch)))


def weights(bundle: Bundle, source: str) -> str:
    """One SHA-256 over the files in which the model keeps its weights; empty where it holds them itself."""
    path, seen = bundle.path(source), hashlib.sha256()
    if make_backend("onnx").missing():       # nobody to ask: then any other file of the bundle may be one of them
        files = [bundle.path(name) for name in bundle.sha256 if bundle.path(name) != path]
    else:
        external = facts_of(bundle, source, cache_folder())["external"]
        files = check_external(bundle.root, path, external, source)
    for file in sorted(files):
        name = file.relative_to(bundle.root.resolve()).as_posix()
        seen.update(f"{name} {bundle.sha256.get(name) or digest(file)}\n".encode())
    return seen.hexdigest() if files else ""
