"""`aisle teach`: a station on disk, its promises in words, and refusals that leave nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aisle.runtime import teaching
from aisle.runtime.cli import main
from aisle.runtime.errors import Invalid


@pytest.fixture
def good(pictures, tmp_path: Path) -> Path:
    folder = tmp_path / "good"
    folder.mkdir()
    for path in pictures.shown[:5]:
        shutil.copy(path, folder)
    return folder


def test_the_summary_names_both_promises_and_what_more_parts_buy(good, tmp_path, capsys):
    assert main(["teach", "belt", "--good", str(good), "--models", str(tmp_path / "m")]) == 0
    told = capsys.readouterr().out
    assert "average false rejects at most 16.7 %" in told and "at most 45.1 % with 95 % confidence" in told
    assert "54 more good parts for at most 5 %" in told
    assert (tmp_path / "m" / "belt" / "1" / "bundle.toml").is_file()


def test_json_and_a_second_version(good, tmp_path, capsys):
    for version in ("1", "2"):
        assert main(["teach", "belt", "--good", str(good), "--models", str(tmp_path / "m"), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["version"] == version and told["good"] == 5 and len(told["promises"]) == 2


def test_progress_as_lines(good, tmp_path, capsys):
    assert main(["teach", "belt", "--good", str(good), "--models", str(tmp_path / "m"), "--json-progress"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["done"] for line in lines if line.get("stage") == "read"] == [1, 2, 3, 4, 5]
    assert lines[-1]["result"]["station"] == "belt"


@pytest.mark.parametrize("name, files, words", [
    ("-x", None, "1 to 64"), ("a/b", None, "1 to 64"), ("ok", 1, "at least 2 pictures"), ("ok", 0, "at least 2 pictures"),
    ("ok", None, "is not a folder"),
])
def test_refusals_are_sentences_and_leave_nothing(good, tmp_path, capsys, name, files, words):
    if files is None and name == "ok":
        good = tmp_path / "nowhere"
    for path in sorted(good.glob("*"))[files:] if files is not None else ():
        path.unlink()
    assert main(["teach", "--good", str(good), "--models", str(tmp_path / "m"), "--", name]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_a_model_that_was_not_taught_is_not_overwritten(good, tmp_path, capsys):
    place = tmp_path / "m" / "belt" / "1"
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(b"somebody's")
    assert main(["teach", "belt", "--good", str(good), "--models", str(tmp_path / "m")]) == 2
    assert "another kind (not made by this program)" in capsys.readouterr().err
    assert [p.name for p in place.iterdir()] == ["model.onnx"]


def test_a_disk_with_no_room_leaves_nothing_half_written(good, tmp_path):
    """The kernel refuses files over 2 KiB, as a full disk refuses any."""
    limited = ("import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)); "
               "from aisle.runtime.cli import main; sys.exit(main(sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", limited, "teach", "belt", "--good", str(good), "--models",
                           str(tmp_path / "m"), "--json"], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "could not be written" in json.loads(done.stdout)["error"]
    assert [p for p in (tmp_path / "m").rglob("*") if p.is_file()] == []


def test_only_few_versions_are_kept(tmp_path):
    for n in range(1, 8):
        (tmp_path / str(n)).mkdir()
        (tmp_path / str(n) / "bundle.toml").touch()
    (tmp_path / "notes").mkdir()
    teaching.forget_old(tmp_path, keep=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["5", "6", "7", "notes"]


def test_station_names():
    for name in ("a", "Belt_7.left-2", "_x", "9" * 64):
        teaching.check_name(name)
    for name in ("", ".", "..", ".x", "-x", "a b", "a/b", "a\n", "工位", "9" * 65):
        with pytest.raises(Invalid, match="1 to 64"):
            teaching.check_name(name)
