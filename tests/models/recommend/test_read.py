"""Interaction files: the forms that are read, and the sentences for those that are not."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from aisle.models.recommend.interactions import Interactions, arranged, core, is_core
from aisle.models.recommend.read import InteractionError, read
from hypothesis import HealthCheck, settings
from hypothesis import given as given_
from hypothesis import strategies as st


def events(data: Interactions) -> list[tuple[str, str]]:
    return [(data.users[u], data.items[i]) for u, i in zip(data.user, data.item, strict=True)]


def given(tmp_path: Path, text: str | bytes, name: str = "events.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [
    "user,item,time\nu,b,20\nv,a,5\nu,a,10\n",
    "\ufeffTime;Product_ID;user_id;price\n20;b;u;3\n5;a;v;1\n10;a;u;2\n",
    "user_id:token\titem_id:token\ttimestamp:float\nu\tb\t20\nv\ta\t5\nu\ta\t10\n",
    "user,item,time\n\"u\",\"b\",1970-01-01T00:00:20\nv,a,1970-01-01T00:00:05Z\nu,a,1970-01-01 00:00:10\n",
    "u b 20\nv a 5\nu a 10\n",
    "u a\nv a\nu b\n",
    "user item\nu a\n\nv a\r\nu b\n",
])
def test_the_same_events_from_every_form(tmp_path: Path, text: str) -> None:
    data = read(given(tmp_path, text))
    assert sorted(events(data)) == [("u", "a"), ("u", "b"), ("v", "a")] and data.told == ()
    mine = [item for user, item in events(data) if user == "u"]
    assert mine == ["a", "b"], "in order of time"
    assert data.time is None or data.time.max() == 20


@pytest.mark.parametrize("text", ["u,b,5.0,1400000020\nv,a,1.0,1400000005\nu,a,3.0,1400000010\n",
                                  "u\tb\t1400000020\nv\ta\t1400000005\nu\ta\t1400000010\n"])
def test_ratings_without_a_header_are_read_and_told(tmp_path: Path, text: str) -> None:
    data = read(given(tmp_path, text))
    assert [item for user, item in events(data) if user == "u"] == ["a", "b"] and len(data.user) == 3
    assert len(data.told) == 1 and "names no columns; line 1 looks like user, item" in data.told[0]


def test_milliseconds_are_seconds(tmp_path: Path) -> None:
    assert read(given(tmp_path, "user,item,time\nu,a,1700000000000\n")).time[0] == 1.7e9


def test_a_zip_with_one_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("LICENSE", "of the data")
        archive.writestr("Video.txt", "1 2\n1 3\n")
    assert events(read(tmp_path / "a.zip")) == [("1", "2"), ("1", "3")]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.txt", "1 2\n")
        archive.writestr("b.csv", "1 2\n")
    with pytest.raises(InteractionError, match="found 2; unpack it"):
        read(tmp_path / "b.zip")
    with pytest.raises(InteractionError, match="no readable zip"):
        read(given(tmp_path, b"PK\x03\x04 broken", "c.zip"))


def test_broken_lines_are_named_and_left_out(tmp_path: Path) -> None:
    good = "".join(f"u{i},a,{i}\n" for i in range(100))
    data = read(given(tmp_path, f"user,item,time\n{good}u1\nu1,,3\nu1,a,yesterday\nu1,a\x07b,4\nu1,{'x' * 300},4\n"))
    assert len(data.user) == 100 and len(data.told) == 1
    for part in ("5 broken lines", "line 102: 1 of 3 columns", "line 103: no item", "line 104: 'yesterday' is no time",
                 "line 105:", "line 106:"):
        assert part in data.told[0]


def test_a_quote_that_never_closes_breaks_one_line(tmp_path: Path) -> None:
    good = "".join(f"u{i},a,{i}\n" for i in range(100))
    data = read(given(tmp_path, f'user,item,time\nu,"b,3\n{good}"u","b""c",3\n'))
    assert len(data.user) == 101 and 'b"c' in data.items and "1 broken line left out: line 2" in data.told[0]


def test_a_line_without_end_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = "".join(f"u{i},a\n" for i in range(60))
    data = read(given(tmp_path, f"user,item\n{good}{'x' * 1_000_000},a\nu1,b\n"))
    assert len(data.user) == 61 and "line 62: over 10,000 characters" in data.told[0]
    monkeypatch.setattr("aisle.models.recommend.read.MAX_EVENTS", 50)
    with pytest.raises(InteractionError, match="has over 50 events"):
        read(given(tmp_path, f"user,item\n{good}"))


@given_(st.one_of(st.binary(max_size=400), st.text(alphabet='ab,;\t"\n 01.x\r', max_size=400).map(str.encode)),
        st.sampled_from(["a.csv", "a.zip", "a.txt"]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_events_or_a_sentence(tmp_path: Path, content: bytes, name: str) -> None:
    for head in (b"", b"user,item,time\n"):
        try:
            data = read(given(tmp_path, head + content, name))
        except InteractionError as error:
            assert str(error).count(name)
        else:
            assert len(data.user) == len(data.item) > 0 and data.user.max() < len(data.users)


@pytest.mark.parametrize(("text", "says"), [
    ("", "holds no events"),
    ("user,item,time\n", "holds no events"),
    ("u1,a,3\nu1,b,4\n", "no column user and no column item"),
    ("user,price\nu,3\n", "no column item"),
    ("1\t2\t5\t7\t881250949\n", "5 columns and names none"),
    ("1\t2\t5\t7\n", "4 columns and names none"),
    ("u a\nu\nu\nu\n", "line 2: expected 2 columns, got 1"),
    ("justone\n", "expected 2 columns, got 1"),
    ("x" * 20_000, "line 1 is over 10,000 characters"),
    ("user,item\n" + "x" * 20_000 + ",a\n", "over 10,000 characters"),
    (b"user,item\nu,\xff\xfe\n", "not UTF-8"),
    (b"\x00\x01\x02\x03 \x04\n" * 3, "is no user"),
])
def test_what_is_no_interaction_file_is_refused(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(InteractionError, match=says):
        read(given(tmp_path, text))


def test_no_file_and_no_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InteractionError, match="is no file"):
        read(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InteractionError, match=r"aisle\[parquet\]"):
        read(given(tmp_path, b"PAR1", "a.parquet"))


def test_parquet(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    import pyarrow as pa
    pq.write_table(pa.table({"user_id": [7, 7, None], "item": ["b", "a", "c"], "timestamp": [2.0, 1.0, 3.0]}),
                   tmp_path / "a.parquet")
    with pytest.raises(InteractionError, match="line 3: no user"):
        read(tmp_path / "a.parquet")
    with pytest.raises(InteractionError, match="no readable parquet"):
        read(given(tmp_path, b"PAR1 broken", "b.parquet"))


def test_double_clicks_count_once_and_are_told(tmp_path: Path) -> None:
    data = read(given(tmp_path, "user,item,time\nu,a,1\nu,b,1\nu,a,1\nu,a,2\nv,a,1\nv,a,2\n"))
    assert events(data) == [("u", "a"), ("u", "b"), ("u", "a"), ("v", "a"), ("v", "a")]
    assert "1 events were there twice" in data.told[0]


def test_the_core_holds_and_keeps_the_order() -> None:
    rng = np.random.default_rng(2)
    data = arranged(tuple(f"u{i}" for i in range(60)), tuple(f"i{i}" for i in range(40)), rng.integers(60, size=500),
                    rng.zipf(1.5, 500).clip(max=40) - 1, None)
    kept = core(data, 5)
    assert is_core(kept) and not is_core(data) and 0 < len(kept.user) < 500
    names = set(kept.items)
    for at, user in enumerate(kept.users[:5]):
        before = [i for u, i in events(data) if u == user and i in names]
        assert [kept.items[i] for i in kept.sequences()[at]] == before
    assert len(core(arranged(("a",), ("b",), np.array([0]), np.array([0]), None)).user) == 0
