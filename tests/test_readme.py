"""What the documents tell people to type works as it stands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md",
             *sorted((ROOT / "docs").glob("*.md"))]
STATION_DOC = ROOT / "docs" / "station.md"


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a document in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(path: Path) -> list[str]:
    """Every line of the document's shell blocks, without comments."""
    lines = [line.split(" # ")[0].strip() for block in blocks(path, "bash") for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_files_that_are_named_exist(path: Path):
    for name in re.findall(r"`((?:runtime|models|kernels|edge_devices|bench|tests|docs)/[\w./-]*)`", path.read_text("utf-8")):
        assert "x" in Path(name).parts or Path(name).stem == "x" or (ROOT / name).exists(), f"{path.name} names {name}"


def test_make_targets_exist():
    typed = re.compile(r"(?:^|`|&& )make ([a-z0-9-]+)", re.MULTILINE)     # and not the verb
    named = {word for path in DOCUMENTS for word in typed.findall(path.read_text("utf-8"))}
    assert {"demo", "test", "lint"} <= named
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"make {target}: {done.stderr}"


def test_the_figures_of_the_promise():
    from aisle.runtime import teaching
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) % \| ([\d.]+) % \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 4
    for good, average, bound in rows:
        assert float(average) == round(100 * teaching.average_promise(int(good)), 1)
        assert float(bound) == round(100 * teaching.bound_promise(int(good)), 1)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory):
    """Types lines in a folder where the demo has run, with `aisle` on the path and a free port for 8000."""
    folder = tmp_path_factory.mktemp("readme")
    subprocess.run([sys.executable, "-m", "aisle.runtime", "demo", "--once"], cwd=folder, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    running: list[subprocess.Popen[bytes]] = []

    def type_line(line: str) -> int:
        line = line.replace("8000", port)
        if line.endswith("&"):
            running.append(subprocess.Popen(shlex.split(line.removesuffix("&")), cwd=folder, env=environment))
            wait(f"http://127.0.0.1:{port}/healthz")
            return 0
        return subprocess.run(["bash", "-c", line], cwd=folder, env=environment, timeout=300).returncode

    type_line.folder, type_line.port, type_line.environment = folder, port, environment
    yield type_line
    for process in running:
        process.terminate()
        process.wait(30)


def wait(address: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError(f"{address} never became ready")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_quick_start_works_line_by_line(workshop, capfd):
    for line in [*commands(ROOT / "README.md"), *commands(STATION_DOC)]:
        if line.startswith("make "):
            continue
        code = workshop(line)
        assert code in ((0, 1) if line.startswith("aisle inspect") else (0,)), line
        out = capfd.readouterr().out
        assert '"error"' not in out, f"{line}: {out}"
    assert (workshop.folder / "why.jpg").read_bytes().startswith(b"\xff\xd8")
    for snippet in blocks(ROOT / "README.md", "python"):
        done = subprocess.run([sys.executable, "-c", snippet.replace("8000", workshop.port)], cwd=workshop.folder,
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.startswith("pass"), done
