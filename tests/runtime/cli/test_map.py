"""`aisle map`: files become bundles that serve, reports say what was dropped, mistakes are sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aisle.models.bundle_file import read_bundle
from aisle.models.make import blocks_map
from aisle.models.make.onnx_models import identity
from aisle.runtime.cli import main

STREETS = """<?xml version="1.0"?><osm version="0.6">
<node id="1" lat="43.7300" lon="7.4200"/><node id="2" lat="43.7310" lon="7.4200"/><node id="3" lat="43.7310" lon="7.4210"/>
<node id="4" lat="43.7400" lon="7.4400"/><node id="5" lat="43.7401" lon="7.4400"/>
<way id="10"><nd ref="1"/><nd ref="2"/><tag k="highway" v="footway"/><tag k="name" v="Quay"/></way>
<way id="11"><nd ref="2"/><nd ref="3"/><tag k="highway" v="residential"/><tag k="name" v="Rue B"/></way>
<way id="12"><nd ref="4"/><nd ref="5"/><tag k="highway" v="footway"/></way>
<way id="13"><nd ref="1"/><nd ref="3"/><tag k="highway" v="steps"/></way></osm>"""


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    path = tmp_path / "quay.osm"
    path.write_text(STREETS)
    return path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """The JSON of a command, and nothing else on standard output."""
    code = main([*words, "--json"])
    out = json.loads(capsys.readouterr().out)
    assert (code != 0) == ("error" in out)
    return out


def test_streets_become_a_map_with_a_report(streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    got = told(capsys, "map", "build", str(streets), "--models", str(tmp_path / "maps"))
    assert (got["name"], got["version"]) == ("quay", "1") and any("steps" in why for why in got["report"]["dropped"])
    assert read_bundle(Path(got["path"])).role == "map"
    again = told(capsys, "map", "build", str(streets), "--models", str(tmp_path / "maps"), "--profile", "van")
    assert again["version"] == "2" and not list((tmp_path / "maps" / "quay").glob(".*"))


def test_words_for_people(streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "build", str(streets), "--models", str(tmp_path / "maps"), "--name", "q"]) == 0
    out, err = capsys.readouterr()
    assert "Map 'q' version 1" in out and "highway=steps" in out and "read quay.osm" in err
    assert main(["map", "route", "q", "43.73005,7.42", "43.7310,7.42095", "--models", str(tmp_path / "maps")]) == 0
    out = capsys.readouterr().out
    assert "Quay" in out and "right" in out and "Rue B" in out


def test_a_way_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks_map.make(tmp_path, "town", 4, 4)
    got = told(capsys, "map", "route", "town", "0", "3", "--models", str(tmp_path), "--geometry", "geojson")
    assert got["cost_s"] == 192.72 and got["geometry"]["type"] == "LineString"


@pytest.mark.parametrize(("words", "sentence"), [
    (["build", "nothing.osm"], "nothing.osm is no file"),
    (["build", "{streets}", "--profile", "unicorn"], "unicorn"),
    (["build", "{streets}", "--name", "../x"], "expected 1 to 128 of A-Z"),
    (["build", "{streets}", "--name", "net"], "belongs to a model of another kind"),
    (["build", "{text}"], "expected a file that ends in"),
    (["build", "{torn}"], "torn"),
    (["route", "nowhere", "0", "1"], "there is no map 'nowhere'"),
    (["route", "town", "here", "1"], "start 'here': expected LAT,LON"),
    (["route", "town", "7.41,43.72", "1"], "look exchanged"),
    (["route", "town", "nan,7.41", "1"], "expected finite coordinates"),
    (["route", "town", "0", "99"], "node 99 is unknown"),
])
def test_mistakes_are_sentences(streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str],
                                sentence: str) -> None:
    blocks_map.make(tmp_path, "town", 4, 4)
    (tmp_path / "net" / "1").mkdir(parents=True)
    identity(tmp_path / "net" / "1" / "model.onnx")
    (tmp_path / "net" / "1" / "bundle.toml").write_text('name = "net"\nversion = "1"\nrole = "model"\n')
    (tmp_path / "words.txt").write_text("no map")
    (tmp_path / "torn.osm.pbf").write_bytes(b"\0\0\0\x0d\x0a\x09OSMHeader")
    files = {"{streets}": streets, "{text}": tmp_path / "words.txt", "{torn}": tmp_path / "torn.osm.pbf"}
    full = ["map", *(str(files.get(word, word)) for word in words), "--models", str(tmp_path)]
    assert sentence in told(capsys, *full)["error"]
    assert main(full) == 2
    out, err = capsys.readouterr()
    assert out == "" and sentence in err and "Traceback" not in err
    assert not list(tmp_path.glob("*/.*"))


def test_a_site_is_built_and_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = str(tmp_path / "maps")
    blocks_map.make(tmp_path / "maps", "town")
    (tmp_path / "hall.map").write_text("type octile\nheight 2\nwidth 3\nmap\n...\n...\n")
    (tmp_path / "campus.toml").write_text('[[portals]]\nname = "door"\na = {map = "town", node = 3}\n'
                                          'b = {map = "hall", x = 0.5, y = 0.5}\ncost_s = 7\n')
    assert told(capsys, "map", "build", str(tmp_path / "hall.map"), "--models", maps)["report"]["free"] == 6
    assert told(capsys, "map", "build", str(tmp_path / "campus.toml"), "--models", maps)["report"]["maps"] == ["town", "hall"]
    got = told(capsys, "map", "route", "campus", "hall:1.5,2.5", "town:0", "--models", maps)
    assert got["portals"] == ["door"] and [leg["map"] for leg in got["legs"]] == ["hall", "town"]
    assert got["cost_s"] == pytest.approx(7 + sum(leg["cost_s"] for leg in got["legs"]))
    assert main(["map", "route", "campus", "hall:1.5,2.5", "town:0", "--models", maps]) == 0
    assert "in all, by door\nhall: 2 m" in capsys.readouterr().out
    wrong = told(capsys, "map", "route", "campus", "attic:1", "town:0", "--models", maps)
    assert "'attic' is none of the maps" in wrong["error"]
    assert "is one map" in told(capsys, "map", "route", "town", "hall:1", "2", "--models", maps)["error"]
