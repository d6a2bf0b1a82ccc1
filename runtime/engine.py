"""All that a workload may call: a model by its role, and CPU work on a bounded pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .batcher import Batcher, Fill, Read
from .errors import Busy, Failed

T = TypeVar("T")


class Pool:
    """A few threads for CPU work without a model (decoding, features, routes); refuses beyond its bound."""

    def __init__(self, threads: int, max_waiting: int = 64) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="aisle-pool")
        self.limit = threads + max_waiting
        self.active = 0

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        """fn(*args) on a pool thread. Busy when threads + max_waiting calls are already under way."""
        if self.active >= self.limit:
            raise Busy(f"{self.active} pieces of work already wait for a processor and the limit is {self.limit}")
        self.active += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, fn, *args)
        future.add_done_callback(self._ended)   # counts the work itself, not a caller that went away
        return await future

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self.active -= 1

    def close(self) -> None:
        """Drop what waits and let running work end."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class Engine:
    """What one loaded bundle offers to its workload: its asset, its models by role, and the pool."""

    def __init__(self, asset: Any, batchers: Mapping[str, Batcher], pool: Pool) -> None:
        self.asset = asset
        self._batchers = batchers
        self._pool = pool

    async def infer(self, role: str, fill: Fill, read: Read, *, timeout_us: int = 0, priority: int = 0) -> Any:
        """Run one row of the model bound to `role`; `fill` and `read` get views of that row."""
        if role not in self._batchers:
            raise Failed(f"no model is bound to the role {role!r}; this bundle has {sorted(self._batchers) or 'none'}")
        return await self._batchers[role].call(fill, read, timeout_us=timeout_us, priority=priority)

    async def offload(self, fn: Callable[..., T], *args: Any) -> T:
        """fn(*args) on the bounded pool, off the event loop."""
        return await self._pool.run(fn, *args)
