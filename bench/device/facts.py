"""What a report says of the machine that it was made on, so that two reports can be told apart."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...edge_devices.heat import power_mode, temperatures, watts
from ...edge_devices.probe import probe
from ...runtime.backends import BACKENDS, make_backend
from ...runtime.cli.doctor import arithmetic, installed
from ...runtime.config import Config
from ...runtime.device import choose_device


def facts() -> dict[str, Any]:
    """Machine, profile, packages, backends, heat, and the load while it was measured."""
    machine, (device, said) = probe(), choose_device(Config())
    root = Path("/")
    return {"machine": asdict(machine), "profile": device.name, "notes": said, "packages": installed(),
            "arithmetic": arithmetic(machine.flags), "threads": device.threads,
            "backends": {name: make_backend(name).missing() or "works" for name in BACKENDS},
            "load": round(os.getloadavg()[0], 2),
            "power_mode": power_mode(root, device.power), "temperatures_c": temperatures(root), "watts": watts(root)}
