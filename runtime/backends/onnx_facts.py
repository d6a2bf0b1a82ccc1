"""Facts of an ONNX file, from a probe in a child process the first time and from a small cache afterwards."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...models.bundle import Bundle, BundleError, digest
from .onnx_file import check_external, check_file, identity

PROBE_SECONDS = 120.0
MAX_ANSWER_BYTES = 4 << 20
MAX_ENTRIES = 256
MAX_CACHE_BYTES = 16 << 20
_FORM = 4                       # raise it when the facts change: old entries are then probed again
log = logging.getLogger("aisle.backends.onnx")


def facts_of(bundle: Bundle, relative: str, cache: Path | None) -> dict[str, Any]:
    """What `onnx_probe.probe` found in the file. BundleError with its sentence for a file that may not be loaded.

    A file is known by its digest, its external weights by place, size and time of change; the places are checked
    anew each time. `cache` is the folder of the remembered facts, None for no memory.
    """
    path = bundle.path(relative)
    shown = f"model file {bundle.name}/{bundle.version}/{relative}"
    check_file(path, shown)
    key = f"{_FORM}:{_engine_version()}:{digest(path)}"
    known = _remembered(cache)
    record = known.get(key)
    if record is not None and _same_weights(bundle, path, record, shown):
        return dict(record["facts"])
    facts = _probe(path, bundle.root, shown)
    weights = check_external(bundle.root, path, facts["external"], shown)
    known.pop(key, None)
    _remember(cache, {key: {"facts": facts, "weights": identity(weights)}, **known})
    return facts


def cache_folder() -> Path | None:
    """Where facts are remembered: $XDG_CACHE_HOME/aisle or ~/.cache/aisle; None where there is no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):
        return Path(given) / "aisle"
    try:
        return Path.home() / ".cache" / "aisle"
    except RuntimeError:
        return None


def _engine_version() -> str:
    for package in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return f"{package}-{version(package)}"
        except PackageNotFoundError:
            continue
    return "onnxruntime"


def _same_weights(bundle: Bundle, path: Path, record: dict[str, Any], shown: str) -> bool:
    return record.get("weights") == identity(check_external(bundle.root, path, record["facts"]["external"], shown))


def _probe(path: Path, root: Path, shown: str) -> dict[str, Any]:
    """Run the probe. Whatever becomes of that process, this one gets facts or a sentence."""
    command = [sys.executable, "-m", "aisle.runtime.backends.onnx_probe", os.fspath(path), os.fspath(root), shown]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as out:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                                  env=environment, timeout=PROBE_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise BundleError(f"{shown} was not loaded within {PROBE_SECONDS:.0f} s in a trial; use a smaller model"
                              ) from error
        size = out.tell()
        out.seek(0)
        answer = out.read(MAX_ANSWER_BYTES)
    if done.returncode != 0 or size > MAX_ANSWER_BYTES:
        raise BundleError(f"{shown} is not safe to load: {_how_it_ended(done.returncode, done.stderr)}; "
                          "export or copy it again")
    facts = json.loads(answer)
    if "error" in facts:
        raise BundleError(facts["error"])
    return dict(facts)


def _how_it_ended(code: int, stderr: bytes) -> str:
    if code in (-signal.SIGKILL, -signal.SIGXCPU):
        return "the trial process was killed, for memory or time"
    if code < 0:
        return f"the trial process crashed ({signal.Signals(-code).name})"
    if code == 0:
        return "its description is too long"
    last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    return f"the trial process failed ({last[0][:200] if last else f'exit status {code}'})"


def _remembered(cache: Path | None) -> dict[str, Any]:
    if cache is None:
        return {}
    path = cache / "onnx_facts.json"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CACHE_BYTES + 1)
        known = json.loads(data) if len(data) <= MAX_CACHE_BYTES else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("cannot use %s (%s); models are tried anew", path, error)
        return {}
    return {k: v for k, v in known.items() if isinstance(v, dict) and {"facts", "weights"} <= v.keys()} \
        if isinstance(known, dict) else {}


def _remember(cache: Path | None, records: dict[str, Any]) -> None:
    """Keep the newest MAX_ENTRIES records; a cache that cannot be written costs a probe at the next start."""
    if cache is None:
        return
    kept = dict(list(records.items())[:MAX_ENTRIES])
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=cache, delete=False, suffix=".part") as file:
            json.dump(kept, file)
        Path(file.name).replace(cache / "onnx_facts.json")
    except OSError as error:
        log.warning("cannot write %s (%s); each start tries every model anew", cache, error)
