"""Temperature, power mode and power below a given root, and the rule by which a hot device works less."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .probe import read
from .profile import Heat

CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
RAILS = ("VDD_IN", "VIN_SYS_5V0", "VDD_GPU_SOC")      # a Jetson's whole input, by module, is the first of these that is there


def temperatures(root: Path, zones: tuple[str, ...] = ()) -> dict[str, float]:
    """Degrees Celsius by the type of the thermal zone; where there are no zones, of the CPU's own sensors.

    `zones` names those that count; empty is all. What does not answer, or answers nonsense, is left out.
    """
    found: dict[str, float] = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        kind = read(zone / "type").strip()
        degrees = milli(zone / "temp")
        if kind and degrees is not None and (not zones or kind in zones):
            found[kind] = max(found.get(kind, degrees), degrees)
    if found or zones:
        return found
    for sensor in sorted(root.glob("sys/class/hwmon/hwmon*")):
        name = read(sensor / "name").strip()
        if name in CPU_SENSORS:
            seen = [degrees for file in sensor.glob("temp*_input") if (degrees := milli(file)) is not None]
            if seen:
                found[name] = max(seen)
    return found


def milli(file: Path) -> float | None:
    """Thousandths in a file as a number; None for nothing, and for what no chip survives."""
    text = read(file).strip()
    if not re.fullmatch(r"-?\d{1,7}", text):
        return None
    value = int(text) / 1000
    return value if -60 < value < 200 else None


def power_mode(root: Path, file: str = "") -> str:
    """The mode that the machine's power is in: a Jetson's by its name, else the platform profile or the CPU's governor."""
    status = read(root / file).strip() if file else ""
    if status:
        number = re.search(r"(\d+)", status)
        names = dict(re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", read(root / "etc/nvpmodel.conf")))
        return names.get(str(int(number[1])), status) if number else status
    return (read(root / "sys/firmware/acpi/platform_profile").strip()
            or read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip())


def watts(root: Path) -> dict[str, float]:
    """Power by rail, as ina3221 sensors measure it (mV times mA), and of batteries or supplies that tell it; W."""
    found: dict[str, float] = {}
    for sensor in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if read(sensor / "name").strip() != "ina3221":
            continue
        for label in sorted(sensor.glob("in*_label")):
            number = re.sub(r"\D", "", label.name)
            volts, amperes = milli_any(sensor / f"in{number}_input"), milli_any(sensor / f"curr{number}_input")
            if volts is not None and amperes is not None:
                found[read(label).strip()] = volts * amperes
    return found


def milli_any(file: Path) -> float | None:
    """Thousandths in a file as a number, of any size that fits a sensor."""
    text = read(file).strip()
    return int(text) / 1000 if re.fullmatch(r"\d{1,9}", text) else None


def whole_power(rails: dict[str, float]) -> float | None:
    """The power of the whole device among its rails, W; None where no rail measures that."""
    return next((rails[name] for name in RAILS if name in rails), None)


def joules(root: Path) -> dict[str, float]:
    """Energy counters of x86 packages (RAPL) where they may be read; J. Two readings make a power."""
    found = {}
    for zone in sorted(root.glob("sys/class/powercap/intel-rapl:*")):
        text = read(zone / "energy_uj").strip()
        if text.isdecimal() and zone.name.count(":") == 1:
            found[read(zone / "name").strip() or zone.name] = int(text) / 1e6
    return found


@dataclass
class Thermostat:
    """The rule at work: `level` steps are taken. Time is given, in seconds of any clock that only goes forward.

    Up one step for every `after_s` seconds at `hot_c` or above, down one for every `after_s` at `cool_c` or below; in
    between nothing changes, and a device whose temperature cannot be read any more stays as it is.
    """

    rule: Heat
    level: int = 0
    hottest: float | None = None
    _since: float = field(default=-1.0, repr=False)
    _trend: int = field(default=0, repr=False)

    def look(self, now: float, degrees: dict[str, float]) -> int:
        """+1 or -1 where a step is taken or taken back at this moment, else 0."""
        self.hottest = max(degrees.values(), default=None)
        trend = 0
        if self.hottest is not None and self.rule.hot_c:
            trend = 1 if self.hottest >= self.rule.hot_c else -1 if self.hottest <= self.rule.cool_c else 0
        if trend != self._trend:
            self._trend, self._since = trend, now
            return 0
        if trend == 0 or now - self._since < self.rule.after_s:
            return 0
        if not 0 <= self.level + trend <= len(self.rule.steps):
            return 0
        self.level += trend
        self._since = now
        return trend

    @property
    def steps(self) -> tuple[str, ...]:
        """What is being done now."""
        return self.rule.steps[:self.level]
