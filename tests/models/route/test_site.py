"""Sites are read, kept and refused with the place of the mistake."""

from pathlib import Path

import pytest
from aisle.models.bundle import BundleError
from aisle.models.bundle_file import read_bundle
from aisle.models.route.build import build_map, save_map
from aisle.models.route.site import MAX_PORTALS, Door, SiteError, load_site, read_site

GOOD = """
[[portals]]
name = "front"
a = {map = "town", lat = 43.72, lon = 7.41}
b = {map = "hall", x = 0.5, y = 1.5}
cost_s = 4
[[portals]]
name = "lift"
a = {map = "hall", node = 12}
b = {map = "cellar", x = 3, y = 0.5}
one_way = true
"""


def test_a_site_survives_its_bundle(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(GOOD)
    made = build_map(tmp_path / "site.toml")
    save_map(made, tmp_path / "campus", "campus", "3")
    kept = load_site(read_bundle(tmp_path / "campus"))
    assert kept.maps == ("town", "hall", "cellar") and kept.name == "campus"
    assert kept.doors == made.doors == (Door("front", "town", (43.72, 7.41), "hall", (1.5, 0.5), 4.0),
                                        Door("lift", "hall", 12, "cellar", (0.5, 3.0), 0.0, True))


@pytest.mark.parametrize(("old", "new", "words"), [
    ("[[portals]]", "[[ports]]", "expected .*portals.* and nothing else, got ports"), (GOOD, "", "got no portals"),
    (GOOD, "=", "is not TOML"), (GOOD, "portals = 5", "got no portals"), (GOOD, "portals = [5]", "portal 1: expected a name"),
    ('name = "lift"', 'name = "front"', "two portals are called 'front'"),
    ('name = "lift"', "", "portal 2: expected a name of 1"),
    ('name = "lift"', "name = 5", "expected a name"), ("cost_s = 4", "cost_s = -1", "cost_s from 0 to 86400 seconds, got -1"),
    ("cost_s = 4", "cost_s = nan", "cost_s"), ("cost_s = 4", "cost_s = true", "cost_s"),
    ("cost_s = 4", "coast = 1", "coast is unknown"), ("one_way = true", 'one_way = "yes"', "one_way as true or false"),
    ("node = 12", "node = -1", "portal 2, a: expected lat and lon"),
    ("node = 12", "node = 1.5", "expected lat and lon"), ("node = 12", "node = 1, x = 2", "expected lat and lon"),
    ("lat = 43.72", "lat = inf", "portal 1, a: expected lat and lon"), ("lat = 43.72, ", "", "expected lat and lon"),
    ('map = "hall", x', 'map = "../hall", x', "expected a place such as"), ('map = "hall", x', "x", "expected a place such as"),
])
def test_mistakes_are_said(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "site.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(SiteError, match=words):
        read_site(tmp_path / "site.toml")


def test_portals_are_bounded(tmp_path: Path) -> None:
    one = '[[portals]]\nname = "{}"\na = {{map = "a", node = 1}}\nb = {{map = "b", node = 1}}\n'
    (tmp_path / "site.toml").write_text("".join(one.format(i) for i in range(MAX_PORTALS + 1)))
    with pytest.raises(SiteError, match="at most 1000 portals"):
        read_site(tmp_path / "site.toml")


def test_a_damaged_bundle_is_said(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(GOOD)
    save_map(build_map(tmp_path / "site.toml"), tmp_path, "campus")
    text = (tmp_path / "bundle.toml").read_text()
    for old, new in (('"hall"', '"ha ll"'), ("cost_s = 4.0", 'cost_s = "x"'), ("portals", "ports")):
        assert old in text
        (tmp_path / "bundle.toml").write_text(text.replace(old, new))
        with pytest.raises(BundleError, match="build it again"):
            load_site(read_bundle(tmp_path))
