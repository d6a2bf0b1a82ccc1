"""What a shop keeps of its visitors, where and how long: the settings of its bundle, and the store they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from ...models.bundle import BundleError
from ..errors import Failed, Unsupported
from .recommend_asks import Event
from .recommend_vault import Vault
from .recommend_visits import Visits

MEMORY, DISK, NOTHING = "memory", "disk", "nothing"
Offload = Callable[..., Any]
# Of each shop for as long as one of its versions is open.
VISITS: WeakValueDictionary[str, Visits] = WeakValueDictionary()


@dataclass
class Privacy:
    """`history`: memory, disk or nothing. `idle_s`: a visit in memory ends after so long without an event. `visits`: at most
    so many are kept. `retention_days`: of events on the disk. `learn`: count what is looked at together, without by whom.
    """

    history: str = MEMORY
    idle_s: float = 900.0
    visits: int = 10_000
    retention_days: float = 30.0
    learn: bool = True

    @classmethod
    def of(cls, params: Any) -> Privacy:
        """The settings of a bundle's `params.privacy`. BundleError names what is wrong."""
        if not isinstance(params, Mapping):
            raise BundleError(f"params.privacy: expected a table, got {params!r}")
        known = {f.name: type(f.default) for f in fields(cls)}
        for name, value in params.items():
            if name not in known:
                raise BundleError(f"params.privacy.{name} is unknown; expected {', '.join(known)}")
            if (known[name] is not bool and isinstance(value, bool)) or not isinstance(value, (int, known[name])):
                raise BundleError(f"params.privacy.{name}: expected {known[name].__name__}, got {value!r}")
        made = cls(**params)
        if made.history not in (MEMORY, DISK, NOTHING):
            raise BundleError(f"params.privacy.history: expected {MEMORY}, {DISK} or {NOTHING}, got {made.history!r}")
        if not (1 <= made.idle_s <= 86_400 and 1 <= made.visits <= 1_000_000 and 0 < made.retention_days <= 3660):
            raise BundleError("params.privacy: expected idle_s from 1 to 86400, visits from 1 to 1000000, retention_days up to "
                              f"3660, got {made.idle_s:g}, {made.visits}, {made.retention_days:g}")
        return made

    def __post_init__(self) -> None:
        self.memory = Visits(self.visits, self.idle_s) if self.history == MEMORY else None
        self.disk: Vault | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    def keep_in(self, folder: Path) -> None:
        """Open the store on the disk where one is asked for; go on with the visits in memory of the version before."""
        if self.memory is not None:
            self.memory = VISITS.setdefault(str(folder), self.memory)
            # Any thread may load a shop, so that visits beyond these bounds end on the event loop, with the next event.
            self.memory.most, self.memory.idle_s = self.visits, self.idle_s
        if self.history == DISK:
            self.disk = Vault(folder, self.visits, self.retention_days)
            self.disk.sweep()

    def about(self) -> dict[str, Any]:
        """The settings, and how many visits are kept."""
        store = self.memory if self.memory is not None else self.disk
        return {"privacy": {f.name: getattr(self, f.name) for f in fields(self)} | {"kept": 0 if store is None else len(store)}}

    async def read(self, visitor: str | None, offload: Offload) -> tuple[Event, ...]:
        """What is kept of a visitor, oldest first."""
        if visitor is None:
            return ()
        if self.memory is not None:
            return self.memory.read(visitor)
        found: tuple[Event, ...] = await offload(self.disk.read, visitor) if self.disk is not None else ()
        return found

    async def add(self, visitor: str, events: Sequence[Event], offload: Offload) -> None:
        """Keep more of a visitor, as the settings say. Failed where the disk fails."""
        if self.memory is not None:
            self.memory.add(visitor, events)
            self._sweep_later()
        elif self.disk is not None:
            try:
                await offload(self.disk.add, visitor, events)
            except OSError as error:
                raise Failed(f"the visit could not be kept: {error.strerror}; send the events without `visitor`") from None

    async def visitor(self, do: str, visitor: str, offload: Offload) -> tuple[tuple[Event, ...], str]:
        """Export or erase: the events, and where they are (were)."""
        if self.memory is not None:
            return getattr(self.memory, "read" if do == "export" else "erase")(visitor), MEMORY
        if self.disk is None:
            raise Unsupported("this shop keeps nothing of its visitors (params.privacy.history is \"nothing\")")
        return await offload(getattr(self.disk, "read" if do == "export" else "erase"), visitor), DISK

    def _sweep_later(self) -> None:
        """Visits end on time also when nobody asks any more."""
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(min(self.idle_s, 60.0), self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        if self.memory is not None and self.memory.sweep() is not None:
            self._sweep_later()
