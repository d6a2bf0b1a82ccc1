"""What the handlers of one server share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from ...config import Config
from ...engine import Pool
from ...heat import HeatKeeper
from ...repository import Repository
from .receive import Bodies


@dataclass
class Context:
    """Made by the app; read by the handlers. `draining` turns true at SIGTERM, `stopping` is then set."""

    config: Config
    repository: Repository
    pool: Pool
    state_dir: Path
    token: str = ""
    heat: HeatKeeper | None = None
    device_notes: tuple[str, ...] = ()        # which device was chosen and why, and what it lacks
    started: float = field(default_factory=time.monotonic)
    draining: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        self.bodies = Bodies(self.config.server.max_bodies_mb << 20)
