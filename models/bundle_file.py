"""Reads and writes `bundle.toml`, the file that says what a bundle is; every mistake is reported at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path, PurePosixPath
from typing import Any

from .bundle import DTYPES, Bundle, BundleError, QueuePolicy, TensorSpec, Variant
from .toml_text import toml_text

FILE_NAME = "bundle.toml"
MAX_TOML_BYTES = 1 << 20
MAX_RANK = 32
MAX_DIM = 2**40
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
VERSION = re.compile(r"0|[1-9][0-9]{0,17}")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_NAME_RULE = "1 to 128 of A-Z a-z 0-9 _ . - that do not start with a dot"
_PATH_RULE = "a relative path with / inside the bundle, without . or .. or a backslash"


def read_bundle(folder: Path) -> Bundle:
    """The bundle whose `bundle.toml` lies in `folder`; its model files are neither opened nor checked.

    BundleError lists every mistake of the file, each with its place, what was expected and what was found.
    """
    path = folder / FILE_NAME
    table = _load(path)
    mistakes: list[str] = []
    values = _take(table, _TOP, "", mistakes)
    if mistakes:
        listed = "\n  ".join(mistakes[:50])
        raise BundleError(f"{path} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}; correct "
                          f"{'them' if len(mistakes) > 1 else 'it'} and load again:\n  {listed}")
    return Bundle(root=folder, **values)


def write_bundle_toml(bundle: Bundle, folder: Path) -> Path:
    """Write `bundle.toml` for `bundle` into `folder`, whole or not at all, and return its path.

    The text is read back before it replaces anything: what `read_bundle` would refuse is a BundleError here.
    `bundle.root` and `bundle.config` are not written.
    """
    text = toml_text(_tables(bundle))
    mistakes: list[str] = []
    _take(tomllib.loads(text), _TOP, "", mistakes)
    if mistakes:
        raise BundleError(f"bundle {bundle.name!r} cannot be written: " + "; ".join(mistakes))
    path, part = folder / FILE_NAME, folder / f".{FILE_NAME}.part"
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return path


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TOML_BYTES + 1)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; a bundle is a folder with a {FILE_NAME}") from error
    if len(data) > MAX_TOML_BYTES:
        raise BundleError(f"{path} is over {MAX_TOML_BYTES} bytes; keep weights and tables in files of their own")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path} is not TOML: {error}; correct it and load again") from error


def _tables(bundle: Bundle) -> dict[str, Any]:
    """The bundle as the tables of its file, without what is at its default."""
    top: dict[str, Any] = {"name": bundle.name, "version": bundle.version, "role": bundle.role}
    if bundle.licence:
        top["licence"] = bundle.licence
    if bundle.max_batch:
        top["max_batch"] = bundle.max_batch
    if bundle.canary is not None:
        top["canary"] = bundle.canary
    top["files"] = [{"backend": backend, "precision": precision, "path": path}
                    for (backend, precision), path in bundle.files.items()]
    top["inputs"] = [_tensor_table(spec) for spec in bundle.inputs]
    top["outputs"] = [_tensor_table(spec) for spec in bundle.outputs]
    top["queue"] = {f.name: getattr(bundle.queue, f.name) for f in fields(QueuePolicy)
                    if getattr(bundle.queue, f.name) != f.default}
    top["variants"] = [{f.name: getattr(variant, f.name) for f in fields(Variant)
                        if getattr(variant, f.name) not in (None, "")} for variant in bundle.variants]
    top["params"] = dict(bundle.params)
    top["sha256"] = dict(bundle.sha256)
    return {key: value for key, value in top.items() if value not in ([], {})}


def _tensor_table(spec: TensorSpec) -> dict[str, Any]:
    table: dict[str, Any] = {"name": spec.name, "dtype": spec.dtype,
                             "shape": [-1 if dim is None else dim for dim in spec.shape]}
    if spec.optional:
        table["optional"] = True
    if spec.labels:
        table["labels"] = list(spec.labels)
    return table


# ---- checking. A check takes a value and says what it becomes, or raises _Wrong with what was expected.

class _Wrong(Exception):
    """What was expected instead of the value."""


class _Within(Exception):
    """Mistakes inside a value, already with their places."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__()
        self.mistakes = mistakes


