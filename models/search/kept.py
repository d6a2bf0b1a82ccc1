"""The index of a catalogue on the disk, so that a restart does not read every text again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .postings import Forward

log = logging.getLogger("aisle.search")


@dataclass(frozen=True)
class Kept:
    """What the texts of a catalogue's file gave: `terms` by number, `learnt` (facet, phrase), `words` with their counts."""

    forward: Forward
    terms: Sequence[str]
    learnt: Sequence[tuple[str, str]]
    words: Sequence[str]
    counts: np.ndarray


@cache
def code() -> bytes:
    """A digest of what reads texts: a file made by any other is made anew."""
    made = hashlib.sha256(unicodedata.unidata_version.encode())
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.suffix in (".py", ".toml"):
            made.update(path.name.encode() + path.read_bytes())
    return made.digest()


def key_of(catalogue: str, lexicons: Sequence[Path]) -> str:
    """What the index depends on, as one text; `catalogue` stands for its file."""
    made = hashlib.sha256(code() + catalogue.encode())
    for path in lexicons:
        made.update(path.read_bytes())
    return made.hexdigest()


def load(path: Path, key: str) -> Kept | None:
    """What is kept under that key; None where there is nothing, something else, or something damaged, which is said."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:          # checks the CRC of each array
            if str(file["key"]) != key:
                return None
            forward = Forward(file["rows"], file["starts"], file["terms"], file["weights"])
            told = json.loads(file["texts"].tobytes())
            counts = file["counts"]
        return Kept(forward, told["terms"], [(facet, phrase) for facet, phrase in told["learnt"]], told["words"], counts)
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:   # zipfile raises all of these
        log.warning("the index kept in %s cannot be read and is made again: %s", path, error)
        return None


def save(path: Path, key: str, kept: Kept) -> None:
    """Keep it, whole or not at all. OSError as the disk says it."""
    texts = json.dumps({"terms": kept.terms, "learnt": kept.learnt, "words": kept.words}).encode()     # escapes lone surrogates
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as out:
            np.savez(out, key=np.array(key), rows=kept.forward.rows, starts=kept.forward.starts, terms=kept.forward.terms,
                     weights=kept.forward.weights, texts=np.frombuffer(texts, np.uint8), counts=kept.counts)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
