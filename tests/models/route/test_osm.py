"""Streets of OpenStreetMap become maps: one-ways, restrictions, barriers and islands; damaged files are refused."""

import contextlib
import gzip
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from aisle.models.route.build import build_map, save_map
from aisle.models.route.osm import build_osm, read_osm
from aisle.models.route.osm_data import OsmError
from aisle.models.route.profile import kmh, metres, percent, profiles, read_profile
from aisle.models.route.router import Router, open_map

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[4] / "shared" / "data")) / "routes" / "osm"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the OSM extracts are not here")
STREETS = """<?xml version="1.0"?><osm version="0.6">
<node id="1" lat="50.000" lon="8.000"/><node id="2" lat="50.000" lon="8.001"/><node id="3" lat="50.000" lon="8.002"/>
<node id="4" lat="50.001" lon="8.001"/><node id="5" lat="49.999" lon="8.001"/><node id="6" lat="50.001" lon="8.002"/>
<node id="7" lat="50.1" lon="8.1"/><node id="8" lat="50.1" lon="8.101"/>
<way id="10"><nd ref="1"/><nd ref="2"/><tag k="highway" v="residential"/><tag k="name" v="West"/></way>
<way id="11"><nd ref="2"/><nd ref="3"/><tag k="highway" v="residential"/><tag k="maxspeed" v="30"/></way>
<way id="12"><nd ref="2"/><nd ref="4"/><tag k="highway" v="residential"/>{tag}</way>
<way id="13"><nd ref="5"/><nd ref="2"/><tag k="highway" v="residential"/></way>
<way id="14"><nd ref="3"/><nd ref="6"/><nd ref="4"/><tag k="highway" v="service"/></way>
<way id="15"><nd ref="7"/><nd ref="8"/><tag k="highway" v="residential"/></way>
<way id="16"><nd ref="5"/><nd ref="1"/><tag k="highway" v="steps"/></way>
<way id="17"><nd ref="5"/><nd ref="99"/><tag k="highway" v="residential"/></way>
{relation}</osm>"""


def restriction(kind: str, extra: str = "", via: str = '<member type="node" ref="2" role="via"/>') -> str:
    return (f'<relation id="1"><member type="way" ref="10" role="from"/>{via}<member type="way" ref="12" role="to"/>'
            f'<tag k="type" v="restriction"/><tag k="restriction" v="{kind}"/>{extra}</relation>')


def streets(tmp_path: Path, profile: str = "van", tag: str = "", relation: str = "") -> Router:
    path = tmp_path / "streets.osm"
    path.write_text(STREETS.format(tag=tag, relation=relation))
    made = build_map(path, profile)
    save_map(made, tmp_path / f"map-{profile}", "streets")
    return open_map(tmp_path / f"map-{profile}")


def place(router: Router, lat: float, lon: float) -> int:
    a = router.network.arrays
    return int(np.argmin(np.hypot(a["node_x"] - lon, a["node_y"] - lat)))


WEST, NORTH = (50.0, 8.0), (50.001, 8.001)


def test_streets_names_and_islands(tmp_path: Path) -> None:
    router = streets(tmp_path)
    report = router.network.report
    assert report["dropped"]["piece: on an island, or without a way back"] == 1
    assert report["dropped"]["way: highway=steps is not for this vehicle"] == 1
    assert report["dropped"]["node outside the extract"] == 1
    way = router.route(place(router, *WEST), place(router, *NORTH))
    assert way.length_m == pytest.approx(71.5 + 111.2, abs=0.5)
    assert router.network.name(int(way.edges[0])) == "West" and router.network.attribution.startswith("(c) OpenStreetMap")


@pytest.mark.parametrize(("kind", "extra", "barred"), [
    ("no_left_turn", "", True), ("only_straight_on", "", False), ("no_left_turn", '<tag k="except" v="motorcar"/>', False),
    ("no_left_turn", '<tag k="restriction:hgv" v="no_u_turn"/>', True),
])
def test_a_restriction_binds(tmp_path: Path, kind: str, extra: str, barred: bool) -> None:
    router = streets(tmp_path, relation=restriction(kind, extra))
    way = router.route(place(router, *WEST), place(router, *NORTH))
    direct = way.length_m < 200
    assert direct != barred or kind == "only_straight_on"
    assert router.network.report["forbidden_turns"] == {"no_left_turn": int(barred), "only_straight_on": 3}[kind]
    assert streets(tmp_path, "sidewalk-robot", relation=restriction(kind, extra)).network.report["forbidden_turns"] == 0


