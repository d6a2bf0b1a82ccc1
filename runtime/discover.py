"""Finds the models of a folder: Aisle bundles and Triton layouts, their versions, and whether anything changed."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..models.bundle import Bundle, BundleError
from ..models.bundle_file import FILE_NAME, NAME, VERSION, read_bundle
from .triton_config import TritonConfig, VersionPolicy, read_config, read_labels

MAX_MODELS = 1000
MAX_VERSIONS = 200
MAX_FILES = 10_000        # of one model, for its stamp
MAX_DEPTH = 4
CONFIG_NAME = "config.pbtxt"


@dataclass(frozen=True)
class ModelOnDisk:
    """One name in the folder. `versions` maps a version to the folder of its bundle or model file.

    `error` is a sentence where nothing of it can be served; `config` is what config.pbtxt says, None without one.
    """

    name: str
    folder: Path
    versions: Mapping[str, Path] = field(default_factory=dict)
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    config: TritonConfig | None = None
    error: str | None = None


def discover(root: Path) -> dict[str, ModelOnDisk]:
    """Every model in the folder `root`, by name; no model file is opened.

    Looks for NAME/bundle.toml, NAME/VERSION/bundle.toml and NAME/VERSION/model.onnx (with NAME/config.pbtxt).
    Folders that are empty or start with a dot are nothing. BundleError where `root` itself cannot be read.
    """
    try:
        folders = sorted(entry.name for entry in os.scandir(root) if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        raise BundleError(f"cannot read the model folder {root}: {error.strerror}; name one that exists") from error
    found = {}
    for name in folders[:MAX_MODELS]:
        model = _look(name, root / name)
        if model is not None:
            found[name] = model
    for name in folders[MAX_MODELS:MAX_MODELS + 1]:
        found[name] = ModelOnDisk(name, root / name, error=f"{root} holds {len(folders)} folders, the limit is "
                                                           f"{MAX_MODELS} models: this and later ones are not served")
    return found


def chosen(model: ModelOnDisk) -> list[str]:
    """The versions that its policy wants served, oldest first; by default the newest alone."""
    versions = sorted(model.versions, key=int)
    if model.policy.specific:
        return [v for v in versions if v in model.policy.specific]
    return versions[-model.policy.latest:] if model.policy.latest else versions


def read(model: ModelOnDisk, version: str) -> Bundle:
    """The bundle of one version, as far as its texts say it. BundleError with a sentence."""
    if model.error:
        raise BundleError(model.error)
    if version not in model.versions:
        raise BundleError(f"model {model.name!r} has no version {version}; it has {', '.join(model.versions)}")
    folder = model.versions[version]
    if (folder / FILE_NAME).is_file():
        bundle = read_bundle(folder)
        if (bundle.name, bundle.version) != (model.name, version):
            raise BundleError(f"{folder / FILE_NAME} says name {bundle.name!r} version {bundle.version!r}, its place "
                              f"says {model.name!r} version {version!r}; make them agree")
        return bundle
    return _triton(model, version, folder)


def stamp(model: ModelOnDisk) -> Hashable:
    """Path, size, time of change and inode of every file of the model: differs when anything was replaced."""
    found: list[tuple[str, int, int, int]] = []
    for entry in _files(model.folder, 0):
        if len(found) >= MAX_FILES:
            break
        try:
            status = entry.stat()
        except OSError:       # gone between listing and looking, or a link to nowhere: itself a change
            found.append((entry.path, -1, 0, 0))
            continue
        found.append((entry.path, status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(sorted(found))


def _look(name: str, folder: Path) -> ModelOnDisk | None:
    """What the folder holds; None where it holds nothing at all."""
    try:
        entries = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError as error:
        return ModelOnDisk(name, folder, error=f"cannot read {folder}: {error.strerror}")
    if not entries:
        return None
    if not NAME.fullmatch(name):
        return ModelOnDisk(name, folder, error=f"model folder {name!r}: a name is 1 to 128 of A-Z a-z 0-9 _ . - "
                                               "without a dot in front; rename the folder")
    try:
        return _model(name, folder, entries)
    except BundleError as error:
        return ModelOnDisk(name, folder, error=str(error))


def _model(name: str, folder: Path, entries: list[str]) -> ModelOnDisk:
    config = read_config(folder / CONFIG_NAME) if CONFIG_NAME in entries else None
    if config and config.name not in ("", name):
        raise BundleError(f"{folder / CONFIG_NAME} says name {config.name!r}, its folder is {name!r}; make them agree")
    file_name = config.file_name if config else "model.onnx"
    versions = {}
    for entry in entries:
        place = folder / entry
        if VERSION.fullmatch(entry) and ((place / FILE_NAME).is_file() or (place / file_name).exists()):
            versions[entry] = place
    if FILE_NAME in entries:
        version = read_bundle(folder).version
        if version in versions:
            raise BundleError(f"model {name!r} has version {version} twice: {folder} and {versions[version]}; "
                              "remove one")
        versions[version] = folder
    if not versions:
        raise BundleError(f"{folder} holds no model; expected {FILE_NAME}, VERSION/{FILE_NAME} or VERSION/{file_name} "
                          "with a number as VERSION")
    if len(versions) > MAX_VERSIONS:
        raise BundleError(f"model {name!r} has {len(versions)} versions; the limit is {MAX_VERSIONS}: remove old ones")
    policy = config.versions if config else VersionPolicy()
    absent = [v for v in policy.specific if v not in versions]
    if absent:
        raise BundleError(f"{folder / CONFIG_NAME} asks for version {absent[0]} of {name!r}; there are "
                          f"{', '.join(sorted(versions, key=int))}")
    return ModelOnDisk(name, folder, versions, policy, config)


def _triton(model: ModelOnDisk, version: str, folder: Path) -> Bundle:
    """A bundle of the Triton layout; what config.pbtxt leaves open the backend reads from the file."""
    config = model.config or TritonConfig()
    outputs = tuple(
        replace(spec, labels=read_labels(model.folder, config.label_files[spec.name]))
        if spec.name in config.label_files else spec for spec in config.outputs)
    extra: dict[str, Any] = dict(config.config)
    return Bundle(name=model.name, version=version, role="model", root=folder, inputs=config.inputs, outputs=outputs,
                  files={("onnx", "fp32"): config.file_name}, max_batch=config.max_batch, queue=config.queue,
                  config=extra)


def _files(folder: Path | str, depth: int) -> Iterator[os.DirEntry[str]]:
    """Files below the folder; names with a dot in front are somebody's temporary ones."""
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError:           # removed while being looked at: the next look sees it gone
        return
    for entry in entries:
        if entry.is_dir():
            if depth < MAX_DEPTH:
                yield from _files(entry.path, depth + 1)
        else:
            yield entry
