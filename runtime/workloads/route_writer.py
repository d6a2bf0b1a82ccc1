"""Writes the changes of a map on a thread of its own: what waits is written together, and no query waits for the disk."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from ..errors import AisleError, Busy
from .route_asks import AskUpdate, FoundChanges
from .route_live import LiveMap, Outcome

MAX_WAITING = 1000
MAX_GROUP = 64           # updates with one flush of the disk


class Writer:
    """Used on the event loop only."""

    def __init__(self, live: LiveMap) -> None:
        self.live = live
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aisle-journal")
        self._waiting: deque[tuple[AskUpdate, asyncio.Future[Outcome]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def update(self, ask: AskUpdate, threads: int = 1) -> FoundChanges:
        """Make an update; when this returns it is on the disk and every query sees it. The errors of `LiveMap.update`.

        Where it changes a large part of the map, so many threads share the work.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} updates already wait for the disk, which is slower than they come")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((ask, future))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._write(threads))
        outcome = await future
        if isinstance(outcome, AisleError):
            raise outcome
        return FoundChanges(outcome[0], (), outcome[1])

    async def _write(self, threads: int) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
            updates = [(ask.changes, ask.drop) for ask, _ in group]
            try:
                outcomes = await loop.run_in_executor(self._thread, self.live.update_all, updates, threads)
            except BaseException as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                raise
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if not future.done():        # its caller may have gone
                    future.set_result(outcome)
