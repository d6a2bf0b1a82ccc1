"""The vectors of a catalogue's items by a text encoder: which are still to be made, and where they are kept."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..shop.ranking import Vectors, View
from .encoder import TextEncoder
from .index import Index, State
from .meaning import item_text

log = logging.getLogger("aisle.search")
BATCH = 4                  # texts that are encoded at once: a question waits for one batch at most


class Likeness:
    """Follows a catalogue. `take` and `put` are called by one thread at a time; `view` by any."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.encoder: TextEncoder | None = None
        self.vectors: Vectors | None = None
        self.file: Path | None = None
        self._snapshot: State | None = None
        self._digests: dict[int, str] = {}                  # row -> of the text that its vector stands for
        self._kept: dict[str, np.ndarray] = {}              # digest -> int8 code, from the file
        self._waiting: dict[int, None] = {}
        self._lock = threading.Lock()

    def follow(self, snapshot: State, rows: np.ndarray, told: np.ndarray) -> None:
        """Take up changes, after the index did; see `Catalogue.listen`."""
        with self._lock:
            self._snapshot = snapshot
            self._waiting.update(dict.fromkeys(told.tolist()))

    def use(self, encoder: TextEncoder | None) -> None:
        """Vectors are from now on those of this encoder; of another one all are made anew."""
        with self._lock:
            if encoder is None or (self.encoder is not None and self._key(encoder) == self._key(self.encoder)):
                if encoder is None:
                    self.encoder = None
                return
            self.encoder, self.vectors, self._digests = encoder, None, {}
            self._kept = self._load(encoder)
            if self._snapshot is not None:
                self._waiting = dict.fromkeys(range(len(self._snapshot)))

    @property
    def waiting(self) -> int:
        """How many items have no vector yet, or an old one."""
        return len(self._waiting)

    def take(self) -> tuple[list[int], list[str]]:
        """Some rows whose vectors are to be made, and their texts; those that the file knows are settled at once."""
        rows: list[int] = []
        texts: list[str] = []
        with self._lock:
            snapshot, encoder = self._snapshot, self.encoder
            if snapshot is None or encoder is None:
                return [], []
            while self._waiting and len(rows) < BATCH:
                row = next(iter(self._waiting))
                del self._waiting[row]
                if row >= len(snapshot) or not snapshot.alive[row]:
                    continue
                text = item_text(snapshot.items[row], self.index.facets_at(row), self.index.lexicon, encoder)
                sum_ = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()
                if self._digests.get(row) == sum_:
                    continue
                self._digests[row] = sum_
                if sum_ in self._kept:
                    self._write([row], self._kept[sum_][None].astype(np.float32))
                else:
                    rows.append(row)
                    texts.append(text)
        return rows, texts

    def put(self, encoder: TextEncoder, rows: Sequence[int], found: np.ndarray) -> None:
        """The vectors of rows that were taken, float32 (m, d) of length one; of an encoder gone by now they are dropped."""
        with self._lock:
            if encoder is self.encoder:
                self._write(rows, found)

    def again(self, rows: Sequence[int]) -> None:
        """Rows that were taken and could not be encoded now."""
        with self._lock:
            for row in rows:
                self._digests.pop(row, None)
                self._waiting[row] = None

    def _write(self, rows: Sequence[int], found: np.ndarray) -> None:
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        found = found / np.maximum(lengths, 1e-12)
        if self.vectors is None:
            self.vectors = Vectors(found.shape[1])
        self.vectors.put(np.array(rows, np.int64), found.astype(np.float32))

    def view(self, size: int) -> View | None:
        """The vectors of the first `size` rows; zeros where there is none yet. None before the first."""
        with self._lock:
            if self.vectors is None or self.encoder is None:
                return None
            if self.vectors.size < size:
                self.vectors.put(np.array([size - 1]), np.zeros((1, self.vectors.depth), np.float32))
            return self.vectors.view(size)

    # ---- on the disk

    @staticmethod
    def _key(encoder: TextEncoder) -> str:
        return f"{encoder.name}/{encoder.version}/{encoder.sum}"

    def _load(self, encoder: TextEncoder) -> dict[str, np.ndarray]:
        if self.file is None or not self.file.is_file():
            return {}
        try:
            with np.load(self.file, allow_pickle=False) as kept:
                if str(kept["key"]) != self._key(encoder):
                    return {}
                return dict(zip(kept["sums"].tolist(), kept["codes"], strict=True))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            log.warning("the vectors kept in %s cannot be read and are made again: %s", self.file, error)
            return {}

    def save(self) -> None:
        """Keep all vectors of now as int8 in the file, whole or not at all."""
        with self._lock:
            if self.file is None or self.vectors is None or self.encoder is None:
                return
            rows = np.array(sorted(self._digests), np.int64)
            told: dict[str, Any] = {"key": np.array(self._key(self.encoder)), "codes": self.vectors.codes[rows],
                                    "sums": np.array([self._digests[row] for row in rows.tolist()])}
            file = self.file
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        with part.open("wb") as out:
            np.savez(out, **told)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
