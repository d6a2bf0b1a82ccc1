"""Pictures of a data set as they were handed over: inside .zip and .tar archives, read in memory, or as loose files."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np


def members(folder: Path, wanted: Callable[[str], bool], archives: str = "*") -> dict[str, bytes]:
    """The bytes of every file below `folder`, archives included, whose name is wanted, by name.

    A name is the path inside the archive, or below `folder` for loose files. Nothing is unpacked to the disk. Only
    archives whose name matches `archives` are opened.
    """
    found: dict[str, bytes] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if (path.suffix == ".zip" or ".tar" in path.suffixes) and not path.match(archives):
            continue
        if path.suffix == ".zip":
            found.update(_zipped(path, wanted))
        elif ".tar" in path.suffixes:
            found.update(_tarred(path, wanted))
        elif wanted(name := path.relative_to(folder).as_posix()):
            found[name] = path.read_bytes()
    return dict(sorted(found.items()))


def _zipped(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if wanted(name):
                yield name, archive.read(name)


def _tarred(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and wanted(member.name):
                file = archive.extractfile(member)
                assert file is not None, "tarfile gave no reader for a regular file"
                yield member.name, file.read()


def picture(data: bytes, name: str) -> np.ndarray:
    """uint8 BGR (h, w, 3). ValueError names the file that cannot be decoded."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{name} of the data set cannot be decoded; fetch the set again")
    return image


def same_size(pictures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All pictures cut around their middle to the smallest height and width among them."""
    height = min((p.shape[0] for p in pictures.values()), default=0)
    width = min((p.shape[1] for p in pictures.values()), default=0)
    return {name: cut(p, height, width) for name, p in pictures.items()}


def cut(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle height x width px of a picture or mask."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top:top + height, left:left + width]
