"""The ways of running a bundle on a device: which backend, in which precision, from which of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError, Variant
from .backends import BACKENDS, CASTS, REFUSED, TAKES, make_backend


@dataclass(frozen=True)
class Way:
    """One way to run a bundle; `file` is the key of its file, `measured` what the bundle's table says of this way."""

    backend: str
    precision: str
    file: tuple[str, str]
    measured: Variant | None = None

    @property
    def name(self) -> str:
        """As answers and metrics call it: "onnx int8"."""
        return f"{self.backend} {self.precision}"

    @property
    def agreement(self) -> float | None:
        """The share of verdicts that are FP32's: as measured, 1.0 for FP32 itself, None where nobody measured it."""
        if self.measured is not None and self.measured.agreement is not None:
            return self.measured.agreement
        return 1.0 if self.precision == "fp32" else None


def file_for(bundle: Bundle, backend: str, precision: str) -> tuple[str, str] | None:
    """The key of the file by which `backend` runs the bundle in `precision`; None where there is none."""
    for kind in TAKES.get(backend, (backend,)):
        for stored in (precision, CASTS.get((backend, precision))):
            if stored and (kind, stored) in bundle.files and (backend, kind, stored) not in REFUSED:
                return kind, stored
    return None


def ways(bundle: Bundle, device: DeviceProfile) -> list[Way]:
    """Every way, the device's preferred first. Backends of the profile come before others that the bundle has files for."""
    measured = {(v.backend, v.precision): v for v in bundle.variants}
    backends = dict.fromkeys([*device.backends, *(b for b, _ in bundle.files if b in BACKENDS)])
    precisions = dict.fromkeys([*device.precisions, *(p for _, p in bundle.files)])
    found = []
    for backend in backends:
        for precision in precisions:
            file = file_for(bundle, backend, precision)
            if file is not None:
                found.append(Way(backend, precision, file, row_of(measured, backend, precision, file)))
    return found


def row_of(table: Mapping[tuple[str, str], Variant], backend: str, precision: str, file: tuple[str, str]) -> Variant | None:
    """What was measured of a way. How well a file agrees with FP32 holds for every backend that runs it as it is."""
    row, judged = table.get((backend, precision)), table.get(file)
    if judged is None or judged is row or file[1] != precision or judged.agreement is None:
        return row
    row = row or Variant(backend, precision)
    return row if row.agreement is not None else replace(row, agreement=judged.agreement)


def usable(bundle: Bundle, device: DeviceProfile) -> tuple[list[Way], dict[str, str]]:
    """The ways that this machine can go, preferred first; and why each backend that was passed over cannot be used."""
    kept: list[Way] = []
    missing: dict[str, str] = {}
    for way in ways(bundle, device):
        if way.backend not in missing:
            why = make_backend(way.backend).missing()
            if why is None:
                kept.append(way)
            else:
                missing[way.backend] = why
    if not kept:
        reasons = " ".join(missing.values()) or "no backend for them is known"
        raise BundleError(f"no file of bundle '{bundle.name}' can run on this machine: it has "
                          f"{sorted(bundle.files) or 'no files'}; {reasons}")
    return kept, missing


def narrowed(bundle: Bundle, way: Way) -> Bundle:
    """The bundle with only the file of that way, as the backend looks for it."""
    return replace(bundle, files={(way.backend, way.precision): bundle.files[way.file]})
