"""All that a workload may call: a model by its role, and CPU work on a bounded pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .answered import note
from .backends import Session
from .batcher import Batcher, Fill, Read
from .deadline import left_us
from .errors import Failed, NotFound
from .ladder import Ladder
from .pool import Pool

T = TypeVar("T")


class Engine:
    """What one loaded bundle offers to its workload: its asset, its models by role, the pool, and the other stations."""

    def __init__(self, asset: Any, batchers: Mapping[str, Batcher | Ladder], pool: Pool,
                 stations: Callable[[str, str], Engine] | None = None, updates: bool = True) -> None:
        self.asset = asset
        self.updates = updates       # whether clients may change what the job knows
        self._batchers = batchers
        self._static = {role for role, batcher in batchers.items() if isinstance(batcher.session, Session)}
        self._pool = pool
        self._stations = stations

    def station(self, job: str, name: str = "") -> Engine:
        """The engine of another station of this server, as it serves now; without a name the only one of that job.

        NotFound where there is none, or where several could be meant.
        """
        if self._stations is None:
            raise NotFound(f"there is no station for {job} here; this engine stands alone")
        return self._stations(job, name)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that have a model."""
        return tuple(self._batchers)

    @property
    def threads(self) -> int:
        """How many threads the device gives to CPU work."""
        return self._pool.threads

    async def infer(self, role: str, fill: Fill, read: Read, *, timeout_us: int = 0, priority: int = 0,
                    at_once_us: int = 0) -> Any:
        """Run one row of the model bound to `role`; `fill` and `read` get views of that row.

        Without a `timeout_us` the deadline of the request counts. A model that is cheap and idle runs at once, here; with
        `at_once_us` also one that takes no longer than that, for a job whose own part holds up the event loop for more.
        """
        if role not in self._batchers:
            raise Failed(f"no model is bound to the role {role!r}; this bundle has {sorted(self._batchers) or 'none'}")
        batcher, due = self._batchers[role], timeout_us or left_us()
        if role in self._static and not due and not priority and (
                batcher.ready_now or (at_once_us and batcher.ready_within(at_once_us))):
            note(batcher.way)
            return batcher.run_now(fill, read)[0]
        return await batcher.call(fill, read, timeout_us=due, priority=priority)

    async def offload(self, fn: Callable[..., T], *args: Any) -> T:
        """fn(*args) on the bounded pool, off the event loop."""
        return await self._pool.run(fn, *args)
