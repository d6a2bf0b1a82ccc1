"""Floors are read, kept and asked; closures are seen by the next question; damaged files are refused."""

import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from aisle.kernels.distance_field import FREE, WALL
from aisle.kernels.shortest_path import INF
from aisle.models.bundle import BundleError
from aisle.models.route.build import build_map, save_map
from aisle.models.route.floor import Floor, load_floor
from aisle.models.route.floor_files import FloorError, read_movingai, walled
from aisle.models.route.floor_map import FloorMap
from aisle.models.route.lists import ListError, build_list
from aisle.models.route.router import Router, open_any, open_map

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[4] / "shared" / "data")) / "routes" / "movingai_maps_dev.zip"
RUNNERS = DATA.parent / "robot_runners_examples.zip"
ROOM = b"type octile\nheight 3\nwidth 5\nmap\n.....\n.@@@.\n.....\n"


def test_a_floor_goes_round_its_walls_and_survives_its_bundle(tmp_path: Path) -> None:
    (tmp_path / "room.map").write_bytes(ROOM)
    made = build_map(tmp_path / "room.map")
    save_map(made, tmp_path / "room", "room")
    floor = open_any(tmp_path / "room")
    assert isinstance(floor, Floor) and (floor.cells == made.cells).all()
    top, low = floor.nearest(0.5, 2.5), floor.nearest(2.5, 2.5)
    way = floor.route(top, low)
    assert way.length_m == 6 and len(way.nodes) == 7 and floor.cost(top, low) == way.cost_ms == 4320
    assert floor.matrix([top, low], [low]).tolist() == [[4320], [0]]
    with pytest.raises(BundleError, match="floor"):
        open_map(tmp_path / "room")


@pytest.mark.parametrize("diagonal", [False, True])
def test_closures_are_seen_at_once_and_undone(diagonal: bool) -> None:
    floor = Floor(walled(np.ones((5, 9), bool)), diagonal=diagonal)
    a, b = floor.nearest(2.5, 0.5), floor.nearest(2.5, 8.5)
    assert floor.route(a, b).length_m == 8
    wall = [floor.nearest(y + 0.5, 4.5) for y in range(4)]
    assert floor.close(wall) == 1 == floor.route(a, b).version
    assert floor.route(a, b).length_m > 8 and floor.changes() == dict.fromkeys(wall, INF)
    floor.close([floor.nearest(4.5, 4.5)])
    assert floor.route(a, b) is None and floor.cost(a, b) == INF and floor.matrix([a], [b])[0, 0] == INF
    assert len(floor.reach(a, INF - 1).nodes) == 20
    floor.reopen(list(floor.changes()))
    assert floor.route(a, b).length_m == 8 and floor.route(a, wall[0]) is not None


def test_a_long_way_fits() -> None:
    free = np.zeros((81, 81), bool)
    free[::2] = True
    free[1::4, -1] = free[3::4, 0] = True
    floor = Floor(walled(free))
    way = floor.route(floor.nearest(0.5, 0.5), floor.nearest(80.5, 80.5 if 40 % 2 == 0 else 0.5))
    assert way.length_m == len(way.nodes) - 1 > 3000


@pytest.mark.parametrize(("data", "match"), [
    (b"", "MovingAI"), (b"height 3\nwidth x\nmap\n", "MovingAI"), (b"height 0\nwidth 5\nmap\n", "cells"),
    (b"height 99999999\nwidth 99999999\nmap\n", "cells"), (ROOM[:-8], "cut off"), (ROOM[:-3], "cut off"),
    (ROOM.replace(b".@@@.", b".@@."), "row 1"),
])
def test_damaged_grids_are_refused(data: bytes, match: str) -> None:
    with pytest.raises(FloorError, match=match):
        read_movingai(data)


def ros(tmp_path: Path, **values: str) -> Path:
    image = np.full((4, 6), 254, np.uint8)
    image[0] = 0                                   # the north is wall
    image[2, 2] = 205                              # unknown
    cv2.imwrite(str(tmp_path / "hall.png"), image)
    lines = {"image": "hall.png", "resolution": "0.05", "origin": "[-1.0, 2.0, 0.0]", "negate": "0",
             "occupied_thresh": "0.65", "free_thresh": "0.196", **values}
    (tmp_path / "hall.yaml").write_text("".join(f"{k}: {v}\n" for k, v in lines.items()))
    return tmp_path / "hall.yaml"


def test_a_ros_map_lies_where_ros_puts_it(tmp_path: Path) -> None:
    floor = build_map(ros(tmp_path))
    assert floor.cells.shape == (6, 8) and floor.resolution_m == 0.05
    assert floor.bounds() == pytest.approx((2.0, -1.0, 2.2, -0.7))
    assert (floor.cells[4, 1:-1] == WALL).all() and (floor.cells[1, 1:-1] == FREE).all() and floor.cells[2, 3] == WALL
    assert floor.point(floor.nearest(2.01, -0.99)) == pytest.approx((2.025, -0.975))


@pytest.mark.parametrize("values", [
    {"image": "../../etc/passwd"}, {"image": "none.png"}, {"resolution": "0"}, {"resolution": "much"},
    {"origin": "[0, nan, 0]"}, {"origin": "[0, 0, 0.5]"}, {"origin": "[]"},
])
def test_wrong_ros_maps_are_refused(tmp_path: Path, values: dict) -> None:
    with pytest.raises(FloorError, match=r"hall\.yaml"):
        build_map(ros(tmp_path, **values))


