"""Watches the device's temperature once a second and makes the server work less while it is hot, by the profile's rule."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..edge_devices.heat import Thermostat, joules, power_mode, temperatures, watts, whole_power
from ..edge_devices.profile import DeviceProfile
from .errors import Busy
from .pool import Pool
from .shares import Shares

log = logging.getLogger("aisle.heat")
EVERY_S = 1.0


class Models(Protocol):
    """What of the repository is asked to do less; see runtime/repository.py."""

    shares: Shares
    pool: Pool

    def cool(self, on: bool) -> int:
        """Answer by the fastest variants while `on`; how many models have several."""


class HeatKeeper:
    """Reads sensors below `root`, applies the profile's rule, and tells of it; sensors are read on the pool."""

    def __init__(self, models: Models, device: DeviceProfile, root: Path = Path("/")) -> None:
        self.models = models
        self.device = device
        self.root = root
        self.thermostat = Thermostat(device.heat)
        self.degrees: dict[str, float] = {}
        self.watts: dict[str, float] = {}
        self.mode = ""
        self._energy: tuple[float, dict[str, float]] = (0.0, {})

    async def run(self) -> None:
        """Look once a second until cancelled; a machine without sensors is looked at once."""
        self.look(time.monotonic(), self.sense(time.monotonic()))
        while self.degrees or self.watts or self._energy[1]:
            await asyncio.sleep(EVERY_S)
            try:
                read = await self.models.pool.run(self.sense, time.monotonic())
            except Busy:
                continue             # a busy second more or less: the next look is near
            self.look(time.monotonic(), read)
        log.info("this machine tells no temperature and no power; heat is not watched")

    def sense(self, now: float) -> tuple[dict[str, float], dict[str, float], str]:
        """(degrees by zone, watts by rail, power mode) as the system tells them."""
        rails = watts(self.root)
        before, counted = self._energy
        energy = joules(self.root)
        if counted and now > before:
            rails |= {name: max(0.0, (value - counted[name]) / (now - before))
                      for name, value in energy.items() if name in counted}
        self._energy = now, energy
        return temperatures(self.root, self.device.heat.zones), rails, power_mode(self.root, self.device.power)

    def look(self, now: float, read: tuple[dict[str, float], dict[str, float], str]) -> None:
        """Take in one reading and act on it."""
        self.degrees, self.watts, mode = read
        if mode != self.mode:
            if self.mode:
                log.warning("the power mode changed from %s to %s", self.mode, mode or "unknown")
            self.mode = mode
        moved = self.thermostat.look(now, self.degrees)
        if moved > 0:
            self._take(self.thermostat.steps[-1])
        elif moved < 0:
            self._take_back(self.device.heat.steps[self.thermostat.level])

    def _take(self, step: str) -> None:
        done = self.effects()[step](True)
        log.warning("the device is hot (%.0f C, the rule begins at %.0f): %s", self.thermostat.hottest,
                    self.device.heat.hot_c, done)

    def _take_back(self, step: str) -> None:
        done = self.effects()[step](False)
        log.warning("the device has cooled to %.0f C: %s", self.thermostat.hottest, done)

    def effects(self) -> dict[str, Callable[[bool], str]]:
        """What each step of a rule does; the sentence says it."""
        return {"variant": self._variant, "rate": self._rate}

    def _variant(self, on: bool) -> str:
        count = self.models.cool(on)
        if not count:
            return "no model has variants that are open (device.variants = \"all\"), so nothing changes yet"
        return f"{count} models answer by their {'fastest' if on else 'usual'} variants"

    def _rate(self, on: bool) -> str:
        self.models.shares.duty = self.device.heat.rate if on else 1.0
        return f"models run {self.device.heat.rate:.0%} of the time" if on else "models run all the time again"

    def told(self) -> dict[str, Any]:
        """What /healthz says."""
        power = whole_power(self.watts)
        return {"hot": self.thermostat.level > 0, "level": self.thermostat.level, "doing": list(self.thermostat.steps),
                "hottest_c": self.thermostat.hottest, "hot_from_c": self.device.heat.hot_c, "temperatures_c": self.degrees,
                "power_mode": self.mode, "watts": self.watts, **({"power_w": power} if power is not None else {})}

    def metrics(self) -> dict[str, float]:
        """What /metrics shows."""
        found = {"aisle_heat_level": float(self.thermostat.level)}
        if self.thermostat.hottest is not None:
            found["aisle_temperature_celsius"] = self.thermostat.hottest
        power = whole_power(self.watts) or sum(self.watts.values())
        return found | ({"aisle_power_watts": power} if power else {})
