"""Peers in an environment of their own: made once in .bench-envs/routes, asked over a pipe, round by round."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".bench-envs" / "routes"
PACKAGES = ("numpy", "scipy", "rustworkx", "igraph", "routingkit_cch")
INSTALL_S = 300


class Peers:
    """The worker with one graph; `missing` says why a peer cannot be asked."""

    def __init__(self, process: subprocess.Popen[str] | None, missing: str = "") -> None:
        self._process, self.missing = process, missing

    def ask(self, **question: Any) -> dict[str, Any]:
        """The worker's answer; {"error": ...} where the peer fails or is not there."""
        if self._process is None:
            return {"error": self.missing}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._process, self.missing = None, "the peer's process ended"
            return {"error": self.missing}
        return dict(json.loads(answer))


def prepare(quick: bool) -> str:
    """"" once the environment is there, else the reason why it is not. A quick run makes none."""
    python = FOLDER / "bin" / "python"
    if (FOLDER / ".ready").is_file():
        return ""
    if quick:
        return "no environment for peers yet; a run without --quick makes it"
    try:
        for command in ([sys.executable, "-m", "venv", str(FOLDER)], [str(python), "-m", "pip", "install", "-q", *PACKAGES]):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        return f"peers could not be installed here ({type(error).__name__})"
    (FOLDER / ".ready").touch()
    return ""


@contextmanager
def peers(graph: Mapping[str, np.ndarray], quick: bool) -> Iterator[Peers]:
    """The worker over a graph: tail, head, x, y, weights and whatever pairs it shall be asked."""
    missing = prepare(quick)
    if missing:
        yield Peers(None, missing)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.npz"
        np.savez(path, **dict(graph))  # type: ignore[arg-type]
        process = subprocess.Popen([str(FOLDER / "bin" / "python"), str(Path(__file__).parent / "peer_worker.py"), str(path)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield Peers(process)
        finally:
            process.kill()
            process.wait()
