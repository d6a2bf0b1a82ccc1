"""Which engine a bundle should have on a device, if any: the first way in the device's order that can be gone decides."""

from __future__ import annotations

from dataclasses import dataclass

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError
from .backends import make_backend
from .engines import BUILDERS, BuildError, make_builder
from .engines.wish import Wish, make_wish, without_engines
from .ways import usable, ways


@dataclass(frozen=True)
class Refused:
    """The backend that the device prefers cannot take this model; the sentence says why."""

    backend: str
    reason: str


def as_served(bundle: Bundle, device: DeviceProfile) -> Bundle:
    """The bundle, or where it has files for engines alone and none can be had here, what a server runs in their place.

    BundleError where nothing of it can run on this machine.
    """
    try:
        usable(bundle, device)
        return bundle
    except BundleError:
        plain, without = without_engines(bundle, device)
        if plain.files == bundle.files:
            raise
        usable(plain, without)
        return plain


def wish_of(bundle: Bundle, device: DeviceProfile, backend: str = "") -> Wish | Refused | None:
    """The engine that `bundle` should have on `device`; None where a way without engines comes first, or none can be built.

    With a `backend` only that one counts.
    """
    refused: Refused | None = None
    for way in ways(bundle, device):
        if backend and way.backend != backend:
            continue
        if way.backend not in BUILDERS:
            if make_backend(way.backend).missing() is None:
                return refused
            continue
        if make_builder(BUILDERS[way.backend]).missing():
            continue
        try:
            return make_wish(bundle, way.backend, way.precision, bundle.files[way.file], BUILDERS[way.backend], device)
        except BuildError as error:
            refused = refused or Refused(way.backend, str(error))
    return refused
