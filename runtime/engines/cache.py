"""Built engines on disk: found by what they are, bounded in bytes, shared by all processes of this machine.

`DIGEST.engine` is one that answered as it should, `DIGEST.candidate` one that has not yet. Whoever uses an engine holds a
shared lock on its file, so that no other process removes it; whoever builds holds `build.lock`. The kernel drops both
with the process, however that ends. `index.json` holds what an eviction and a retry want to know; losing it loses no engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .key import EngineKey, changes
from .store import HEADER, Damaged, check_engine, read_header

log = logging.getLogger("aisle.engines")
MAX_FAILURES, MAX_REASON = 64, 2000
INDEX_BYTES = 1 << 20


class NoRoom(OSError):
    """The engine does not fit; the text is a sentence."""


@dataclass(frozen=True)
class Failure:
    """Why there is no engine of a key: how often it was tried, and whether trying again can help."""

    reason: str
    tries: int = 1
    lasting: bool = False


class Held:
    """An engine in use: nobody evicts it until everyone who retained it has released it."""

    def __init__(self, file: BinaryIO, header: dict[str, Any], path: Path) -> None:
        self._file = file
        self._users = 1
        self._mutex = threading.Lock()
        self.header = header
        self.path = path

    @property
    def size(self) -> int:
        """Bytes of the engine without its header."""
        return int(self.header["length"])

    @contextmanager
    def bytes(self) -> Iterator[memoryview]:
        """The engine as the library wrote it, mapped from disk, for as long as this lasts."""
        assert self._users, "the engine was released"
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as whole, \
                whole[HEADER:] as engine:
            yield engine

    def retain(self) -> Held:
        """One more user; each releases once."""
        with self._mutex:
            self._users += 1
        return self

    def release(self) -> None:
        """One user less; after the last it may be evicted."""
        with self._mutex:
            self._users -= 1
            if self._users == 0:
                self._file.close()


class EngineCache:
    """The engines below `folder`, which together take at most `max_bytes`. OSError where the folder cannot be used."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    # ---- finding

    def path(self, key: EngineKey) -> Path:
        """Where the engine lies, or would."""
        return self.folder / f"{key.digest}.engine"

    def candidate(self, key: EngineKey) -> Path:
        """Where a builder puts one that has not been checked."""
        return self.folder / f"{key.digest}.candidate"

    def get(self, key: EngineKey, candidate: bool = False) -> Held | None:
        """The engine, whole and the right one, in use from now on; None where there is none.

        One that is truncated, damaged or somebody else's is removed and said: it will be built again.
        """
        path = self.candidate(key) if candidate else self.path(key)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file.fileno()).st_nlink == 0:      # evicted between opening and locking
                file.close()
                return None
            held = Held(file, check_engine(file, str(path), key.table()), path)
        except Damaged as error:
            file.close()
            log.warning("%s; it is removed and built again", error)
            path.unlink(missing_ok=True)
            return None
        except BaseException:
            file.close()
            raise
        if not candidate:
            with self._index() as index:
                index["clock"] += 1
                index["used"][key.digest] = index["clock"]
        return held

    def why_not(self, key: EngineKey) -> str:
        """Why there is no engine of this key: what changed since the model's last good one."""
        with self._index(write=False) as index:
            digest = index["good"].get(key.name)
        try:
            with (self.folder / f"{digest}.engine").open("rb") as file:
                before = read_header(file, "it")["key"]
        except (OSError, Damaged):
            return "there is none yet"
        return changes(before, key.table()) or "the last one was damaged"

    # ---- changing

    def accept(self, key: EngineKey) -> None:
        """The engine, or the candidate, is the last good one of its model; what it replaces stays while there is room."""
        with contextlib.suppress(FileNotFoundError):      # it was an engine before
            os.replace(self.candidate(key), self.path(key))
            _sync(self.folder)
        with self._index() as index:
            index["clock"] += 1
            index["used"][key.digest] = index["clock"]
            index["good"][key.name] = key.digest
            index["failed"].pop(key.digest, None)
        with contextlib.suppress(NoRoom):     # what is in use may be more than a limit that was lowered
            self.make_room(0)

    def reject(self, key: EngineKey) -> None:
        """Remove the engine and the candidate: they do not work."""
        self.candidate(key).unlink(missing_ok=True)
        self.path(key).unlink(missing_ok=True)

    def make_room(self, size: int) -> None:
        """Evict until `size` more bytes fit: the least recently used first, last good ones after the rest, none in use.

        NoRoom with a sentence where that is not enough; nothing is evicted then.
        """
        with self._index() as index:
            good = set(index["good"].values())
            used = index["used"]
            sizes = self.sizes()
            order = sorted(sizes, key=lambda d: (d in good, used.get(d, 0)))
            excess = sum(sizes.values()) + size - self.max_bytes
            freed, doomed = 0, []
            with contextlib.ExitStack() as locks:
                for digest in order:
                    if freed >= excess:
                        break
                    if self._unused(digest, locks):
                        freed += sizes[digest]
                        doomed.append(digest)
                if freed < excess:
                    raise NoRoom(f"an engine of {size >> 20} MiB does not fit into {self.folder}: it may hold "
                                 f"{self.max_bytes >> 20} MiB and {(sum(sizes.values()) - freed) >> 20} MiB are in use; "
                                 "raise engines.max_mb or serve fewer models")
                for digest in doomed:
                    log.info("engine %s... is evicted: the cache may hold %d MiB", digest[:12], self.max_bytes >> 20)
                    (self.folder / f"{digest}.engine").unlink(missing_ok=True)
                    used.pop(digest, None)
            index["good"] = {name: d for name, d in index["good"].items() if d not in doomed}

    def sizes(self) -> dict[str, int]:
        """Bytes of every engine by its digest."""
        found = {}
        for path in self.folder.glob("*.engine"):
            with contextlib.suppress(FileNotFoundError):
                found[path.stem] = path.stat().st_size
        return found

    def sweep(self) -> None:
        """Remove what builders left that were killed; for who holds the build lock: then no builder is at work."""
        for pattern in ("*.candidate", "*.part"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    @contextmanager
    def build_lock(self) -> Iterator[bool]:
        """True for the one process, and the one thread in it, that may build now; False where another does."""
        with (self.folder / "build.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    # ---- failures

    def failure(self, key: EngineKey) -> Failure | None:
        """What is known against building this key."""
        with self._index(write=False) as index:
            known = index["failed"].get(key.digest)
        return Failure(**known) if known else None

    def fail(self, key: EngineKey, reason: str, lasting: bool = False, tries: int = 1) -> Failure:
        """Remember that there is no engine of this key, and why; `tries` is added to those before."""
        with self._index() as index:
            tries += index["failed"].pop(key.digest, {"tries": 0})["tries"]
            made = Failure(reason[:MAX_REASON], tries, lasting)
            index["failed"][key.digest] = asdict(made)
            index["failed"] = dict(list(index["failed"].items())[-MAX_FAILURES:])
        return made

    def forgive(self, key: EngineKey) -> None:
        """Forget why it failed: it may be tried anew."""
        with self._index() as index:
            index["failed"].pop(key.digest, None)

    # ---- within

    def _unused(self, digest: str, locks: contextlib.ExitStack) -> bool:
        """True where nobody uses the engine; it is locked against new users until `locks` closes."""
        try:
            file = locks.enter_context((self.folder / f"{digest}.engine").open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):
            return False
        return True

    @contextmanager
    def _index(self, write: bool = True) -> Iterator[dict[str, Any]]:
        """The index, alone: read, changed, written. One that cannot be read is empty; one that cannot be written is said."""
        with (self.folder / "index.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            index = _sound(self.folder / "index.json")
            yield index
            if not write:
                return
            present = self.sizes()
            index["used"] = {d: n for d, n in index["used"].items() if d in present}
            index["good"] = {name: d for name, d in index["good"].items() if d in present}
            part = self.folder / "index.json.part"
            try:
                part.write_text(json.dumps(index))
                part.replace(self.folder / "index.json")
            except OSError as error:
                log.warning("cannot write %s (%s); the order of use is forgotten", part, error.strerror)


def _sound(path: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"clock": 0, "used": {}, "good": {}, "failed": {}}
    try:
        with path.open("rb") as file:
            index = json.loads(file.read(INDEX_BYTES))
        for digest, one in index["failed"].items():
            Failure(**one)
            int(digest, 16)
        well = (isinstance(index["clock"], int) and all(isinstance(n, int) for n in index["used"].values())
                and all(isinstance(d, str) for d in index["good"].values()))
    except FileNotFoundError:
        return empty
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s cannot be used (%s); the order of use starts anew", path, error)
        return empty
    return {name: index[name] for name in empty} if well else empty


def _sync(folder: Path) -> None:
    """The renaming itself down to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
