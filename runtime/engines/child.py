"""Builds one engine in a process of its own: python -m aisle.runtime.engines.child, the order as JSON on standard input.

Whatever the library does there (crash, hang, eat the memory) it does not do to the server. Reports are JSON lines on
standard output: {"part", "doing"} on the way, then {"size", "seconds"} or {"error", "lasting"}. What the library itself
prints goes to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import BuildError, make_builder, read_job
from .cache import EngineCache, NoRoom
from .store import write_engine

NICE = 10
DIE_WITH_PARENT = 1        # PR_SET_PDEATHSIG


def main() -> int:
    """Build what standard input orders."""
    reports = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    order = json.load(sys.stdin)
    settle(order["parent"])

    def report(**what: Any) -> None:
        print(json.dumps(what), file=reports, flush=True)
    try:
        report(**build(order, lambda part, doing: report(part=part, doing=doing)))
    except BuildError as error:
        report(error=str(error), lasting=error.lasting)
    except MemoryError:
        report(error="building needs more memory than there is: use a smaller model", lasting=False)
    except NoRoom as error:
        report(error=str(error), lasting=False)
    except OSError as error:
        report(error=f"the engine cannot be written to {order['folder']}: {error.strerror}; make room there, or name another "
                     "folder (engines.path)", lasting=False)
    reports.flush()
    os._exit(0)      # a library that crashes while it is torn down must not spoil a good engine


def settle(parent: int) -> None:
    """Be the first to go: at a lower priority, before the server when memory is short, and with it when it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        try:
            Path("/proc/self/oom_score_adj").write_text("1000")
        except OSError as error:
            print(f"the kernel will not prefer this process when memory is short: {error}", file=sys.stderr)
    if os.getppid() != parent:
        os._exit(3)
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)      # the server decides


def build(order: dict[str, Any], tell: Any) -> dict[str, Any]:
    """Build, make room, write; the last report."""
    start = time.monotonic()
    tell(0.0, "loading the library")
    engine = make_builder(order["builder"]).build(read_job(order["job"]), tell)
    size = memoryview(engine).nbytes
    seconds = round(time.monotonic() - start, 3)
    tell(1.0, "writing")
    EngineCache(Path(order["folder"]), order["max_bytes"]).make_room(size)
    part = Path(order["out"]).with_suffix(".part")
    write_engine(part, order["key"], engine, {"seconds": seconds})
    part.replace(order["out"])
    return {"size": size, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
