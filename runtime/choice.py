"""Which way of a bundle answers where nobody asks for another: the fastest measured here that agrees, else the profile's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ..edge_devices.probe import probe
from ..edge_devices.profile import DeviceProfile
from ..models.bundle import AGREEMENT, Bundle
from .ways import Way

# The profile's order is overruled by a way that takes no more than this share of its time: less is noise.
GAIN = 0.95


@dataclass(frozen=True)
class Choice:
    """The ways of a bundle, the chosen one first and then as the profile has them; `why` is a sentence without its stop."""

    ways: tuple[Way, ...]
    why: str


@cache
def this_machine() -> str:
    """What the tables of bundles call this machine: its CPU, or the board's name."""
    return probe().model


def choose(found: Sequence[Way], bundle: Bundle, device: DeviceProfile, machine: str | None = None) -> Choice:
    """Order `found`, which is not empty and as the profile has it, by what the bundle's table says of `machine` (this one).

    Times of another machine say nothing. A way whose agreement with FP32 was measured and is below the bound is no
    candidate; one whose agreement nobody measured is, where the profile names its precision. Ties keep the profile's order.
    """
    machine = this_machine() if machine is None else machine
    least = bound(bundle)
    able = [way for way in found if agrees(way, device, least)] or list(found)
    first = able[0]
    times = {way: way.measured.p50_ms for way in able if way.measured and way.measured.on == machine and way.measured.p50_ms}
    fastest = min(times, key=lambda way: times[way] or 0.0, default=first)
    if first in times and times[fastest] <= times[first] * GAIN:
        why = f"it takes {times[fastest]:.3g} ms on this machine, {first.name} {times[first]:.3g} ms"
        return put_first(fastest, found, why)
    why = f"device '{device.name}' prefers it"
    if len(able) > 1 and first not in times:
        why += "; what it costs on this machine was not measured: `aisle model check BUNDLE --keep` does"
    elif len(times) > 1:
        why += f", and at {times[first]:.3g} ms it is the fastest that was measured on this machine, within the noise"
    passed = [f"{way.name} agrees with FP32 on {way.agreement:.1%}, {least:.1%} is asked for"
              for way in found[:found.index(first)] if way.agreement is not None]
    return put_first(first, found, "; ".join([*passed, why]))


def put_first(way: Way, found: Sequence[Way], why: str) -> Choice:
    """The choice of that way."""
    why = "it is the only one" if len(found) == 1 else why
    return Choice((way, *(other for other in found if other is not way)), why)


def agrees(way: Way, device: DeviceProfile, least: float) -> bool:
    """Whether the way may answer in the place of FP32 without being asked for."""
    if way.agreement is None:
        return way.precision in device.precisions
    return way.agreement >= least


def bound(bundle: Bundle) -> float:
    """The least agreement: what `aisle model quantize` asks for by itself, or less where that was accepted (--agree)."""
    told = bundle.params.get("quantized")
    accepted = told.get("agreement") if isinstance(told, dict) else None
    return min(AGREEMENT, accepted) if isinstance(accepted, (int, float)) else AGREEMENT
