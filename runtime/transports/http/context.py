"""What the handlers of one server share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from ...config import Config
from ...engine import Pool
from ...repository import Repository


@dataclass
class Context:
    """Made by the app; read by the handlers. `draining` turns true at SIGTERM, `stopping` is then set."""

    config: Config
    repository: Repository
    pool: Pool
    state_dir: Path
    token: str = ""
    started: float = field(default_factory=time.monotonic)
    draining: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: int = 0
    requests: int = 0
