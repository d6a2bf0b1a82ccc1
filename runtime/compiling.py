"""Building a model's engine now, as `aisle model compile` does: the same way a server goes, without a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError, verify
from .backends import make_backend
from .config import EnginesConfig
from .engine_keeper import checked, folder_of, limits_of
from .engine_wish import Refused, wish_of
from .engines import BUILDERS, make_builder
from .engines.cache import EngineCache, Held
from .engines.cycle import Cycle, Stage, advance
from .loading import open_bundle

SHOW_S = 0.1


@dataclass(frozen=True)
class Compiled:
    """An engine that answers as its model: what was built, where it lies, what it took."""

    name: str
    version: str
    backend: str
    precision: str
    source: str
    path: str
    engine: str
    bytes: int
    seconds: float
    built: bool              # False: it was there already
    platform: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def compile_bundle(bundle: Bundle, device: DeviceProfile, backend: str, settings: EnginesConfig, *, again: bool = False,
                   progress: Callable[[float, str], None] = lambda part, doing: None) -> Compiled:
    """Build, compare and keep the engine of one bundle; blocks. BundleError with a sentence where there is none to have.

    `again` builds although there is one, or although it failed for good before.
    """
    verify(bundle)
    device = replace(device, backends=(backend, *(other for other in device.backends if other != backend)))
    cycle = Cycle(wish_for(bundle, device, backend))
    try:
        cache = EngineCache(folder_of(settings), settings.max_mb << 20)
    except OSError as error:
        raise BundleError(f"the engines' folder cannot be used: {error.strerror}: {error.filename}; name another "
                          "(engines.path)") from error
    key = cycle.wish.key
    cache.forgive(key)
    if again:
        cache.reject(key)
    before = cache.path(key).exists()
    _go(cycle, cache, device, settings, progress)
    if cycle.stage is not Stage.SERVING:
        raise BundleError(f"no engine of {bundle.name!r} for {backend}: {cycle.reason}")
    return Compiled(bundle.name, bundle.version, backend, cycle.wish.precision, cycle.wish.source, str(cache.path(key)),
                    key.digest, cycle.size, cycle.seconds, not before, asdict(key.platform))


def wish_for(bundle: Bundle, device: DeviceProfile, backend: str) -> Any:
    """The engine to build. BundleError says why there can be none here."""
    if backend not in BUILDERS:
        raise BundleError(f"backend {backend!r} builds no engines; those that do are {', '.join(BUILDERS)}")
    for missing in (make_builder(BUILDERS[backend]).missing(), make_backend(backend).missing()):
        if missing:
            raise BundleError(f"no engine can be built on this machine: {missing}")
    wish = wish_of(bundle, device, backend)
    if isinstance(wish, Refused):
        raise BundleError(f"{wish.backend} cannot take {bundle.name!r}: {wish.reason}")
    if wish is None:
        raise BundleError(f"bundle {bundle.name!r} has no file that {backend} builds from; it has "
                          f"{sorted(bundle.files) or 'no model files'}: an ONNX file in fp32 or fp16 will do")
    return wish


def _go(cycle: Cycle, cache: EngineCache, device: DeviceProfile, settings: EnginesConfig,
        progress: Callable[[float, str], None]) -> None:
    """Advance on a thread and show on this one; interrupted, the builder ends and nothing is left."""
    raised: list[BaseException] = []
    worker = threading.Thread(target=_work, args=(cycle, cache, device, settings, raised), name="aisle-compile")
    worker.start()
    try:
        while worker.is_alive():
            worker.join(SHOW_S)
            progress(cycle.part, cycle.doing or str(cycle.stage))
    except BaseException:
        cycle.stop.set()
        worker.join()
        raise
    if raised:
        raise raised[0]


def _work(cycle: Cycle, cache: EngineCache, device: DeviceProfile, settings: EnginesConfig,
          raised: list[BaseException]) -> None:
    def check(held: Held) -> bool:
        checked(cycle.wish, device, lambda: open_bundle(cycle.wish.bundle, device, engine=(cycle.wish, held))).close()
        return True
    try:
        advance(cycle, cache, check, limits=limits_of(settings))
    except BaseException as error:  # noqa: BLE001 - goes to the thread that waits
        raised.append(error)


def settings_of(path: Path | None) -> EnginesConfig:
    """The section `engines` of a configuration file, so that a server finds what was built. ConfigError lists mistakes."""
    from .config import load_config
    return load_config(path).engines