@pytest.mark.parametrize(("relation", "reason"), [
    (restriction("no_left_turn", via=""), "broken"),
    (restriction("no_left_turn", via='<member type="way" ref="11" role="via"/>'), "do not follow each other"),
    (restriction("no_left_turn", via='<member type="way" ref="15" role="via"/>'), "do not follow each other"),
    (restriction("no_left_turn", via=2 * '<member type="node" ref="2" role="via"/>'), "several nodes"),
    (restriction("perhaps"), "not known"),
    (restriction("no_left_turn", via='<member type="node" ref="4" role="via"/>'), "do not meet"),
])
def test_a_broken_restriction_is_reported(tmp_path: Path, relation: str, reason: str) -> None:
    dropped = streets(tmp_path, relation=relation).network.report["dropped"]
    assert any(reason in key for key in dropped if key.startswith("restriction"))


# A boulevard of two carriageways, west to east (1-2-3) and back (6-5-4), joined by two cross streets of two ways each:
# 2-7-5 and 3-8-6; and a longer way round outside, 3-9-4.
BOULEVARD = """<osm version="0.6">
<node id="1" lat="50.000" lon="8.000"/><node id="2" lat="50.000" lon="8.001"/><node id="3" lat="50.000" lon="8.002"/>
<node id="4" lat="50.001" lon="8.000"/><node id="5" lat="50.001" lon="8.001"/><node id="6" lat="50.001" lon="8.002"/>
<node id="7" lat="50.0005" lon="8.001"/><node id="8" lat="50.0005" lon="8.002"/><node id="9" lat="50.004" lon="8.001"/>
<way id="10"><nd ref="1"/><nd ref="2"/><tag k="highway" v="primary"/><tag k="oneway" v="yes"/></way>
<way id="11"><nd ref="2"/><nd ref="3"/><tag k="highway" v="primary"/><tag k="oneway" v="yes"/></way>
<way id="12"><nd ref="6"/><nd ref="5"/><tag k="highway" v="primary"/><tag k="oneway" v="yes"/></way>
<way id="13"><nd ref="5"/><nd ref="4"/><tag k="highway" v="primary"/><tag k="oneway" v="yes"/></way>
<way id="20"><nd ref="2"/><nd ref="7"/><tag k="highway" v="residential"/></way>
<way id="21"><nd ref="7"/><nd ref="5"/><tag k="highway" v="residential"/></way>
<way id="22"><nd ref="3"/><nd ref="8"/><nd ref="6"/><tag k="highway" v="residential"/></way>
<way id="23"><nd ref="7"/><nd ref="8"/><tag k="highway" v="residential"/></way>
<way id="24"><nd ref="3"/><nd ref="9"/><nd ref="4"/><tag k="highway" v="residential"/></way>
<way id="25"><nd ref="4"/><nd ref="1"/><tag k="highway" v="residential"/><tag k="oneway" v="yes"/></way>
<relation id="1"><member type="way" ref="10" role="from"/><member type="way" ref="20" role="via"/>
<member type="way" ref="21" role="via"/><member type="way" ref="13" role="to"/>
<tag k="type" v="restriction"/><tag k="restriction" v="{kind}"/></relation></osm>"""


def boulevard(tmp_path: Path, kind: str) -> Router:
    path = tmp_path / "boulevard.osm"
    path.write_text(BOULEVARD.format(kind=kind))
    save_map(build_map(path, "van"), tmp_path / f"map-{kind}", "boulevard")
    return open_map(tmp_path / f"map-{kind}")


def crossings(router: Router, places: list[tuple[float, float]]) -> list[int] | None:
    """The way between two places as nodes 1 to 9 of the boulevard."""
    ids = {place(router, lat, lon): i for i, (lat, lon) in BOULEVARD_NODES.items()}
    way = router.route(*(place(router, *at) for at in places))
    return None if way is None else [ids[n] for n in way.nodes.tolist()]


BOULEVARD_NODES = {1: (50.000, 8.000), 2: (50.000, 8.001), 3: (50.000, 8.002), 4: (50.001, 8.000), 5: (50.001, 8.001),
                   6: (50.001, 8.002), 7: (50.0005, 8.001), 8: (50.0005, 8.002)}


