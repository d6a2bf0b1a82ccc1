"""Several processes on one port: who is who. See supervisor.py (the parent) and transports/http/siblings.py."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "AISLE_WORKER"
KEEPER = 0          # the worker that holds what can be in one place only


@dataclass(frozen=True)
class Place:
    """One worker of several: its number, how many there are, the port they share, the folder with their sockets."""

    number: int
    count: int
    port: int
    folder: Path

    def socket(self, number: int) -> Path:
        """Where that worker listens for its siblings."""
        return self.folder / f"{number}.sock"

    def text(self) -> str:
        """As a value of the environment."""
        return f"{self.number}:{self.count}:{self.port}:{self.folder}"


def place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place, or None where it is no worker of a supervisor."""
    text = environment.get(VARIABLE, "")
    if not text:
        return None
    number, count, port, folder = text.split(":", 3)
    return Place(int(number), int(count), int(port), Path(folder))
