"""`aisle recommend fit`: interactions become a bundle that serves, and whatever is wrong is a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aisle.models.bundle import verify
from aisle.models.bundle_file import read_bundle
from aisle.models.make.onnx_models import identity
from aisle.models.make.shoppers import shoppers
from aisle.models.recommend import format
from aisle.runtime.cli import main

IDS = tuple(f"item-{i}" for i in range(60))


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.csv"
    data = shoppers(IDS, [f"g{i % 4}" for i in range(60)], users=150)
    assert data.time is not None
    lines = [f"{data.users[u]},{data.items[i]},{t:.0f}" for u, i, t in zip(data.user, data.item, data.time, strict=True)]
    path.write_text("\n".join(["user,item,time", *lines[:7], "visitor-0,,12", *lines[7:]]) + "\n")
    return path


def told(capsys: pytest.CaptureFixture[str], *words: Any) -> Any:
    """The JSON of a command, and nothing else on standard output."""
    code = main([*map(str, words), "--json"])
    out = json.loads(capsys.readouterr().out)
    assert (code != 0) == ("error" in out)
    return out


def test_a_bundle_that_serves(events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    catalogue = tmp_path / "shop.csv"
    rows = [f"{one},Thing {i},group {i % 4}" for i, one in enumerate((*IDS[1:], "new-1"))]
    catalogue.write_text("\n".join(["id,title,category", *rows]) + "\n")
    words = ("recommend", "fit", events, "--items", catalogue, "--out", tmp_path / "models" / "for-you", "--epochs", 2)
    got = told(capsys, *words)
    assert got["version"] == "1" and got["report"]["epochs"] <= 2 and got["report"]["refit"] == "no"
    notes = " ".join(got["notes"])
    for part in ("line 9: no item", "1 items of the interactions are not in", "1 items of"):
        assert part in notes
    bundle = read_bundle(Path(got["path"]))
    verify(bundle)
    fitted = format.fitted_of(bundle)
    assert set(fitted.ids) == set(IDS) and format.cold(fitted, ["Thing 5 group 1"]).any()
    assert main([*map(str, words), "--refit"]) == 0
    out = capsys.readouterr()
    assert "version 2" in out.out and "before it was fitted again on everything" in out.out and "%" in out.err
    assert sorted(p.name for p in (tmp_path / "models" / "for-you").iterdir()) == ["1", "2"]


@pytest.mark.parametrize(("words", "says"), [
    (["--out", "models/.hidden"], "the name '.hidden' can be no model's"),
    (["--out", "models/a", "--epochs", "0"], "--epochs 0: expected a whole number from 1"),
    (["--out", "models/a", "--seed", "-1"], "--seed -1"),
])
def test_wrong_options_are_said(events: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in told(capsys, "recommend", "fit", events, *words)["error"]


def test_a_name_that_belongs_to_another_model(events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from aisle.models.bundle import Bundle
    from aisle.models.bundle_file import write_bundle_toml
    folder = tmp_path / "other" / "3"
    identity(folder / "model.onnx")
    write_bundle_toml(Bundle("other", "3", "model", folder), folder)
    assert "another kind (model)" in told(capsys, "recommend", "fit", events, "--out", tmp_path / "other")["error"]


def test_without_pytorch_it_says_what_to_install(events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    from aisle.models.recommend import network
    monkeypatch.setattr(network, "missing", lambda: network.MISSING)
    assert "aisle[train]" in told(capsys, "recommend", "fit", events, "--out", tmp_path / "a")["error"]
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("text", "more", "says"), [
    ("user,item\n" + "a,b\n" * 5, [], "at least 10 users with three events or more, got 1 of 1"),
    ("user,item\n" + "a,b\n" * 5, ["--core", "6"], "no user and item has 6 events"),
    ("user,item\na,b\na\n", [], "line 3: 1 of 2 columns"),
])
def test_wrong_data_is_said(text: str, more: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                            monkeypatch: pytest.MonkeyPatch) -> None:
    from aisle.models.recommend import network
    monkeypatch.setattr(network, "missing", lambda: None)
    (tmp_path / "e.csv").write_text(text)
    assert says in told(capsys, "recommend", "fit", tmp_path / "e.csv", "--out", tmp_path / "m", *more)["error"]


def test_the_wrong_catalogue_is_said(events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    from aisle.models.recommend import network
    monkeypatch.setattr(network, "missing", lambda: None)
    (tmp_path / "shop.csv").write_text("id,title\nx,X\n")
    got = told(capsys, "recommend", "fit", events, "--items", tmp_path / "shop.csv", "--out", tmp_path / "m")
    assert "none of the 60 items" in got["error"]
