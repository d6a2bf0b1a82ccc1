"""A builder that does what a file tells it to, well or badly.

Imported by name from the building processes too, so this folder is on their path.
"""

import json
import os
import resource
import signal
import tempfile
import time
from pathlib import Path

from aisle.runtime.engines import BuildError
from aisle.runtime.engines.key import Platform

PLACE = "fake_engines:FakeBuilder"
ORDERS = "AISLE_FAKE_ORDERS"      # names a JSON file: what to do, see below


def orders():
    return json.loads(Path(os.environ[ORDERS]).read_text())


def note(word):
    """One line a build, so that tests count them."""
    with Path(os.environ[ORDERS]).with_suffix(".log").open("a") as log:
        log.write(f"{word} {os.getpid()}\n")


class FakeBuilder:
    """Orders: `version`, `missing`, `refuses`, `do`: a list of what each build does, the last one for all further ones."""

    def missing(self):
        return orders().get("missing")

    def platform(self):
        if sentence := orders().get("no_driver"):
            raise BuildError(sentence, innocent=True)
        return Platform("fake", orders().get("version", "1"), "13.0", "600.1", "sm_00 none")

    def refuses(self, bundle):
        return orders().get("refuses")

    def build(self, job, tell):
        log = Path(os.environ[ORDERS]).with_suffix(".log")
        builds = len(log.read_text().splitlines()) if log.exists() else 0
        todo = orders().get("do", ["well"])
        todo = todo[min(builds, len(todo) - 1)]
        note(todo)
        tell(0.5, "halfway")
        return getattr(self, "_" + todo.replace("-", "_"))(job)

    def _well(self, job):
        return job.model.read_bytes()

    def _slowly(self, job):
        time.sleep(1.0)
        return self._well(job)

    def _for_ever(self, job):
        time.sleep(600)

    def _fail(self, job):
        raise BuildError("node 'n1' (operator Odd): no importer for it")

    def _fail_lastingly(self, job):
        raise BuildError("node 'n1' (operator Odd): no importer for it", lasting=True)

    def _raise(self, job):
        raise KeyError("a bug of the builder")

    def _exit(self, job):
        os._exit(7)

    def _exit_0(self, job):
        os._exit(0)

    def _killed(self, job):
        os.kill(os.getpid(), signal.SIGKILL)

    def _crash(self, job):
        os.kill(os.getpid(), signal.SIGSEGV)

    def _babble(self, job):
        print("x" * 300_000)
        os.write(1, b'{"size": 1, "seconds": 0}\n')
        return self._well(job)

    def _eat_memory(self, job):
        held = []
        while True:
            held.append(b"x" * (8 << 20))
            time.sleep(0.01)

    def _memory_error(self, job):
        raise MemoryError

    def _disk_full(self, job):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        return bytes(100_000)

    def _too_large(self, job):
        return bytes(8 << 20)

    def _disagree(self, job):
        """An engine that adds one to what it should give."""
        import numpy as np
        from aisle.models.make.onnx_proto import node, tensor, value, write
        with tempfile.TemporaryDirectory() as folder:
            x, y = (value(name, "float32", ["n", 4]) for name in "xy")
            made = write(Path(folder) / "m.onnx", "wrong", [node("Add", ["x", "one"], ["y"])], [x], [y],
                         [tensor("one", np.ones(1, np.float32))])
            return made.read_bytes()

    def _not_an_engine(self, job):
        return b"not what the library can read"
