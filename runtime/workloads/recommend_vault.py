"""What visitors did, kept on this machine beyond their visit: encrypted, one file a visitor, with retention."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from ...models.bundle import BundleError
from ..errors import Failed
from .recommend_asks import Event
from .recommend_visits import KEPT

NONCE = 12
DAY_S, SWEEP_S = 86_400, 3600
SUFFIX = ".visit"


class Vault:
    """Files below `folder`, each named by a keyed hash of its visitor and encrypted with AES-256-GCM; the key lies beside the
    folder as NAME.key, 0600, made at first use. Blocking: call it off the event loop. One process at a time."""

    where = "disk"

    def __init__(self, folder: Path, most: int, retention_days: float) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise BundleError("this station keeps visitors' histories on the disk (params.privacy.history is \"disk\"), for "
                              "which cryptography must be installed: pip install 'aisle[privacy]', or say \"memory\"") from None
        self.folder, self.most, self.retention_s = folder, most, retention_days * DAY_S
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = read_key(folder.with_suffix(".key"))
        self._cipher: Any = AESGCM(key)
        self._names = hashlib.blake2b(b"names", key=key, digest_size=32).digest()
        self._count = sum(1 for _ in folder.glob(f"*{SUFFIX}"))
        self._swept = time.monotonic()
        self._lock = Lock()

    def __len__(self) -> int:
        return self._count

    def read(self, visitor: str) -> tuple[Event, ...]:
        """The events kept and not yet too old, oldest first. Failed where the file was tampered with."""
        path = self._path(visitor)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return ()
        from cryptography.exceptions import InvalidTag
        try:
            rows = orjson.loads(self._cipher.decrypt(data[:NONCE], data[NONCE:], path.name.encode()))
        except (InvalidTag, ValueError):
            raise Failed("what is kept of this visitor cannot be decrypted: the file or the key was changed; erase the visitor "
                         "to begin anew") from None
        oldest = time.time() - self.retention_s
        return tuple(Event(item, kind, at) for kind, item, at in rows if at >= oldest)

    def add(self, visitor: str, events: Sequence[Event]) -> None:
        """Keep more events, with the time of the wall clock, which only retention reads. OSError as the disk says it."""
        with self._lock:
            if time.monotonic() - self._swept > SWEEP_S:
                self.sweep()
            self._write(visitor, events)

    def _write(self, visitor: str, events: Sequence[Event]) -> None:
        now = time.time()
        kept = [*self.read(visitor), *(event._replace(time=now) for event in events)][-KEPT:]
        path = self._path(visitor)
        fresh = not path.exists()
        if fresh and self._count >= self.most:
            self.sweep()
            if self._count >= self.most:
                self._remove(min(self.folder.glob(f"*{SUFFIX}"), key=lambda one: one.stat().st_mtime))
        nonce = os.urandom(NONCE)
        text = orjson.dumps([(event.kind, event.item, event.time) for event in kept])
        part = path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(nonce + self._cipher.encrypt(nonce, text, path.name.encode()))
        part.replace(path)
        self._count += fresh

    def erase(self, visitor: str) -> tuple[Event, ...]:
        """Delete what is kept; what it was, as far as it could be read."""
        with self._lock:
            try:
                found = self.read(visitor)
            except Failed:
                found = ()
            path = self._path(visitor)
            if path.exists():
                self._remove(path)
            return found

    def sweep(self) -> None:
        """Delete what was not touched for as long as anything may be kept."""
        self._swept = time.monotonic()
        oldest = time.time() - self.retention_s
        for path in self.folder.glob(f"*{SUFFIX}"):
            if path.stat().st_mtime < oldest:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._count -= 1

    def _path(self, visitor: str) -> Path:
        return self.folder / (hmac.new(self._names, visitor.encode(), hashlib.sha256).hexdigest()[:40] + SUFFIX)


def read_key(path: Path) -> bytes:
    """The key of a file that only its owner can read; made where there is none. BundleError where others can read it."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        pass
    if path.stat().st_mode & 0o077:
        raise BundleError(f"{path} can be read by others (mode {path.stat().st_mode & 0o777:o}); expected 600: chmod 600 it")
    key = path.read_bytes()
    if len(key) != 32:
        raise BundleError(f"{path} is no key: expected 32 bytes, got {len(key)}; restore it, or remove it with its visits")
    return key
