"""Regions of system shared memory, with clients that behave and clients that do not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from aisle.runtime.errors import AisleError, Busy, Invalid, NotFound
from aisle.runtime.shared_memory import Owner, Regions
from hypothesis import given
from hypothesis import strategies as st


def owner(connection: object = 1, label: str = "", alive: bool = True) -> Owner:
    return Owner(label, connection, lambda: alive)  # type: ignore[arg-type]


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[Regions]:
    (tmp_path / "obj").write_bytes(bytes(range(256)) * 64)
    yield Regions(tmp_path, limit=4)


def test_bytes_are_read_and_written_at_the_offset(regions: Regions) -> None:
    regions.register("r", "/obj", 100, 1000, owner())
    region = regions.get("r")
    assert bytes(region.read(5, 3)) == bytes([105, 106, 107])
    region.write(10, b"hello")
    assert (regions.folder / "obj").read_bytes()[110:115] == b"hello"
    assert bytes(region.read(10, 5)) == b"hello"


def test_status_and_unregister(regions: Regions) -> None:
    regions.register("r", "obj", 0, 10, owner())
    assert regions.status("r") == [{"name": "r", "key": "obj", "offset": 0, "byte_size": 10}] == regions.status()
    regions.unregister("r")
    regions.unregister("r")
    assert regions.status() == []
    for ask in (regions.get, regions.status):
        with pytest.raises(NotFound, match=r"Unable to find .*'r'"):
            ask("r")


@pytest.mark.parametrize("key", ["", "/", "//", ".", "..", "/..", "a/b", "/../obj", "obj/", "a\0b", "x" * 300,
                                 "triton_python_backend_shm_region_1", "absent", "folder", "link", "pipe"])
def test_keys_that_are_no_object_of_their_own_are_refused(regions: Regions, key: str) -> None:
    (regions.folder / "folder").mkdir()
    (regions.folder / "link").symlink_to(regions.folder / "obj")
    os.mkfifo(regions.folder / "pipe")
    with pytest.raises(Invalid, match="Unable to open shared memory region"):
        regions.register("r", key, 0, 1, owner())
    assert regions.status() == []


@given(st.text(max_size=30))
def test_any_key_stays_inside_the_folder(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    regions = Regions(tmp_path_factory.mktemp("shm"))
    with pytest.raises(AisleError):
        regions.register("r", key, 0, 1, owner())


@pytest.mark.parametrize(("offset", "size"), [(-1, 10), (0, 0), (0, -1), (0, 16385), (16384, 1), (1 << 63, 1)])
def test_a_region_must_lie_in_its_object(regions: Regions, offset: int, size: int) -> None:
    with pytest.raises(Invalid, match="failed to register shared memory region 'r': invalid args"):
        regions.register("r", "obj", offset, size, owner())


@pytest.mark.parametrize(("offset", "size", "text"), [
    (100, 1, "Invalid offset for"), (-1, 1, "Invalid offset for"), (1, 100, "Invalid offset \\+ byte size"),
    (0, -1, "Invalid offset \\+ byte size"), (1, 1 << 70, "Invalid offset \\+ byte size"),
])
def test_a_request_must_lie_in_its_region(regions: Regions, offset: int, size: int, text: str) -> None:
    regions.register("r", "obj", 0, 100, owner())
    with pytest.raises(Invalid, match=text):
        regions.get("r").read(offset, size)
    with pytest.raises(Invalid, match=text):
        regions.get("r").span(offset, size)


def test_a_truncated_object_is_an_error_and_no_death(regions: Regions) -> None:
    regions.register("r", "obj", 0, 16384, owner())
    os.truncate(regions.folder / "obj", 10)
    region = regions.get("r")
    with pytest.raises(Invalid, match="was truncated: expected at least 16384 bytes, got 10"):
        region.read(0, 16384)
    with pytest.raises(Invalid, match="was truncated"):
        region.write(0, bytes(16384))
    assert (regions.folder / "obj").stat().st_size == 10, "a late write must not make the object grow again"


def test_an_unregistered_region_lives_until_its_last_request(regions: Regions) -> None:
    regions.register("r", "obj", 0, 16, owner())
    region = regions.get("r")
    before = len(os.listdir("/proc/self/fd"))
    regions.unregister("r")
    assert bytes(region.read(0, 2)) == b"\x00\x01"
    del region
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_refused_registrations_keep_no_descriptor(regions: Regions) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(Invalid):
            regions.register("r", "obj", 0, 1 << 40, owner())
    assert len(os.listdir("/proc/self/fd")) == before


def test_names_are_taken_once_and_their_number_is_bounded(regions: Regions) -> None:
    for i in range(4):
        regions.register(f"r{i}", "obj", 0, 1, owner())
    with pytest.raises(Invalid, match="shared memory region 'r0' already in manager"):
        regions.register("r0", "obj", 0, 1, owner())
    with pytest.raises(Busy, match="4 shared memory regions"):
        regions.register("r4", "obj", 0, 1, owner())


def test_unregister_all_spares_other_living_clients(regions: Regions) -> None:
    regions.register("mine", "obj", 0, 1, owner(1))
    regions.register("theirs", "obj", 0, 1, owner(2))
    regions.register("orphan", "obj", 0, 1, owner(3, alive=False))
    regions.register("labelled", "obj", 0, 1, owner(1, "line-4"))
    regions.unregister_all(owner(1))
    assert [r["name"] for r in regions.status()] == ["theirs", "labelled"]
    regions.unregister_all(owner(9, "line-4"))
    assert [r["name"] for r in regions.status()] == ["theirs"]