Check = Callable[[Any, str], Any]
_REQUIRED = MISSING


def _take(table: Any, keys: Mapping[str, tuple[Check, Any]], place: str, mistakes: list[str]) -> dict[str, Any]:
    """The values of `table` after their checks, defaults filled in; everything wrong goes to `mistakes`."""
    if not isinstance(table, dict):
        mistakes.append(f"`{place}`: expected a table, got {_short(table)}")
        return {}
    prefix = f"{place}." if place else ""
    for key in table:
        if key not in keys:
            mistakes.append(f"`{prefix}{key}` is unknown; the keys here are {', '.join(keys)}")
    values = {}
    for key, (check, default) in keys.items():
        if key not in table:
            if default is _REQUIRED:
                mistakes.append(f"`{prefix}{key}` is missing; {_expected(check)}")
            else:
                values[key] = default
            continue
        try:
            values[key] = check(table[key], prefix + key)
        except _Wrong as wrong:
            mistakes.append(f"`{prefix}{key}`: expected {wrong}, got {_short(table[key])}")
        except _Within as within:
            mistakes.extend(within.mistakes)
    return values


def _expected(check: Check) -> str:
    try:
        check(None, "")
    except _Wrong as wrong:
        return f"expected {wrong}"
    except _Within:
        pass
    return "it must be given"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _matching(pattern: re.Pattern[str], expected: str) -> Check:
    def check(value: Any, place: str) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _Wrong(expected)
        return value
    return check


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise _Wrong("text")
    return value


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false")
    return value


def _one_of(*accepted: str) -> Check:
    def check(value: Any, place: str) -> str:
        if value not in accepted:
            raise _Wrong("one of " + ", ".join(accepted))
        return str(value)
    return check


