"""Honest readiness: every model answers a canary on a schedule; a thread that hangs is noticed, said and replaced."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from .batcher import Batcher
from .errors import AisleError, Busy
from .repository import Repository
from .served import Served

log = logging.getLogger("aisle.pulse")
SLOW_RUNS = 20        # a run may take this many times what runs of its model usually take, if that is more than the deadline


class Pulse:
    """Looks after every served model: asks the idle ones, watches the busy ones, tells systemd.

    `every_s`: how long a model may be idle before it is asked; `deadline_s`: how long one run may take before its thread
    counts as hung. The models of a hung thread are blockers of readiness until they are replaced.
    """

    def __init__(self, repository: Repository, every_s: float, deadline_s: float,
                 well: Callable[[], bool] = lambda: True) -> None:
        self.repository = repository
        self.every_s = every_s
        self.deadline_s = deadline_s
        self.well = well
        self._asked: dict[Batcher, int] = {}         # when it was asked last, ns
        self._replacing: set[asyncio.Task[None]] = set()
        self._systemd = Systemd()

    async def run(self) -> None:
        """Look until cancelled; often enough that a hang is noticed soon after its deadline."""
        while True:
            await asyncio.sleep(min(self.every_s, self.deadline_s) / 8)
            self.look(time.perf_counter_ns())
            ill = self.repository.hung or self.repository.lost()
            self._systemd.tell(ready=not self.repository.blockers(), alive=not ill and self.well())

    def look(self, now: int) -> None:
        """Judge every model at the moment `now`, ns of perf_counter."""
        alive = {batcher: served for served in self.repository.served() for batcher in served.owned}
        self._asked = {batcher: at for batcher, at in self._asked.items() if batcher in alive}
        for batcher, served in alive.items():
            if batcher.running_since and now - batcher.running_since > self.patience_ns(batcher):
                self._hangs(served, now - batcher.running_since)
            elif not batcher.running_since and not batcher.waiting:
                last = max(self._asked.get(batcher, 0), batcher.last_run)
                if now - last > self.every_s * 1e9:
                    self._asked[batcher] = now
                    ask(batcher)

    def patience_ns(self, batcher: Batcher) -> int:
        """How long a run of this model may take."""
        return max(int(self.deadline_s * 1e9), SLOW_RUNS * batcher.costs.expect(batcher.capacity))

    def _hangs(self, served: Served, spent: int) -> None:
        key = (served.name, served.version)
        if key in self.repository.hung:
            return
        sentence = f"model '{served.name}' version {served.version} has not answered for {spent / 1e9:.3g} s"
        self.repository.hung[key] = sentence
        log.critical("%s; it is replaced", sentence)
        task = asyncio.get_running_loop().create_task(self._replace(served))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self, served: Served) -> None:
        try:
            how = await self.repository.replace(served)
        except AisleError as error:
            log.error("model '%s' could not be replaced: %s", served.name, error.sentence)
        else:
            log.warning("model '%s': %s", served.name, how)


def ask(batcher: Batcher) -> None:
    """Put a canary at the end of the line; what it answers does not matter, that it answers does (see look)."""
    try:
        job = batcher.submit(batcher.canary, lambda row: None, quiet=True)
    except Busy:
        return
    job.future.add_done_callback(lambda future: future.cancelled() or future.exception())


class Systemd:
    """Tells systemd READY=1 once and WATCHDOG=1 while all is well; does nothing where systemd does not listen."""

    def __init__(self, environment: Any = os.environ) -> None:
        self.address = environment.get("NOTIFY_SOCKET", "")
        self.told_ready = False

    def tell(self, *, ready: bool, alive: bool) -> None:
        """One look's result."""
        if not self.address:
            return
        words = ["WATCHDOG=1"] if alive else []
        if ready and not self.told_ready:
            words.append("READY=1")
        if not words:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to:
            try:
                to.sendto("\n".join(words).encode(), name)
            except OSError as error:
                log.warning("systemd at %s does not take notice: %s", self.address, error.strerror)
                return
        self.told_ready = self.told_ready or ready
