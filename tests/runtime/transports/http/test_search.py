"""Search and "help me choose" through a real server: both languages, rules, live changes, an encoder, and bad input."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from aisle.models.make import small_bert
from aisle.models.make.shop import CURRENCY, items
from aisle.models.make.shop_taste import SHIPPED
from aisle.models.shop.item import Item
from aisle.models.shop.make import make_shop
from aisle.runtime.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shops")
    make_shop(items(), made / "corner" / "1", "corner", fit=SHIPPED / "for-you" / "1", currency=CURRENCY)
    make_shop([Item("a", "Thing")], made / "tiny" / "1", "tiny")
    return made


@pytest.fixture(scope="module")
def corner(launch: Callable[..., Any], folder: Path) -> Any:
    return launch(folder)


def find(server: Any, q: str, shop: str = "corner", **options: Any) -> Any:
    return server.ask("GET", f"/v1/search/{shop}?" + urlencode({"q": q, **options}))


def body(server: Any, path: str, **fields: Any) -> Any:
    return server.ask("POST", path, fields)


def test_a_phrase_in_english_finds_with_reasons_and_says_what_it_understood(corner: Any) -> None:
    told = find(corner, "non-slip shoes for a walk in the rain", n=5).json
    assert len(told["items"]) == 5 and told["language"] == "en" and told["model"] == "corner"
    first = told["items"][0]
    assert first["attributes"]["grip"] == "non-slip" and first["category"].startswith("Shoes")
    assert {"code": "facet", "text": "non-slip", "facet": "grip:non-slip", "said": "non-slip"} in first["reasons"]
    assert "title:zh" not in first["attributes"] and "margin" not in first
    assert [one["said"] for one in told["understood"]["facets"]] == ["non-slip", "shoes", "walk", "rain"]
    assert told["by"] == ["words", "attributes"] and "no text encoder" in told["by_note"]
    assert "notes" not in told


def test_the_same_in_chinese(corner: Any) -> None:
    told = find(corner, "防滑、适合雨天散步的鞋").json
    assert told["language"] == "zh" and told["items"][0]["attributes"]["grip"] == "non-slip"
    assert any("\u4e00" <= c <= "\u9fff" for c in told["items"][0]["title"])
    assert "防滑" in [one["text"] for one in told["items"][0]["reasons"]]
    english = find(corner, "防滑的鞋", language="en").json
    assert "non-slip" in [one["text"] for one in english["items"][0]["reasons"]]


def test_negation_price_and_corrections(corner: Any) -> None:
    told = find(corner, "hikng boots not leather under 600 元", n=20).json
    assert told["understood"]["corrections"] == [{"typed": "hikng", "used": "hiking"}]
    assert told["understood"]["price"] == {"least": 0.0, "most": 600.0, "currency": "CNY", "applied": True}
    assert told["understood"]["excluded"][0]["facets"] == ["material:leather"]
    assert told["items"]
    assert all(one["price"] <= 600 and one["attributes"].get("material") != "leather" for one in told["items"])
    assert "showing results for hiking" in told["notes"][0]
    euro = find(corner, "boots under 60 euros").json
    assert euro["understood"]["price"]["applied"] is False and any("prices here are in CNY" in note for note in euro["notes"])
    assert not any(why["code"] == "price" for one in euro["items"] for why in one["reasons"])
    assert any(why["code"] == "price" for why in told["items"][0]["reasons"])


def test_a_low_price_counts_where_it_is_asked_for(corner: Any) -> None:
    plain, cheap = find(corner, "umbrella", n=5).json, find(corner, "cheap umbrella", n=5).json
    assert cheap["understood"]["cheap"] and not plain["understood"]["cheap"]
    prices = [item["price"] for item in cheap["items"]]
    assert all("umbrella" in item["title"] for item in cheap["items"]) and sum(prices) < sum(i["price"] for i in plain["items"])


def test_measures_are_told_as_people_write_them(corner: Any) -> None:
    told = find(corner, "backpack 20-30 litres", n=4).json
    assert told["understood"]["measures"] == ["20-30 litres"]
    assert {one["text"] for item in told["items"] for one in item["reasons"] if one["code"] == "word"} <= {"20 l", "30 l"}


def test_filters_hold_and_stock_counts(corner: Any) -> None:
    red = find(corner, "umbrella", **{"attr.colour": "red,black", "not.build": "large", "price_most": 200,
        "n": 50}).json["items"]
    assert red and all(one["attributes"].get("colour") in ("red", "black") and one["attributes"].get("build") != "large"
                       and one["price"] <= 200 for one in red)
    everything = {one["id"] for one in find(corner, "shoes", n=100, in_stock=0).json["items"]}
    there = {one["id"] for one in find(corner, "shoes", n=100).json["items"]}
    gone = {item.id for item in items() if item.stock == 0}
    assert there < everything and everything - there <= gone and not there & gone
    assert all(one["brand"] == "Elvick" for one in find(corner, "shoes", brand="Elvick").json["items"])
    none = find(corner, "shoes", category="Nowhere").json
    assert none["items"] == [] and none["none"]["rule"] == "category"


def test_rules_and_taste_by_a_body(corner: Any) -> None:
    plain = body(corner, "/v1/search/corner", q="bag", count=10).json["items"]
    capped = body(corner, "/v1/search/corner", q="bag", count=10, rules={"per_brand": 1}).json["items"]
    brands = [one["brand"] for one in capped]
    assert len(plain) == 10 and len(set(brands)) == len(brands)
    liked = body(corner, "/v1/search/corner", q="gift", count=20, events=["tea-1", "tea-2", "coffee-1"],
        taste=1.0).json["items"]
    assert [one["id"] for one in liked] != [one["id"] for one in body(corner, "/v1/search/corner", q="gift",
        count=20).json["items"]]
    assert liked[0]["category"].startswith("Food")


def test_changes_of_the_catalogue_are_found_at_once(corner: Any) -> None:
    add = {"do": "add", "item": {"id": "zither-1", "title": "Zither with strings", "price": 10}}
    assert body(corner, "/v1/catalogue/corner", changes=[add]).status == 200
    assert [one["id"] for one in find(corner, "zither").json["items"]] == ["zither-1"]
    assert body(corner, "/v1/catalogue/corner", changes=[{"do": "stock", "id": "zither-1", "stock": 0}]).status == 200
    assert find(corner, "zither").json["items"] == []
    assert body(corner, "/v1/catalogue/corner", changes=[{"do": "remove", "id": "zither-1"}]).status == 200
    assert find(corner, "zither", in_stock=0).json["items"] == []


@pytest.mark.parametrize("q", ["", " ", "the of and", "的了吗", "'; DROP TABLE items; --", "😀😀😀", "x" * 15_000, "鞋" * 3_000,
    "ботинки", "حذاء",
                               "รองเท้า", "a\x00b\x07c", "not " * 500, "<script>", "%s{}\\", "\u202eabc", "9" * 300 + "元"])
def test_any_phrase_is_answered(corner: Any, q: str) -> None:
    answer = body(corner, "/v1/search/corner", q=q)
    assert answer.status == 200 and isinstance(answer.json["items"], list)
    json.loads(json.dumps(answer.json, allow_nan=False))
    if len(quote(q)) < 6_000:
        assert find(corner, q).status == 200


@pytest.mark.parametrize(("query", "sentence"), [
    ("q=shoes&n=0", "n: expected a whole number from 1 to 100"), ("q=shoes&n=many", "n: expected"),
    ("q=shoes&typo=1", "?typo= is unknown"),
    ("q=shoes&language=fr", "language: expected one of en, zh"), ("q=shoes&price_least=9&price_most=3", "exchange them"),
    ("q=shoes&price_most=nan", "price_most: expected"), ("q=shoes&in_stock=maybe", "in_stock: expected 1 or 0"),
    ("q=shoes&attr.colour=" + ",".join("x" * 101), "at most 100 values"),
])
def test_bad_addresses_get_a_sentence(corner: Any, query: str, sentence: str) -> None:
    answer = corner.ask("GET", f"/v1/search/corner?{query}")
    assert answer.status == 400 and sentence in answer.json["error"]


@pytest.mark.parametrize(("fields", "sentence"), [
    ({}, "q is missing"), ({"q": 5}, "q: expected a text"), ({"q": "x" * 20_001}, "20001 characters"),
    ({"q": "a", "typo": 1}, "typo is unknown"),
    ({"q": "a", "count": 0}, "count"), ({"q": "a", "taste": 2}, "taste"), ({"q": "a", "events": [1]}, "events[0]"),
])
def test_bad_bodies_get_a_sentence(corner: Any, fields: dict[str, Any], sentence: str) -> None:
    answer = body(corner, "/v1/search/corner", **fields)
    assert answer.status == 400 and sentence in answer.json["error"]


def test_several_shops_must_be_named_and_an_unknown_one_is_said(corner: Any) -> None:
    assert "name one of them" in corner.ask("GET", "/v1/search?q=shoes").json["error"]
    lost = corner.ask("GET", "/v1/search/nowhere?q=shoes")
    assert lost.status == 404 and "no search station 'nowhere'" in lost.json["error"]
    about = corner.ask("GET", "/v1/search").json["stations"]
    assert {one["name"] for one in about} == {"corner", "tiny"} and about[0]["encoder"] is None
    notes = {one["name"]: one.get("notes", []) for one in corner.ask("GET", "/healthz").json["serving"]}
    assert "no text encoder" in notes["corner"][0]


def test_choosing_in_taps_narrows_and_explains(corner: Any) -> None:
    answers: list[dict[str, Any]] = []
    for _ in range(6):
        told = body(corner, "/v1/choose/corner", answers=answers).json
        if told["question"] is None:
            break
        assert 2 <= len(told["question"]["options"]) <= 8 and told["question"]["facet"] not in [a["facet"] for a in answers]
        option = told["question"]["options"][0]
        answers.append({"facet": told["question"]["facet"], "values": option["values"], "others": option["others"]})
    assert told["question"] is None and 2 <= len(answers) <= 5 and told["likely"] < 20
    best = told["items"][0]
    assert len(best["because"]) >= len(answers) - 1 and best["share"] >= told["items"][1]["share"]


def test_choosing_in_chinese_with_a_phrase_and_without_a_matter(corner: Any) -> None:
    told = body(corner, "/v1/choose/corner", q="防滑的鞋，不要皮的", language="zh", answers=[{"facet": "colour"}]).json
    assert told["question"]["no_matter"] == "都可以" and all(one["category"].startswith("Shoes") for one in told["items"])
    assert all(one["attributes"].get("material") != "leather" for one in told["items"])
    assert told["question"]["facet"] != "colour"


@pytest.mark.parametrize(("answers", "sentence"), [
    ([{"facet": "a", "value": "x"}] * 2, "answered twice"), ([{"value": "x"}], "facet is missing"),
    ([{"facet": "a"}] * 6, "0 to 5"),
    ([{"facet": "a", "value": "x", "values": ["y"]}], "got both"), ([{"facet": "a", "others": True}], "none of these"),
    ([{"facet": "price", "value": "cheap"}], "expected prices"), ([{"facet": "price", "value": "9-3"}], "expected prices"),
])
def test_bad_answers_get_a_sentence(corner: Any, answers: list[dict[str, Any]], sentence: str) -> None:
    answer = body(corner, "/v1/choose/corner", answers=answers)
    assert answer.status == 400 and sentence in answer.json["error"]


def test_a_shop_of_one_item(corner: Any) -> None:
    assert [one["id"] for one in find(corner, "thing", shop="tiny").json["items"]] == ["a"]
    told = body(corner, "/v1/choose/tiny").json
    assert told["question"] is None and [one["id"] for one in told["items"]] == ["a"]


def test_nothing_of_a_question_is_kept_on_the_disk(corner: Any, folder: Path) -> None:
    find(corner, "shoes for Xanthippe-9173")
    time.sleep(0.1)
    assert not any(b"9173" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


# ---- with a text encoder

@pytest.fixture(scope="module")
def meant(launch: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shop beside a small encoder with random weights: what it finds means nothing, the way there does."""
    made, source = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("source")
    small_bert.write(source)
    make_shop(items()[:40], made / "corner" / "1", "corner", currency=CURRENCY)
    assert main(["search", "encoder", str(source), "--models", str(made), "--precision", "fp32", "--licence", "made",
        "--json"]) == 0
    return launch(made)


