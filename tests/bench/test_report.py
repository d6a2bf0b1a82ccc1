"""The bench contract: one JSON object, rows with every field, names listed."""

import json
import subprocess
import sys
from dataclasses import fields

import pytest
from aisle.bench.__main__ import BENCHES, main
from aisle.bench.client import answer_size, request_bytes
from aisle.bench.report import Options, Row, summary, table


def test_a_summary_has_the_contract_s_fields() -> None:
    found = json.loads(json.dumps(summary("x", [Row("case", "p50", 1.5, "ms", met=True)])))
    assert set(found) == {"bench", "commit", "device", "when", "rows"}
    assert set(found["rows"][0]) == {f.name for f in fields(Row)}


def test_the_table_shows_missed_goals_and_notes() -> None:
    text = table([Row("a", "p50", 1.0, goal="<= 0.5", met=False, note="slow disk"), Row("b", "p50", None)])
    assert "NO" in text and "note (a): slow disk" in text


def test_list_names_every_bench() -> None:
    done = subprocess.run([sys.executable, "-m", "aisle.bench", "--list"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == sorted(BENCHES)


def test_a_wrong_data_folder_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["overhead", "--data", "/nowhere/at/all"]) == 2
    assert "expected a folder" in capsys.readouterr().err


def test_only_selects_cases() -> None:
    assert Options(only="c=1").wants("identity c=16") and not Options(only="c=2").wants("identity c=1")


def test_the_client_knows_when_an_answer_is_whole_and_refuses_errors() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert answer_size(head[:-2]) == 0
    assert answer_size(head) == len(head) + 5
    with pytest.raises(RuntimeError, match="404"):
        answer_size(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert request_bytes("/a", b"xy").endswith(b"Content-Length: 2\r\n\r\nxy")
