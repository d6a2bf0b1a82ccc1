"""Runs a builder in a child process and watches it: progress, memory, time, and how it ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import BuildError, Job, Tell, job_table
from .cache import EngineCache
from .key import EngineKey

LOOK_S = 0.1
MAX_LINE, TAIL = 1 << 16, 4 << 10
MEMORY = ("RssAnon:", "RssShmem:", "VmSwap:")


@dataclass(frozen=True)
class Limits:
    """What a build may take; 0 is no limit."""

    memory_mb: int = 0
    minutes: float = 60.0


@dataclass(frozen=True)
class Built:
    """What a child reported at its end."""

    size: int
    seconds: float


class Stopped(RuntimeError):
    """The build was not wanted any longer."""


class Child:
    """One building process and what it says."""

    def __init__(self, order: Mapping[str, Any], tell: Tell) -> None:
        self._tell = tell
        self._line = b""
        self.tail = b""
        self.answer: dict[str, Any] | None = None
        command = [sys.executable, "-m", "aisle.runtime.engines.child"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True)
        pipes = self.process
        assert pipes.stdin and pipes.stdout and pipes.stderr
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipes.stdout, selectors.EVENT_READ, self._said)
        self._selector.register(pipes.stderr, selectors.EVENT_READ, self._complained)
        with suppress(BrokenPipeError), pipes.stdin:
            pipes.stdin.write(json.dumps(order).encode())

    def listen(self, seconds: float) -> bool:
        """Take in what it says for at most so long; False when it has closed its pipes."""
        for chosen, _ in self._selector.select(seconds):
            data = os.read(chosen.fd, MAX_LINE)
            if data:
                chosen.data(data)
            else:
                self._selector.unregister(chosen.fileobj)
        return bool(self._selector.get_map())

    def _said(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-MAX_LINE:]
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):      # a library that got at our pipe
                report = json.loads(line)
                if "part" in report:
                    self._tell(min(1.0, max(0.0, float(report["part"]))), str(report["doing"])[:200])
                else:
                    self.answer = dict(report)

    def _complained(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-TAIL:]

    def memory_mb(self) -> int:
        """MiB that are its own: no library's pages, and no address space that CUDA merely reserves."""
        try:
            text = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(MEMORY)) >> 10

    def kill(self) -> None:
        """It and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> int:
        """Wait for its end; its exit status."""
        code = self.process.wait()
        self._selector.close()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code


def run_build(builder: str, job: Job, key: EngineKey, cache: EngineCache, tell: Tell, *, limits: Limits | None = None,
              stop: threading.Event | None = None, started: Callable[[int], None] = lambda pid: None) -> Built:
    """Build the candidate of `key` with the builder at "module:attribute"; blocks until it lies in the cache.

    BuildError with a sentence for whatever goes wrong, Stopped when `stop` is set. The child ends with this thread.
    """
    limits = limits or Limits()
    order = {"builder": builder, "job": job_table(job), "key": key.table(), "out": str(cache.candidate(key)),
             "folder": str(cache.folder), "max_bytes": cache.max_bytes, "parent": os.getpid()}
    child = Child(order, tell)
    started(child.process.pid)
    try:
        _watch(child, limits, stop or threading.Event())
    finally:
        child.kill()
        while child.listen(0):      # what it said last
            pass
        code = child.close()
    answer = child.answer
    if answer is None:
        raise BuildError(f"the building process {_how_it_ended(code, child.tail)}")
    if "error" in answer:
        raise BuildError(str(answer["error"]), bool(answer.get("lasting")))
    return Built(int(answer["size"]), float(answer["seconds"]))


def _watch(child: Child, limits: Limits, stop: threading.Event) -> None:
    """Until the child closes its pipes; BuildError where it goes beyond a limit."""
    end = time.monotonic() + limits.minutes * 60 if limits.minutes else float("inf")
    while child.listen(LOOK_S) and child.process.poll() is None:
        if stop.is_set():
            raise Stopped("the build was not wanted any longer")
        used = child.memory_mb()
        if limits.memory_mb and used > limits.memory_mb:
            raise BuildError(f"building took {used} MiB of memory and may take {limits.memory_mb}; raise engines.memory_mb, "
                             "or build on a machine with more memory of the same kind (`aisle model compile`)")
        if time.monotonic() > end:
            raise BuildError(f"building took longer than {limits.minutes:g} minutes; raise engines.minutes or use a smaller "
                             "model")


def _how_it_ended(code: int, stderr: bytes) -> str:
    if code == -signal.SIGKILL:
        return "was killed, most likely for memory: close other programs or use a smaller model"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name}); the file may be damaged, or the library may not fit the driver"
    last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    return f"ended with status {code} and no engine" + (f" ({last[0][:300]})" if last else "")