@pytest.mark.parametrize(("kind", "ends", "nodes"), [
    ("free", (1, 4), [1, 2, 7, 5, 4]),                                   # nothing forbidden
    ("no_u_turn", (1, 4), [1, 2, 3, 8, 6, 5, 4]),                        # not by 10, 20, 21, 13: by the next cross street
    ("no_u_turn", (1, 5), [1, 2, 7, 5]),                                 # the turn before the last is no offence
    ("no_u_turn", (2, 4), [2, 7, 5, 4]),                                 # nor is the same way for who starts behind `from`
    ("no_u_turn", (7, 4), [7, 5, 4]),                                    # or in the middle of it
    ("only_u_turn", (1, 4), [1, 2, 7, 5, 4]),
    ("only_u_turn", (1, 3), [1, 2, 7, 5, 4, 3]),                         # who comes by 10 must go back, and round outside
    ("only_u_turn", (2, 3), [2, 3]),
])
def test_restrictions_via_ways_bind_who_comes_that_way(tmp_path: Path, kind: str, ends: tuple[int, int],
                                                           nodes: list[int]) -> None:
    router = boulevard(tmp_path, kind)
    assert not any("restriction" in key and "not known" not in key for key in router.network.report["dropped"])
    assert crossings(router, [BOULEVARD_NODES[i] for i in ends]) == nodes
    source, target = (place(router, *BOULEVARD_NODES[i]) for i in ends)
    assert router.matrix([source], [target])[0, 0] == router.cost(source, target)


def test_closed_via_ways_and_their_copies(tmp_path: Path) -> None:
    """A closure of the street that a restriction goes via holds for whoever comes, from wherever."""
    router = boulevard(tmp_path, "no_u_turn")
    a = router.network.arrays
    router.close(np.flatnonzero(np.asarray(a["edge_way"]) == 20).tolist())
    assert crossings(router, [BOULEVARD_NODES[1], BOULEVARD_NODES[5]]) == [1, 2, 3, 8, 6, 5]
    assert crossings(router, [BOULEVARD_NODES[2], BOULEVARD_NODES[4]]) is not None
    report = router.network.report
    assert report["forbidden_turns"] == report["of_them_via_ways"] == 1


@pytest.mark.parametrize(("tag", "there", "back"), [
    ('<tag k="oneway" v="yes"/>', True, False), ('<tag k="oneway" v="-1"/>', False, True),
    ('<tag k="oneway" v="no"/>', True, True),
])
def test_one_ways_bind_vans_and_not_robots(tmp_path: Path, tag: str, there: bool, back: bool) -> None:
    for profile, free in (("van", False), ("sidewalk-robot", True)):
        router = streets(tmp_path, profile, tag)
        west, north = place(router, *WEST), place(router, *NORTH)
        assert (router.route(west, north).length_m < 200) == (there or free)
        assert (router.route(north, west).length_m < 200) == (back or free)


def test_swapped_coordinates_are_recognised(tmp_path: Path) -> None:
    router = streets(tmp_path)
    assert router.swapped(8.0, 50.0) and not router.swapped(50.0, 8.0) and not router.swapped(-30.0, 20.0)
    with pytest.raises(ValueError, match="latitude"):
        router.nearest(120.0, 8.0)


@pytest.mark.parametrize("text", [
    "", "<osm>", "no map at all", '<osm><node id="x" lat="1" lon="2"/></osm>', '<osm><node id="1" lat="north" lon="2"/></osm>',
    '<osm><node id="99999999999999999999" lat="1" lon="2"/></osm>',
    '<osm><way id="1"><nd ref="99999999999999999999"/><tag k="highway" v="service"/></way></osm>',
    '<osm><node id="1" lat="1" lon="1"/><node id="2" lat="1" lon="2"/><way id="1"><nd ref="1"/><nd ref="2"/>'
    '<tag k="highway" v="service"/><tag k="oneway" v="yes"/></way></osm>',
    '<osm><node id="1" lat="nan" lon="1"/><node id="2" lat="1" lon="999"/><way id="1"><nd ref="1"/><nd ref="2"/>'
    '<tag k="highway" v="service"/></way></osm>',
    '<!DOCTYPE o [<!ENTITY a "aaaa">]><osm>&a;</osm>', "<osm></osm>",
])
def test_what_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.osm"
    path.write_text(text)
    with pytest.raises(OsmError, match=r"bad\.osm"):
        build_osm(path, read_profile("van"))


@needs_data
@pytest.mark.parametrize("name", ["andorra.osm.pbf", "monaco.osm.gz"])
@pytest.mark.parametrize("part", [0.001, 0.5, 0.9999])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, name: str, part: float) -> None:
    data = (DATA / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[:int(len(data) * part)])
    with pytest.raises(OsmError, match="cut off"):
        read_osm(path)


