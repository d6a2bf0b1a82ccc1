"""Reading catalogues: broken lines and ids given twice are named by their lines."""

from pathlib import Path

import pytest
from aisle.models.shop.catalogue import Catalogue
from aisle.models.shop.item import Item, ShopError
from aisle.models.shop.make import write_catalogue
from aisle.models.shop.read import read_items
from hypothesis import given, settings
from hypothesis import strategies as st

CSV = """id,title,category,price,stock,blocked,attr:colour,attr:size
b1,"Boot, high",Shoes > Boots,59.9,3,,red|blue,42
b2,Boot,Shoes/Boots,,,yes,red,43
"""


def place(tmp_path: Path, text: str | bytes, name: str = "shop.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(tmp_path: Path, delimiter: str, mark: str, end: str) -> None:
    text = (mark + CSV).replace("Boot, high", "Boot; high").replace(",", delimiter).replace("\n", end)
    one, two = read_items(place(tmp_path, text))[0]
    assert one == Item("b1", "Boot; high", category="Shoes/Boots", price=59.9, stock=3,
                       attributes={"colour": ("red", "blue"), "size": 42.0})
    assert two.blocked and two.price is None and two.stock is None and two.attributes == {"colour": "red", "size": 43.0}


def test_a_column_is_numbers_only_where_all_of_it_is(tmp_path: Path) -> None:
    items, _ = read_items(place(tmp_path, "id,attr:size,attr:code\n1,42,007\n2,XL,5\n3,,\n"))
    assert [item.attributes.get("size") for item in items] == ["42", "XL", None]
    assert [item.attributes.get("code") for item in items] == ["007", "5", None]


def test_texts_over_several_lines_keep_the_numbers_right(tmp_path: Path) -> None:
    path = place(tmp_path, 'id,title\n1,"a\nb\nc"\n2,x\n2,y\n')
    with pytest.raises(ShopError, match="line 6: id '2' is given twice, first in line 5"):
        read_items(path)
    assert read_items(path, skip_broken=True)[0][0].title == "a b c"


@pytest.mark.parametrize(("text", "said"), [
    ("", "has no column id"), ("title\nx\n", "has no column id"), ("id,id\n1,2\n", "has the column 'id' twice"),
    ("id,weight\n1,2\n", "unknown column 'weight'; expected id, title"), ("id,attr:\n1,2\n", "unknown column 'attr:'"),
    ("id\n", "has no items"),
    ("id,price\n1,2\n2,cheap\n3,-1\n", r"2 broken lines; .*\n  line 3: price: .*'cheap'\n  line 4: price"),
    ("id,title\n1,a\n2\n3,b,c\n", r"line 3: expected 2 columns as in the header, got 1\n  line 4: .* got 3"),
    ('id,title\n1,"a"b\n2,c\n', "line 2: .*quote"),
    ("id\n1\n1\n2\n1\n", r"line 3: id '1' is given twice, first in line 2\n  line 5"),
    (b"id,title\n1,ok\n2,\xff\n", "is not UTF-8 .line 3: byte 0xff"), (b"\x00\x01\x02", "has no column id"),
])
def test_a_broken_csv_is_named_by_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ShopError, match=f"(?s)shop.csv.*{said}"):
        read_items(place(tmp_path, text))


@pytest.mark.parametrize(("text", "said"), [
    ('{"id": "1"}\n{"id": \n', "line 2: not JSON"), ('{"id": "1"}\n\n[1]\n', "line 3: expected an object"),
    ('{"id": "1", "price": NaN}\n', "line 1: not JSON: NaN is no JSON"),
    ('{"id": "1"}\n{"id": "1"}\n', "line 2: id '1' is given twice"),
    ("[" * 100_000, "line 1: not JSON"), ("", "has no items"),
])
def test_broken_json_lines_are_named_by_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ShopError, match=f"(?s)shop.jsonl.*{said}"):
        read_items(place(tmp_path, text, "shop.jsonl"))


def test_many_faults_are_counted_and_some_named(tmp_path: Path) -> None:
    path = place(tmp_path, "id,price\n" + "".join(f"{i},x\n" for i in range(500)) + "ok,1\n")
    with pytest.raises(ShopError, match=r"(?s)has 500 broken lines.*line 21.*and 480 more$"):
        read_items(path)
    items, faults = read_items(path, skip_broken=True)
    assert [item.id for item in items] == ["ok"] and len(faults) == 500
    assert len(Catalogue.read(path, skip_broken=True).faults) == 500


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match=r"cannot read .*No such file"):
        read_items(tmp_path / "none.csv")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["shop.csv", "shop.jsonl"]))
def test_anything_is_read_or_refused_with_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(data)
    try:
        read_items(path)
    except ShopError as error:
        assert str(error)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=20).filter(lambda t: t.isprintable() and t.strip() == t), min_size=1, unique=True),
       st.text(max_size=50))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, ids: list[str], text: str) -> None:
    path = tmp_path_factory.mktemp("out") / "catalogue.jsonl"
    items = [Item(one, one, " ".join(filter(str.isprintable, text)), stock=0, price=0.0) for one in ids]
    write_catalogue(items, path)
    again, _ = read_items(path)
    assert [(i.id, i.title, i.stock, i.price) for i in again] == [(one, one, 0, 0.0) for one in ids]