@pytest.mark.parametrize("spoil", [
    lambda p: p.write_bytes(p.read_bytes()[:-10]), lambda p: p.unlink(), lambda p: p.write_bytes(b""),
    lambda p: np.save(p, np.full((5, 5), FREE, np.uint16)), lambda p: np.save(p, np.zeros((5, 5), np.uint16)),
    lambda p: np.save(p, np.full((5, 5), WALL, np.int64)),
])
def test_a_damaged_floor_is_refused(tmp_path: Path, spoil: object) -> None:
    save_map(Floor(walled(np.ones((3, 3), bool))), tmp_path, "hall")
    spoil(tmp_path / "cells.npy")
    with pytest.raises(BundleError, match="again"):
        load_floor(tmp_path)


def test_wrong_questions_are_refused() -> None:
    floor = Floor(walled(np.ones((3, 3), bool)))
    for wrong in (lambda: floor.nearest(np.nan, 0), lambda: floor.route(-1, 6), lambda: floor.route(6, 25),
                  lambda: floor.close([99])):
        with pytest.raises(ValueError, match="expected"):
            wrong()
    assert floor.nearest(1e9, 1e9) is None and floor.version == 0


def test_plain_lists(tmp_path: Path) -> None:
    path = tmp_path / "yard.csv"
    path.with_suffix(".nodes.csv").write_text("id,x,y\na,0,0\nb,10,0\nc,10,10\n")
    path.write_text("from,to,length_m,seconds,oneway\na,b,10,4,\nb,c,10,,yes\nc,a,15,6,1\nb,zz,1,,\n")
    router = Router(build_map(path))
    assert router.network.report["dropped"] == {"edge: unknown node": 1} and router.network.frame == "plane"
    assert router.cost(0, 1) == router.cost(1, 0) == 4000 and router.cost(2, 1) == 10_000 and router.cost(1, 2) == 7200
    for text, match in (("from,to\na,b\n", "length_m"), ("from,to,length_m\na,b,long\n", "line 2"),
                        ("from,to,length_m\nx,y,1\n", "no edge"), ("from,to,length_m\na,b,nan\n", "line 2"),
                        ("from,to,length_m\na,b,-1\n", "line 2")):
        path.write_text(text)
        with pytest.raises(ListError, match=match):
            build_list(path)
    with pytest.raises(ListError, match="nodes"):
        build_list(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="expected a file"):
        build_map(tmp_path / "map.docx")


def test_tables_of_metres() -> None:
    free = np.ones((6, 8), bool)
    free[:, 5] = False
    floor = FloorMap(walled(free), 0.5, speed_kmh=1.8)
    cells = [floor.nearest(y, x) for y, x in ((0.1, 0.1), (2.6, 1.9), (0.1, 3.6))]
    costs, metres = floor.lengths(cells, cells)
    assert (costs == floor.matrix(cells, cells)).all() and metres[0, 2] == 0 and costs[0, 2] == INF
    for i, j in ((0, 1), (1, 0), (1, 1)):
        assert metres[i, j] == pytest.approx(floor.route(cells[i], cells[j]).length_m * 10, abs=0.6)


def test_storage_and_outlets_of_the_robot_runners_are_free() -> None:
    cells = read_movingai(b"type octile\nheight 2\nwidth 5\nmap\n.SE@T\n@WGSO\n")
    assert (cells[1:-1, 1:-1] == FREE).tolist() == [[True, True, True, False, False], [False, False, True, True, False]]


@pytest.mark.skipif(not RUNNERS.is_file(), reason="the maps of the robot runners are not here")
def test_every_robot_of_the_example_stands_on_a_free_cell() -> None:
    """28,144 cells of storage, 352 outlets and 10,147 plain ones are free."""
    with zipfile.ZipFile(RUNNERS) as pack:
        cells = read_movingai(pack.read("warehouse.domain/maps/warehouse_long_corridor_large.map"))
        agents = pack.read("warehouse.domain/agents/fulfill-example_2500.agents").decode().split("\n")[2:]
    inner = cells[1:-1, 1:-1]
    assert (inner == FREE).sum() == 10_147 + 28_144 + 352
    assert all(inner.flat[int(line)] == FREE for line in agents if line.strip())


@pytest.mark.skipif(not DATA.is_file(), reason="the MovingAI maps are not here")
def test_published_lengths_and_their_paths(tmp_path: Path) -> None:
    with zipfile.ZipFile(DATA) as pack:
        floor = Floor(read_movingai(pack.read("dao/arena.map")), diagonal=True)
        runs = [line.split("\t") for line in pack.read("dao/arena.map.scen").decode().splitlines()[1:]]
    w = floor.cells.shape[1]
    for run in runs[::17]:
        sx, sy, gx, gy = map(int, run[4:8])
        way = floor.route((sy + 1) * w + sx + 1, (gy + 1) * w + gx + 1)
        assert way.length_m == pytest.approx(float(run[8]), abs=1e-3)
        rows, columns = np.divmod(way.nodes, w)
        steps = np.hypot(np.diff(rows), np.diff(columns))
        assert steps.sum() == pytest.approx(way.length_m) and (np.abs(np.diff(rows)) <= 1).all()
        assert (floor.cells.flat[way.nodes] == FREE).all()
