"""What fetches browser and load generator never fails a run and says in a sentence what it could not get."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent / "prepare.sh"
TOOLS = ("bash", "dirname", "uname", "id", "mkdir", "rm", "cat", "grep", "ldconfig", "ls")


def prepare(root: Path, *tools: str) -> list[str]:
    """Run the script in a project at `root` with nothing but these programs; its lines."""
    (root / "tests").mkdir(exist_ok=True)
    (root / "bin").mkdir(exist_ok=True)
    shutil.copy(SCRIPT, root / "tests")
    for tool in tools:
        where = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
        if where and not (root / "bin" / tool).exists():
            (root / "bin" / tool).symlink_to(where)
    done = subprocess.run([shutil.which("bash") or "bash", str(root / "tests" / "prepare.sh")], cwd=root, text=True,
                          env={"PATH": str(root / "bin")}, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout.splitlines()


def test_a_bare_system_is_told_what_is_skipped(tmp_path: Path) -> None:
    lines = prepare(tmp_path, *TOOLS)
    assert len(lines) == 2 and all(line.startswith("prepare: tests ") and "skipped" in line for line in lines), lines
    assert "pages in a browser" in lines[0] and "perf_analyzer" in lines[1]
    assert (tmp_path / ".venv" / "perf_analyzer" / "missing").read_text().strip() in lines[1]


def test_a_registry_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    pip = tmp_path / ".venv" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    pip.chmod(0o755)
    lines = prepare(tmp_path, *TOOLS, "sh")
    if "x86-64" not in lines[1]:
        assert "pip could not download tritonclient" in lines[1]
    assert not list((tmp_path / ".venv" / "perf_analyzer").glob("*.whl"))


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    for name in ("chromium", "chromedriver"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text("")
        (tmp_path / "bin" / name).chmod(0o755)
    assert not any("browser" in line for line in prepare(tmp_path, *TOOLS))
