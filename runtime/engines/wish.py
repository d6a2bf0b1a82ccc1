"""An engine that a bundle should have: what it is known by, and what serves while there is none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError, digest
from ..backends import make_backend
from ..backends.onnx_facts import cache_folder, facts_of
from ..backends.onnx_file import check_external
from . import BUILDERS, BuildError, Job, make_builder
from .key import EngineKey, Profile


@dataclass(frozen=True)
class Wish:
    """An engine to have: of which bundle and file, for which backend, known by which key, built by whom."""

    bundle: Bundle
    backend: str
    precision: str
    source: str
    key: EngineKey
    job: Job
    place: str


def without_engines(bundle: Bundle, device: DeviceProfile) -> tuple[Bundle, DeviceProfile]:
    """What serves while there is no engine: the same, as if the backends that need one did not exist.

    A bundle with nothing but files for engines is run by ONNX Runtime from those: they are ONNX files.
    """
    backends = tuple(name for name in device.backends if name not in BUILDERS) or ("onnx",)
    files = {(b, p): path for (b, p), path in bundle.files.items() if b not in BUILDERS}
    if not files:
        files = {("onnx", p): path for (_, p), path in bundle.files.items()}
    return replace(bundle, files=files), replace(device, backends=backends)


def as_onnx(bundle: Bundle, precision: str, source: str) -> Bundle:
    """The bundle with nothing but the ONNX file that an engine is built from."""
    return replace(bundle, files={("onnx", precision): source})


def make_wish(bundle: Bundle, backend: str, precision: str, source: str, place: str, device: DeviceProfile) -> Wish:
    """The engine of one file. BuildError with a sentence where the backend cannot take the model.

    Blocking: it looks into the file, and asks the driver.
    """
    builder = make_builder(place)
    try:
        described = make_backend(backend).describe(replace(bundle, files={(backend, precision): source}))
        if sentence := builder.refuses(described):
            raise BuildError(sentence)
        outside = weights(bundle, source)
    except BundleError as error:
        raise BuildError(str(error)) from error
    shapes = profiles(described)
    path = bundle.path(source)
    key = EngineKey(bundle.name, bundle.sha256.get(source) or digest(path), outside, precision, builder.platform(), shapes)
    return Wish(bundle, backend, precision, source, key, Job(path, precision, shapes, device.memory_mb // 4), place)


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
