"""Runs a fit in a process of its own with one thread: here where PyTorch is installed, else in .bench-envs/train."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...models.recommend.interactions import Interactions

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".bench-envs" / "train"
# A build for CPUs is 200 MB where it can be had, the usual one brings 5 GB of CUDA.
TORCH = ("torch==2.13.0+cpu", "torch>=2.4")
INSTALL_S = 1800
WORKER = Path(__file__).parent / "fit_worker.py"


def trainer(quick: bool) -> tuple[str, str]:
    """(the Python that has PyTorch, "") or ("", the reason why there is none). A quick run makes no environment."""
    if importlib.util.find_spec("torch") is not None:
        return sys.executable, ""
    python = FOLDER / "bin" / "python"
    if (FOLDER / ".ready").is_file():
        return str(python), ""
    if quick:
        return "", "PyTorch is not installed, and a quick run makes no environment for it; install aisle[train]"
    print("making .bench-envs/train with PyTorch", file=sys.stderr)
    try:
        _call(sys.executable, "-m", "venv", "--clear", str(FOLDER))
        try:
            _call(str(python), "-m", "pip", "install", "-q", TORCH[0], "numpy>=2")
        except subprocess.CalledProcessError:
            _call(str(python), "-m", "pip", "install", "-q", TORCH[1], "numpy>=2")
    except (subprocess.SubprocessError, OSError) as error:
        return "", f"PyTorch could not be installed here ({type(error).__name__}); install aisle[train]"
    (FOLDER / ".ready").touch()
    return str(python), ""


def _call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=INSTALL_S)


def run(python: str, data: Interactions, job: Mapping[str, Any], folder: Path, text: str, bundle: Path | None = None) -> dict:
    """The worker's figures for one job, or {"error": ...}; a bar shows how far it is."""
    given, stored, out = folder / "job.json", folder / "data.npz", folder / "out.json"
    given.write_text(json.dumps(job))
    np.savez(stored, user=data.user, item=data.item)
    out.unlink(missing_ok=True)
    if not (folder / "aisle").exists():
        (folder / "aisle").symlink_to(ROOT)      # so that the worker's Python finds the package, whatever it has installed
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
                   "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    words = [python, str(WORKER), str(given), str(stored), str(out), *([str(bundle)] if bundle else [])]
    with (folder / "errors.txt").open("w+") as errors, tqdm(total=100, desc=text, leave=False, file=sys.stderr) as bar:
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=folder) as process:
            assert process.stdout is not None
            for line in process.stdout:
                part, _, how = line.partition(" ")
                bar.set_postfix_str(how.strip(), refresh=False)
                bar.update(100 * float(part) - bar.n)
        if process.returncode != 0 or not out.is_file():
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
            return {"error": f"the fit ended with {process.returncode}: {last[:300]}"}
    return dict(json.loads(out.read_text()))
