"""What a vehicle may use and how fast it is there: profiles are data, `profiles/*.toml` or a file of your own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "profiles"
ALLOWED = frozenset({"yes", "permissive", "designated", "destination", "delivery", "customers", "official", "dismount"})
MPH_KMH = 1.609344


@dataclass(frozen=True)
class Profile:
    """See `profiles/sidewalk-robot.toml`, which explains each key."""

    name: str
    speed_kmh: Mapping[str, float]
    access: tuple[str, ...]
    about: str = ""
    oneway: tuple[str, ...] = ()
    opposite: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()
    min_width_m: float = 0.0
    max_incline_percent: float = 100.0
    blocked_barriers: tuple[str, ...] = ()
    blocked_kerbs: tuple[str, ...] = ()
    blocked_surfaces: tuple[str, ...] = ()
    max_speed_kmh: float = 130.0
    use_maxspeed: bool = False
    surface_factor: Mapping[str, float] = field(default_factory=dict)

    def refusal(self, tags: Mapping[str, str]) -> str | None:
        """Why a way is not used, in a few words to be counted; None if it is."""
        kind = tags["highway"]
        granted = self._granted(tags)
        if granted is False:
            return "access is forbidden"
        if kind not in self.speed_kmh:
            return f"highway={kind} is not for this vehicle"
        if tags.get("area") == "yes":
            return "an area, not a line"
        if tags.get("surface") in self.blocked_surfaces:
            return f"surface={tags['surface']}"
        width = metres(tags.get("width", ""))
        if width is not None and width < self.min_width_m:
            return "too narrow"
        incline = percent(tags.get("incline", ""))
        if incline is not None and abs(incline) > self.max_incline_percent:
            return "too steep"
        return None

    def _granted(self, tags: Mapping[str, str]) -> bool | None:
        for key in self.access:
            if key in tags:
                return tags[key].split(";")[0] in ALLOWED
        return None

    def speed(self, tags: Mapping[str, str]) -> float:
        """km/h on a way that is used."""
        value = self.speed_kmh[tags["highway"]]
        if self.use_maxspeed:
            signed = kmh(tags.get("maxspeed", ""))
            value = signed * 0.9 if signed else value       # nobody drives the limit all the way
        return max(min(value, self.max_speed_kmh) * self.surface_factor.get(tags.get("surface", ""), 1.0), 0.5)

    def directions(self, tags: Mapping[str, str]) -> tuple[bool, bool]:
        """Whether a way may be used along its nodes, and against them."""
        if any(tags.get(key, "").startswith("opposite") for key in self.opposite):
            return True, True
        for key in self.oneway:
            value = tags.get(key)
            if value in ("no", "false", "0"):
                return True, True
            if value in ("yes", "true", "1", "roundabout", "circular", "motorway"):
                return True, False
            if value in ("-1", "reverse"):
                return False, True
        return True, True

    def blocks(self, tags: Mapping[str, str]) -> bool:
        """Whether nobody of this kind gets past a node (barrier, kerb) with these tags."""
        if tags.get("kerb") in self.blocked_kerbs or tags.get("barrier") in self.blocked_barriers:
            return self._granted(tags) is not True
        return "barrier" in tags and self._granted(tags) is False

    def bound(self, tags: Mapping[str, str]) -> str | None:
        """The turn restriction of a relation that binds this vehicle ("no_left_turn"), or None."""
        if set(re.split(r"[;, ]+", tags.get("except", ""))) & set(self.turns) - {""}:
            return None
        for vehicle in self.turns:
            value = tags.get(f"restriction:{vehicle}" if vehicle else "restriction")
            if value:
                return value
        return None


def read_profile(name: str) -> Profile:
    """The shipped profile of this name, or the one in a TOML file; ValueError says what does not fit."""
    path = FOLDER / f"{name}.toml" if re.fullmatch(r"[a-z0-9-]+", name) else Path(name)
    if not path.is_file():
        raise ValueError(f"expected a profile ({', '.join(profiles())}) or a .toml file, got {name!r}")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}; correct it") from error
    known = {f.name for f in fields(Profile)}
    if set(table) - known or {"name", "speed_kmh", "access"} - set(table):
        raise ValueError(f"{path}: expected name, speed_kmh, access and any of {', '.join(sorted(known))}; "
                         f"got {', '.join(sorted(table))}")
    return Profile(**{key: _value(path, key, value) for key, value in table.items()})


def _value(path: Path, key: str, value: Any) -> Any:
    if isinstance(value, dict):
        if not all(isinstance(v, (int, float)) and 0 < v < 1000 for v in value.values()):
            raise ValueError(f"{path}: expected numbers over 0 and below 1000 - at `{key}`")
        return value
    if isinstance(value, list):
        if not all(isinstance(v, str) for v in value):
            raise ValueError(f"{path}: expected a list of texts - at `{key}`")
        return tuple(value)
    return value


def profiles() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def _first(text: str) -> tuple[float, str] | None:
    found = re.match(r"\s*(-?\d+(?:[.,]\d+)?)\s*([a-z%°']*)", text)
    return (float(found[1].replace(",", ".")), found[2]) if found else None


def metres(text: str) -> float | None:
    """"1.5", "1.5 m", "5'" as metres; None for what is neither."""
    found = _first(text)
    return None if found is None else found[0] * {"'": 0.3048, "ft": 0.3048, "cm": 0.01}.get(found[1], 1.0)


def percent(text: str) -> float | None:
    """"8%", "-8 %", "5°" as percent; None for words such as "up"."""
    found = _first(text)
    if found is None:
        return None
    return found[0] * 1.75 if found[1] == "°" else found[0]    # tan(1 degree) = 1.75 %


def kmh(text: str) -> float | None:
    """"50", "30 mph" as km/h, "walk" as 6; None for what is neither."""
    if text == "walk":
        return 6.0
    found = _first(text)
    return None if found is None or found[0] <= 0 else found[0] * (MPH_KMH if found[1] == "mph" else 1.0)
