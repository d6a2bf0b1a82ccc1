"""Puts a finished bundle where the server looks, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..bundle import Bundle, BundleError, digest
from ..bundle_file import write_bundle_toml


def publish(bundle: Bundle, write: Callable[[Path], tuple[str, ...]], out_dir: Path) -> Bundle:
    """Fill out_dir/NAME/VERSION with what `write(folder)` writes and a bundle.toml; return the bundle as it lies there.

    The files are written to a hidden folder beside it, flushed to the disk, and renamed in one step; after any error
    nothing is left. BundleError if that version exists already; OSError (such as a full disk) as the system says it.
    """
    target = out_dir / bundle.name / bundle.version
    if target.exists():
        raise BundleError(f"version {bundle.version} of {bundle.name!r} exists already ({target}); choose the next number")
    made = _made(target.parent)
    part = Path(tempfile.mkdtemp(prefix=f".{bundle.version}-", suffix=".part", dir=target.parent))
    try:
        names = write(part)
        whole = replace(bundle, root=part, sha256={name: digest(part / name) for name in sorted(names)})
        write_bundle_toml(whole, part)
        for path in (*part.iterdir(), part):
            _flush(path)
        part.chmod(0o755)     # mkdtemp gives 0700: the server may run as another user
        part.rename(target)
        _flush(target.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        for folder in made:
            _drop_empty(folder)
        raise
    return replace(whole, root=target)


def _made(folder: Path) -> list[Path]:
    """Make `folder`; return the folders that did not exist before, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _drop_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
