"""Writes the changes of a catalogue on a thread of its own, so that no query waits for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ...models.shop.catalogue import Catalogue, Change
from ...models.shop.item import ShopError
from ...models.shop.snapshot import Snapshot
from ..errors import Busy, Failed, Invalid

MAX_WAITING = 100


class Writer:
    """Used on the event loop only."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aisle-catalogue")
        self._waiting = 0

    async def update(self, changes: Sequence[Change]) -> Snapshot:
        """Make all changes or none; when this returns they are on the disk and every query sees them.

        Invalid for a change that cannot be made, Busy where too many wait, Failed where the disk fails.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} updates of the catalogue already wait for the disk; send several changes in one update")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self.catalogue.update, changes)
        except ShopError as error:
            raise Invalid(str(error)) from None
        except OSError as error:
            raise Failed(f"the catalogue was not changed, because the change could not be kept: {error.strerror}; free some "
                         "space on the disk of the server and send it again") from None
        finally:
            self._waiting -= 1
