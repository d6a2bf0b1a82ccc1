"""What is kept of visitors: bounded, overwritten when it ends, encrypted on the disk, exported and erased on request."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest
from aisle.models.bundle import BundleError
from aisle.runtime.errors import Failed, Unsupported
from aisle.runtime.workloads import recommend_vault, recommend_visits
from aisle.runtime.workloads.recommend_asks import Event
from aisle.runtime.workloads.recommend_privacy import Privacy
from aisle.runtime.workloads.recommend_vault import Vault
from aisle.runtime.workloads.recommend_visits import KEPT, Visits

EVENTS = [Event("boot-7", "view"), Event("cap 1", "buy"), Event("鞋", "cart")]


def plain(events: object) -> list[tuple[str, str]]:
    return [(event.item, event.kind) for event in events]    # type: ignore[attr-defined]


# ---- in memory

def test_a_visit_is_kept_in_order_and_bounded() -> None:
    visits = Visits(2, 60)
    visits.add("ann", EVENTS[:1])
    visits.add("ann", EVENTS[1:])
    assert plain(visits.read("ann")) == plain(EVENTS) and visits.read("bob") == ()
    visits.add("ann", [Event(f"i{n}") for n in range(500)])
    assert plain(visits.read("ann")) == [(f"i{n}", "view") for n in range(450, 500)] and KEPT == 50


def test_of_too_many_visits_the_longest_idle_ends_and_is_overwritten() -> None:
    visits = Visits(2, 60)
    visits.add("ann", EVENTS)
    first = next(iter(visits._visits.values())).events
    kept = list(first)
    visits.add("bob", EVENTS)
    visits.add("ann", EVENTS[:1])
    visits.add("cid", EVENTS)
    assert len(visits) == 2 and visits.read("bob") == () and visits.read("ann")
    visits.erase("ann")
    assert all(not any(one) for one in kept) and first == [], "what was kept is zeros now"


def test_an_idle_visit_ends_and_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr(recommend_visits.time, "monotonic_ns", lambda: now[0])
    visits = Visits(10, 5)
    visits.add("ann", EVENTS)
    kept = list(next(iter(visits._visits.values())).events)
    now[0] = int(4.9e9)
    assert visits.sweep() == pytest.approx(0.1) and visits.read("ann")
    now[0] = int(5e9)
    assert visits.sweep() is None and len(visits) == 0 and all(not any(one) for one in kept)


async def test_the_next_version_of_a_shop_goes_on_with_its_visits(tmp_path: Path) -> None:
    older, other = Privacy(visits=10), Privacy()
    older.keep_in(tmp_path / "corner.visits")
    other.keep_in(tmp_path / "other.visits")
    for name in ("ann", "bob", "cleo"):
        await older.add(name, [Event("boot")], offload=None)
    newer = Privacy(visits=2)
    newer.keep_in(tmp_path / "corner.visits")
    del older
    assert await newer.read("bob", offload=None) == (Event("boot"),) and not await other.read("bob", offload=None)
    await newer.add("bob", [Event("mug")], offload=None)
    assert len(newer.memory) == 2 and [e.item for e in await newer.read("bob", offload=None)] == ["boot", "mug"]


def test_names_of_visitors_are_not_kept() -> None:
    visits = Visits(10, 60)
    visits.add("ann@example.org", EVENTS)
    assert b"ann" not in b"".join(visits._visits) and Visits(1, 1)._key("x") != Visits(1, 1)._key("x")


async def test_visits_end_on_time_also_when_nobody_asks() -> None:
    import asyncio
    privacy = Privacy(idle_s=1)
    privacy.memory.idle_s = 0.02                  # type: ignore[union-attr]
    privacy.idle_s = 0.03
    await privacy.add("ann", EVENTS, None)        # type: ignore[arg-type]
    assert len(privacy.memory) == 1               # type: ignore[arg-type]
    for _ in range(200):
        await asyncio.sleep(0.01)
        if not len(privacy.memory):               # type: ignore[arg-type]
            break
    assert not privacy.memory._visits             # type: ignore[union-attr]


# ---- on the disk

@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("cryptography", reason="the extra `privacy` is not installed")
    return tmp_path / "corner.visits"


def test_the_disk_holds_neither_names_nor_items(folder: Path) -> None:
    vault = Vault(folder, 10, 30)
    vault.add("ann@example.org", EVENTS)
    data = b"".join(path.name.encode() + path.read_bytes() for path in folder.iterdir())
    for secret in (b"ann", b"example", b"boot-7", b"cap 1", "鞋".encode(), b"buy"):
        assert secret not in data
    assert plain(vault.read("ann@example.org")) == plain(EVENTS)
    for path in (*folder.iterdir(), folder.with_suffix(".key")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_there_after_a_restart_and_gone_after_an_erasure(folder: Path) -> None:
    Vault(folder, 10, 30).add("ann", EVENTS)
    again = Vault(folder, 10, 30)
    assert len(again) == 1 and plain(again.read("ann")) == plain(EVENTS) and again.read("bob") == ()
    assert plain(again.erase("ann")) == plain(EVENTS)
    assert again.read("ann") == () and list(folder.iterdir()) == [] and len(again) == 0
    assert again.erase("ann") == ()


def test_what_is_old_is_not_read_and_then_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault, day = Vault(folder, 10, 30), 86_400
    begin = time.time()
    vault.add("ann", EVENTS[:1])
    monkeypatch.setattr(recommend_vault.time, "time", lambda: begin + 29 * day)
    vault.add("ann", EVENTS[1:])
    monkeypatch.setattr(recommend_vault.time, "time", lambda: begin + 31 * day)
    assert plain(vault.read("ann")) == plain(EVENTS[1:]), "the first is over its time, the others are not"
    (path,) = folder.iterdir()
    os.utime(path, (begin, begin))
    vault.sweep()
    assert list(folder.iterdir()) == [] and len(vault) == 0


def test_it_is_bounded(folder: Path) -> None:
    vault = Vault(folder, 3, 30)
    for number in range(6):
        vault.add(f"v{number}", EVENTS)
        os.utime(vault._path(f"v{number}"), (time.time() + number,) * 2)
    assert len(vault) == 3 == len(list(folder.iterdir())) and vault.read("v0") == () and vault.read("v5")


def test_a_changed_or_exchanged_file_is_noticed(folder: Path) -> None:
    vault = Vault(folder, 10, 30)
    vault.add("ann", EVENTS)
    vault.add("bob", EVENTS[:1])
    ann, bob = vault._path("ann"), vault._path("bob")
    bob.write_bytes(ann.read_bytes())
    with pytest.raises(Failed, match="cannot be decrypted"):
        vault.read("bob")
    ann.write_bytes(ann.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(Failed, match="erase the visitor to begin anew"):
        vault.read("ann")
    vault.erase("ann")
    vault.add("ann", EVENTS)
    assert vault.read("ann")


def test_a_key_that_others_can_read_or_that_is_none_is_refused(folder: Path) -> None:
    Vault(folder, 10, 30)
    key = folder.with_suffix(".key")
    key.chmod(0o644)
    with pytest.raises(BundleError, match=r"mode 644.; expected 600"):
        Vault(folder, 10, 30)
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(BundleError, match="expected 32 bytes, got 5"):
        Vault(folder, 10, 30)


def test_without_cryptography_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(BundleError, match=r"pip install 'aisle\[privacy\]'"):
        Vault(tmp_path / "x.visits", 10, 30)


# ---- settings

@pytest.mark.parametrize(("params", "said"), [
    ({"history": "cloud"}, "expected memory, disk or nothing, got 'cloud'"), ({"colour": 1}, "colour is unknown"),
    ({"idle_s": 0}, "idle_s from 1"), ({"visits": True}, "visits: expected int"), ({"retention_days": 1e9}, "retention_days"),
    ({"learn": "yes"}, "learn: expected bool"), ([], "expected a table"),
])
def test_settings_that_make_no_sense_are_a_sentence(params: object, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        Privacy.of(params)


async def test_a_shop_that_keeps_nothing_keeps_nothing() -> None:
    privacy = Privacy.of({"history": "nothing"})
    await privacy.add("ann", EVENTS, None)        # type: ignore[arg-type]
    assert await privacy.read("ann", None) == ()  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="keeps nothing"):
        await privacy.visitor("export", "ann", None)    # type: ignore[arg-type]