def blob(kind: bytes, data: bytes) -> bytes:
    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2]) + bytes([len(value) & 0x7F | 0x80, len(value) >> 7]) + value
    body = field(3, zlib.compress(data))
    header = field(1, kind) + bytes([3 << 3, len(body) & 0x7F | 0x80, len(body) >> 7])
    return struct.pack(">I", len(header)) + header + body


@pytest.mark.parametrize("data", [
    b"\xff" * 40, b"\x00\x00\x00\x05hello", struct.pack(">I", 2**31), blob(b"OSMData", b"\x12\xff\xff\xff\xff\x0f"),
    blob(b"OSMHeader", b"\x22\x07Unknown"), blob(b"OSMData", b"\x12\x02\x12\x05"),
    blob(b"OSMData", b"\x12\x04\x1a\x02\x12\x05"),
])
def test_hostile_blocks_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.osm.pbf"
    path.write_bytes(data)
    with pytest.raises(OsmError, match=r"bad\.osm\.pbf"):
        read_osm(path)


@needs_data
@pytest.mark.parametrize("name", ["andorra.osm.pbf", "berlin-siegessaeule.osm.gz"])
def test_flipped_bytes_are_refused_or_read(tmp_path: Path, name: str) -> None:
    data, rng, path = (DATA / name).read_bytes(), np.random.default_rng(3), tmp_path / name
    if name.endswith(".gz"):                       # past the checksum of gzip
        data, path = gzip.decompress(data), tmp_path / "plain.osm"
    for _ in range(25):
        spoiled = bytearray(data)
        for place in rng.integers(0, len(data), 3).tolist():
            spoiled[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(spoiled)
        with contextlib.suppress(OsmError):
            build_osm(path, read_profile("van"))


def test_blocks_of_random_fields_are_refused(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(8), tmp_path / "bad.osm.pbf"
    for _ in range(300):
        path.write_bytes(blob(b"OSMData", rng.integers(0, 48, int(rng.integers(1, 40)), dtype=np.uint8).tobytes()))
        with pytest.raises(OsmError):
            build_osm(path, read_profile("van"))


@needs_data
@pytest.mark.parametrize(("name", "first", "tolerance"), [("monaco.osm.gz", 1, 0.02), ("moscow.osm.gz", 0, 0.02)])
def test_lengths_agree_with_graphhoppers_tests(tmp_path: Path, name: str, first: int, tolerance: float) -> None:
    """Shortest ways of a car. The first of Monaco starts in a street that nobody can drive into: we leave it out."""
    expected = json.loads((DATA / "graphhopper_expected.json").read_text())[name]
    made = build_map(DATA / name, "van")
    router = Router(made)
    router.apply({e: int(dm) * 100 for e, dm in enumerate(made.arrays["edge_length"])})
    for a, b, c, d, metres_ in expected.get("car_shortest", expected.get("car"))[first:]:
        assert router.route(router.nearest(a, b), router.nearest(c, d)).length_m == pytest.approx(metres_, rel=tolerance, abs=3)


@needs_data
def test_plain_and_packed_xml_are_one(tmp_path: Path) -> None:
    packed = DATA / "berlin-siegessaeule.osm.gz"
    (tmp_path / "plain.osm").write_bytes(gzip.decompress(packed.read_bytes()))
    one, other = read_osm(packed), read_osm(tmp_path / "plain.osm")
    assert (one.node_id == other.node_id).all() and len(one.ways) == len(other.ways) > 100


def test_profiles_are_data(tmp_path: Path) -> None:
    assert profiles() == ["cargo-bike", "sidewalk-robot", "van"]
    for text in ("name = 1 2", 'name = "x"', 'name = "x"\naccess = ["foot"]\nspeed_kmh = {footway = -1}',
                 'name = "x"\naccess = [1]\nspeed_kmh = {}', 'name = "x"\naccess = []\nspeed_kmh = {}\nwings = 2'):
        (tmp_path / "own.toml").write_text(text)
        with pytest.raises(ValueError, match=r"own\.toml"):
            read_profile(str(tmp_path / "own.toml"))
    with pytest.raises(ValueError, match="expected a profile"):
        read_profile("submarine")


def test_units() -> None:
    assert metres("1.5 m") == metres("1,5") == 1.5 and metres("narrow") is None and metres("3'") == pytest.approx(0.9144)
    assert percent("-8%") == -8 and percent("up") is None and percent("4°") == pytest.approx(7)
    assert kmh("30 mph") == pytest.approx(48.28, abs=0.01) and kmh("none") is None and kmh("walk") == 6
