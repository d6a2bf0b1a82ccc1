"""`aisle inspect`: the same verdict here and on a server, and an exit code for scripts."""

from __future__ import annotations

import json

import pytest
from aisle.runtime.cli import main


def test_exit_codes_say_pass_reject_and_error(taught, pictures, tmp_path, capsys):
    run = ["inspect", "flange", "--models", str(taught)]
    assert main([*run, str(pictures.good[0])]) == 0
    assert "PASS" in capsys.readouterr().out
    assert main([*run, str(pictures.good[0]), str(pictures.bad[2])]) == 1
    assert "1 pass, 1 reject" in capsys.readouterr().out
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG no more")
    assert main([*run, str(torn), str(pictures.good[0])]) == 2
    assert "torn.png" in (out := capsys.readouterr().out) and "1 could not be inspected" in out


def test_here_and_on_a_server_agree(taught, pictures, station_server, tmp_path, capsys):
    files = [str(p) for p in (*pictures.good, *pictures.bad)]
    told = []
    for where in (["--models", str(taught)], ["--server", station_server.address]):
        folder = tmp_path / where[0]
        assert main(["inspect", "flange", *where, *files, "--json", "--overlay", str(folder)]) == 1
        told.append([(one["file"], one["verdict"], one["score"]) for one in json.loads(capsys.readouterr().out)["inspected"]])
        assert len(list(folder.glob("*-heatmap.jpg"))) == len(files)
    assert told[0] == told[1]


def test_a_folder_stands_for_its_pictures(taught, pictures, capsys):
    main(["inspect", "flange", "--models", str(taught), str(pictures.shown[0].parent), "--json"])
    count = len(pictures.shown) + len(pictures.good) + len(pictures.bad)
    assert len(json.loads(capsys.readouterr().out)["inspected"]) == count


@pytest.mark.parametrize("extra, words", [
    (["nowhere", "--models", "{taught}"], "nowhere"),
    (["flange", "--models", "/no/such/folder"], "--models"),
    (["flange", "--server", "127.0.0.1:8000"], "http://"),
    (["flange", "--server", "http://127.0.0.1:9"], "no Aisle server answers"),
])
def test_what_cannot_be_done_is_a_sentence(taught, pictures, capsys, extra, words):
    assert main(["inspect", *[e.format(taught=taught) for e in extra], str(pictures.good[0])]) == 2
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err


def test_a_file_that_is_not_there(taught, tmp_path, capsys):
    assert main(["inspect", "flange", "--models", str(taught), str(tmp_path / "gone.png")]) == 2
    assert "gone.png" in capsys.readouterr().err