def _number(low: int, high: int) -> Check:
    def check(value: Any, place: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _Wrong(f"a whole number from {low} to {high}")
        return value
    return check


def _real(low: float, high: float) -> Check:
    def check(value: Any, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _Wrong(f"a number from {low:g} to {high:g}")
        return float(value)
    return check


def inside_path(value: Any, place: str = "") -> str:
    """`value` as a path inside a bundle; anything that could leave it is refused before the disk is touched."""
    good = isinstance(value, str) and 0 < len(value) <= 1024 and "\\" not in value and value.isprintable()
    if not good or PurePosixPath(value).is_absolute() or {"", ".", ".."} & set(value.split("/")):
        raise _Wrong(_PATH_RULE)
    return str(value)


def _shape(value: Any, place: str) -> tuple[int | None, ...]:
    rule = f"a list of at most {MAX_RANK} whole numbers from 0, or -1 for a free dimension"
    if not isinstance(value, list) or len(value) > MAX_RANK:
        raise _Wrong(rule)
    if any(not isinstance(d, int) or isinstance(d, bool) or not -1 <= d <= MAX_DIM for d in value):
        raise _Wrong(rule)
    return tuple(None if d == -1 else d for d in value)


def _labels(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise _Wrong("a list of texts, one a class")
    return tuple(value)


def _params(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong("a table")
    return value


def _entries(value: Any, place: str, keys: Mapping[str, tuple[Check, Any]], identity: tuple[str, ...]) -> list[dict]:
    """A list of tables in which no two share `identity`."""
    if not isinstance(value, list):
        raise _Wrong(f"tables written [[{place}]]")
    mistakes: list[str] = []
    entries = [_take(item, keys, f"{place}[{i}]", mistakes) for i, item in enumerate(value)]
    seen: dict[tuple, int] = {}
    for i, entry in enumerate(entries):
        key = tuple(entry.get(name) for name in identity)
        if None not in key and seen.setdefault(key, i) != i:
            mistakes.append(f"`{place}[{i}]`: {' '.join(map(str, key))!r} is given twice, first at `{place}[{seen[key]}]`")
    if mistakes:
        raise _Within(mistakes)
    return entries


def _tensors(value: Any, place: str) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(**entry) for entry in _entries(value, place, _TENSOR, ("name",)))


def _files(value: Any, place: str) -> dict[tuple[str, str], str]:
    entries = _entries(value, place, _FILE, ("backend", "precision"))
    return {(entry["backend"], entry["precision"]): entry["path"] for entry in entries}


def _variants(value: Any, place: str) -> tuple[Variant, ...]:
    return tuple(Variant(**entry) for entry in _entries(value, place, _VARIANT, ("backend", "precision")))


def _queue(value: Any, place: str) -> QueuePolicy:
    mistakes: list[str] = []
    values = _take(value, _QUEUE, place, mistakes)
    if mistakes:
        raise _Within(mistakes)
    return QueuePolicy(**values)


def _digests(value: Any, place: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _Wrong("a table of path = digest")
    mistakes = []
    for path, digest in value.items():
        try:
            inside_path(path)
        except _Wrong as wrong:
            mistakes.append(f"`{place}`: expected {wrong}, got {_short(path)}")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            mistakes.append(f"`{place}.{path}`: expected 64 hexadecimal digits, got {_short(digest)}")
    if mistakes:
        raise _Within(mistakes)
    return {path: digest.lower() for path, digest in value.items()}


_name = _matching(NAME, _NAME_RULE)
_tensor_name = _matching(re.compile(r"[^\x00-\x1f\x7f]{1,1024}"), "1 to 1024 printable characters")
_TENSOR = {
    "name": (_tensor_name, _REQUIRED),
    "dtype": (_one_of(*DTYPES), _REQUIRED),
    "shape": (_shape, _REQUIRED),
    "optional": (_flag, False),
    "labels": (_labels, ()),
}
_FILE = {"backend": (_name, _REQUIRED), "precision": (_name, _REQUIRED), "path": (inside_path, _REQUIRED)}
_VARIANT = {
    "backend": (_name, _REQUIRED), "precision": (_name, _REQUIRED), "on": (_text, ""),
    "p50_ms": (_real(0, 1e9), None), "p99_ms": (_real(0, 1e9), None), "memory_mb": (_real(0, 1e9), None),
    "agreement": (_real(0, 1), None), "max_error": (_real(0, 1e30), None), "mean_error": (_real(0, 1e30), None),
}
_MICROSECONDS = _number(0, 2**53)
_QUEUE = {
    "wait_us": (_MICROSECONDS, 0),
    "max_requests": (_number(0, 1_000_000), 0),
    "default_timeout_us": (_MICROSECONDS, 0),
    "allow_timeout_override": (_flag, True),
    "timeout_action": (_one_of("REJECT", "DELAY"), "REJECT"),
    "priority_levels": (_number(0, 1000), 0),
    "default_priority": (_number(0, 1000), 0),
    "preserve_ordering": (_flag, False),
    "instances": (_number(1, 64), 1),
    "share": (_number(1, 1000), 1),
    "background": (_flag, False),
}
_TOP: dict[str, tuple[Check, Any]] = {
    "name": (_name, _REQUIRED),
    "version": (_matching(VERSION, 'text of 1 to 18 digits without leading zeros, such as "1"'), _REQUIRED),
    "role": (_name, _REQUIRED),
    "licence": (_text, ""),
    "max_batch": (_number(0, 4096), 0),
    "canary": (inside_path, None),
    "files": (_files, {}),
    "inputs": (_tensors, ()),
    "outputs": (_tensors, ()),
    "queue": (_queue, QueuePolicy()),
    "variants": (_variants, ()),
    "params": (_params, {}),
    "sha256": (_digests, {}),
}
