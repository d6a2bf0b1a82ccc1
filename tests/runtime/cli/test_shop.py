"""`aisle shop`: a shop of a catalogue, what is wrong with a catalogue, and visitors of a server that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aisle.bench.recommend.made import shop
from aisle.models.bundle_file import read_bundle
from aisle.runtime.cli import main

CSV = "id,title,price\n1,Boot,59\n2,Cap,9\n"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    path.write_text(CSV)
    return path


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    code = main(["shop", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_shop_is_made_in_versions(catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version in ("1", "2"):
        code, told = said(capsys, "make", catalogue, "--out", tmp_path / "models" / "corner", "--history", "disk")
        assert code == 0 and told["version"] == version and told["items"] == 2 and told["left_out"] == []
    bundle = read_bundle(tmp_path / "models" / "corner" / "2")
    assert bundle.role == "recommend" and bundle.params["privacy"] == {"history": "disk", "retention_days": 30.0}
    assert sorted(p.name for p in (tmp_path / "models" / "corner").iterdir()) == ["1", "2"], "no half bundle lies about"


def test_with_a_fit_its_files_come_along(catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop(tmp_path / "made", 20)
    code, told = said(capsys, "make", catalogue, "--out", tmp_path / "corner", "--fit", tmp_path / "made" / "fit")
    assert code == 0
    bundle = read_bundle(Path(told["path"]))
    assert bundle.files == {("onnx", "fp32"): "encoder.onnx"} and (bundle.root / "vectors.npy").is_file()
    assert main(["shop", "make", str(catalogue), "--out", str(tmp_path / "corner"), "--fit", str(tmp_path)]) == 2
    assert "there is no recommender" in capsys.readouterr().err


def test_broken_lines_are_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(CSV + "2,Again,3\n4,Dear,much\n")
    assert main(["shop", "make", str(path), "--out", str(tmp_path / "models" / "corner")]) == 2
    err = capsys.readouterr().err
    assert "line 4: id '2' is given twice, first in line 3" in err and "line 5: price: expected a number" in err
    assert not (tmp_path / "models").exists()
    code, told = said(capsys, "make", path, "--out", tmp_path / "models" / "corner", "--skip-broken")
    assert code == 0 and told["items"] == 2 and len(told["left_out"]) == 2
    code, told = said(capsys, "check", path)
    assert code == 2 and "2 broken lines" in told["error"]


def test_a_catalogue_is_checked(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = said(capsys, "check", catalogue)
    assert code == 0 and told == {"items": 2, "categories": 0, "brands": 0, "facets": {}}
    assert main(["shop", "check", str(catalogue)]) == 0 and "2 items in 0 categories" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "want"), [
    (["check", "none.csv"], "No such file"),
    (["make", "none.csv", "--out", "x/.hidden"], "can be no model's: expected 1 to 128"),
    (["make", "none.csv", "--out", "x/y", "--retention-days", "0"], "--retention-days: expected more than 0"),
])
def test_what_cannot_be_done_is_a_sentence(words: list[str], want: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shop", *words]) == 2
    assert want in capsys.readouterr().err


def test_a_server_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io
    for name, want in (("ann\n", "is the server running?"), ("\n", "expected the visitor's name on standard input")):
        monkeypatch.setattr("sys.stdin", io.StringIO(name))
        assert main(["shop", "visitor", "erase", "--server", "http://127.0.0.1:9"]) == 2
        assert want in capsys.readouterr().err