def test_meaning_counts_once_the_items_are_encoded_and_is_kept(meant: Any) -> None:
    for _ in range(200):
        told = find(meant, "non-slip shoes").json
        if "by_note" not in told:
            break
        assert told["by_note"] == "search by meaning does not know all items yet"
        time.sleep(0.05)
    assert told["by"] == ["words", "attributes", "meaning"] and "by_note" not in told
    assert "encode_question" in told["timings_ms"]
    assert find(meant, "shoes", meaning=0).json["by"] == ["words", "attributes"]
    about = meant.ask("GET", "/v1/search/corner").json
    assert about["encoder"] == {"name": "text-encoder", "version": "1", "languages": ["en"]} and about["items_to_encode"] == 0
    for _ in range(100):
        if list(meant.models.glob(".aisle/shop/corner.vectors.npz")):
            break
        time.sleep(0.05)
    assert list(meant.models.glob(".aisle/shop/corner.vectors.npz"))


def test_a_question_that_the_encoder_cannot_read_goes_by_words(meant: Any) -> None:
    told = find(meant, "狻猊犼").json
    assert told["by"] == ["words", "attributes"] and told["by_note"].startswith("按词语和属性搜索")


def test_the_encoder_answers_by_itself(meant: Any) -> None:
    told = meant.ask("POST", "/v2/models/text-encoder/infer", {"inputs": [
        {"name": "TEXT", "datatype": "BYTES", "shape": [2], "data": ["shoe", "rain"]}]}).json
    assert told["outputs"][0]["shape"] == [2, small_bert.WIDTH]
    assert meant.ask("POST", "/v2/models/text-encoder/infer", {"inputs": [
        {"name": "TEXT", "datatype": "BYTES", "shape": [0], "data": []}]}).status == 400
