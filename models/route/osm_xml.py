"""Reads OpenStreetMap XML, plain or gzip or bzip2."""

from __future__ import annotations

import bz2
import gzip
import zlib
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import numpy as np

from .osm_data import OsmData, OsmError, Progress, restricts, wanted_node

PIECE = 1 << 20


def read_xml(path: Path, progress: Progress | None = None) -> OsmData:
    """The map in an .osm, .osm.gz or .osm.bz2 file; OsmError if it is damaged or something else.

    Entities are refused: a map needs none, and they can blow a small file up.
    """
    reader = _Reader()
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw:
        file = _unpacked(raw, path.suffix)
        try:
            while piece := file.read(PIECE):
                reader.parser.Parse(piece, False)
                if progress:
                    progress(min(raw.tell() / size, 1.0))
            reader.parser.Parse(b"", True)
            return reader.data()
        except (expat.ExpatError, EOFError, OSError, zlib.error, ValueError, KeyError, OverflowError) as error:
            raise OsmError(f"cannot read {path} as OpenStreetMap XML: {error!r}; the file is damaged or cut off: "
                           "download it again") from error


def _unpacked(raw: IO[bytes], suffix: str) -> Any:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    return bz2.BZ2File(raw) if suffix == ".bz2" else raw


class _Reader:
    """Callbacks of the parser; one element of the top level at a time."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler, self.parser.EndElementHandler = self.start, self.end
        self.parser.EntityDeclHandler = self.entity
        self.ids: list[int] = []
        self.lat: list[float] = []
        self.lon: list[float] = []
        self.out = OsmData(np.empty(0, np.int64), np.empty(0), np.empty(0))
        self.number, self.tags, self.refs, self.members = 0, {}, [], []  # type: ignore[var-annotated]

    def entity(self, *_: object) -> None:
        raise ValueError("it declares entities")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "tag":
            self.tags[attributes["k"]] = attributes["v"]
        elif name == "nd":
            self.refs.append(int(attributes["ref"]))
        elif name == "member":
            self.members.append((attributes["type"], int(attributes["ref"]), attributes.get("role", "")))
        elif name in ("node", "way", "relation"):
            self.number, self.tags, self.refs, self.members = int(attributes["id"]), {}, [], []
            if name == "node" and "lat" in attributes:
                self.ids.append(self.number)
                self.lat.append(float(attributes["lat"]))
                self.lon.append(float(attributes["lon"]))

    def end(self, name: str) -> None:
        if name == "node" and wanted_node(self.tags):
            self.out.node_tags[self.number] = self.tags
        elif name == "way" and "highway" in self.tags:
            self.out.ways.append((self.number, np.array(self.refs, np.int64), self.tags))
        elif name == "relation" and restricts(self.tags):
            self.out.restrictions.append((self.number, self.members, self.tags))

    def data(self) -> OsmData:
        self.out.node_id, self.out.lat, self.out.lon = np.array(self.ids, np.int64), np.array(self.lat), np.array(self.lon)
        return self.out
