"""Recommendations through a real server: visits, rules and reasons, live changes that survive a kill, and bad input."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aisle.bench.recommend.made import shop
from aisle.models.shop.item import Item
from aisle.models.shop.make import make_shop
from aisle.runtime.client import Client
from aisle.runtime.errors import Invalid

N = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shop")
    shop(made, N)
    make_shop([Item(f"p{i}", f"Plain {i}", category="A" if i % 2 else "B", attributes={"use": "rain" if i % 3 else "sun"})
               for i in range(30)], made / "models" / "plain" / "1", "plain")
    return made / "models"


@pytest.fixture(scope="module")
def corner(launch: Callable[..., Any], folder: Path) -> Any:
    return launch(folder)


@pytest.fixture
def own(launch: Callable[..., Any], folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """A server over a copy of the shop, for tests that change it."""
    if not (tmp_path / "corner").exists():
        shutil.copytree(folder / "corner", tmp_path / "corner")
    return lambda *arguments, **how: launch(tmp_path, *arguments, **how)


def ask(server: Any, path: str = "/v1/recommend/corner", **body: Any) -> Any:
    return server.ask("POST", path, body)


def ids(answer: Any) -> list[str]:
    assert answer.status == 200, answer.body
    return [item["id"] for item in answer.json["items"]]


def test_a_visit_gets_as_many_items_as_asked_for_each_with_a_reason(corner: Any) -> None:
    got = ask(corner, events=[{"item": "item-1"}, {"item": "item-2", "kind": "cart"}, "item-3"], count=7).json
    assert len(got["items"]) == 7 and got["basis"] == "taste" and got["model"] == "corner"
    assert got["events"] == {"given": 3, "used": 3} and "unknown" not in got and "notes" not in got
    for item in got["items"]:
        assert item["id"] not in ("item-1", "item-2", "item-3") and np.isfinite(item["score"])
        assert item["reason"]["code"] in ("together", "like", "fact", "trend", "fits") and item["reason"]["sentence"]
        assert "margin" not in item, "what is earned is the shop's own affair"
    assert {"decode", "encode_history", "recommend", "encode", "total"} == got["timings_ms"].keys()


def test_the_same_visit_gets_the_same_list_and_another_one_another(corner: Any) -> None:
    one, two = ask(corner, events=["item-1", "item-9"]), ask(corner, events=["item-1", "item-9"])
    assert ids(one) == ids(two) != ids(ask(corner, events=["item-50"]))


def test_times_order_the_events_and_the_newest_count(corner: Any) -> None:
    late = [{"item": "item-9", "time": 20}, {"item": "item-1", "time": "1970-01-01T00:00:10+00:00"}]
    assert ids(ask(corner, events=late)) == ids(ask(corner, events=["item-1", "item-9"]))


def test_nothing_of_the_visit_is_what_is_popular(corner: Any) -> None:
    got = ask(corner, count=5).json
    assert got["basis"] == "trend" and len(got["items"]) == 5
    assert {i["reason"]["code"] for i in got["items"]} <= {"trend", "fits"}


def test_unknown_items_are_left_out_and_said(corner: Any) -> None:
    got = ask(corner, events=["item-1", "no such", "item-9", "nor this"]).json
    assert got["unknown"] == ["nor this", "no such"] and got["events"] == {"given": 4, "used": 2}
    assert "not of this shop and left out: 'nor this', 'no such'" in got["notes"][0]
    assert [i["id"] for i in got["items"]] == ids(ask(corner, events=["item-1", "item-9"]))
    only = ask(corner, events=["no such"]).json
    assert only["basis"] == "trend" and only["items"]


def test_ten_thousand_events_are_taken_and_the_last_fifty_count(corner: Any) -> None:
    events = [{"item": f"item-{i % N}", "kind": "view"} for i in range(10_000)]
    got = ask(corner, events=events).json
    assert got["events"] == {"given": 10_000, "used": 50}
    assert got["notes"] == ["10000 events came, and the last 50 of them that are of this shop counted"]
    assert [i["id"] for i in got["items"]] == ids(ask(corner, events=events[-50:]))
    assert ask(corner, events=[*events, "item-1"]).status == 400


def test_rules_hold_for_every_item_and_nothing_is_missing(corner: Any) -> None:
    filters = {"price": {"least": 50, "most": 250}, "attributes": {"material": ["wool", "cotton"], "size": {"most": 42}},
               "not": {"categories": ["Department 3"]}}
    got = ask(corner, events=["item-1"], count=20, rules={"per_brand": 1, "diversity": 0.5}, filters=filters).json
    assert 0 < len(got["items"]) <= 20
    for item in got["items"]:
        assert 50 <= item["price"] <= 250 and item["attributes"]["material"] in ("wool", "cotton")
        assert item["attributes"]["size"] <= 42 and not item["category"].startswith("Department 3") and item["stock"] > 0
    brands = [item["brand"] for item in got["items"]]
    assert len(set(brands)) == len(brands)
    if len(got["items"]) < 20:
        assert "20 were asked for; the rules allow" in got["notes"][0]


def test_everything_blocked_is_an_empty_list_that_says_why(corner: Any) -> None:
    got = ask(corner, events=["item-1"], filters={"price": {"least": 10_000}}).json
    assert got["items"] == [] and got["none"]["rule"] == "price" and got["none"]["left"]["stock"] > 0
    assert "after the rule 'price' none was left" in got["none"]["sentence"]
    every = ask(corner, blocked=[f"item-{i}" for i in range(N)]).json
    assert every["items"] == [] and every["none"]["rule"] == "hidden"


def test_a_margin_is_shown_as_promotion(corner: Any) -> None:
    plain, lifted = ask(corner, events=["item-1"]).json, ask(corner, events=["item-1"], rules={"margin_weight": 50}).json
    assert not any("promoted" in item for item in plain["items"])
    assert all(item["promoted"] for item in lifted["items"]) and ids_of(plain) != ids_of(lifted)


def ids_of(told: dict[str, Any]) -> list[str]:
    return [item["id"] for item in told["items"]]


def test_bought_items_alone_are_hidden_where_asked(corner: Any) -> None:
    events = [{"item": "item-1", "kind": "buy"}, {"item": "item-2"}]
    rules = {"diversity": 0}
    shown = ids(ask(corner, events=events, hide="bought", count=100, rules=rules)) + ids(
        ask(corner, events=events, hide="none", count=100, rules=rules))
    assert "item-1" not in shown[:100]
    assert "item-1" not in ids(ask(corner, item="item-1", hide="none", count=100)), "what one has before him is not shown"


def test_reasons_in_chinese(corner: Any) -> None:
    got = ask(corner, events=["item-1"], language="zh").json
    assert all(any("\u4e00" <= c <= "\u9fff" for c in item["reason"]["sentence"]) for item in got["items"])


def test_a_shop_with_a_catalogue_alone_learns_what_goes_together(corner: Any) -> None:
    path = "/v1/recommend/plain"
    first = ask(corner, path, events=["p1"]).json
    assert first["basis"] == "together" and first["items"][0]["category"] == "A", "its facts are all that is known"
    for visitor in range(6):
        ask(corner, path, visitor=f"v{visitor}", events=["p1", "p20"])
    got = ask(corner, path, events=["p1"]).json
    assert got["items"][0]["id"] == "p20"
    assert got["items"][0]["reason"] == {"code": "together", "data": {"item": "p1", "title": "Plain 1", "count": 6},
                                         "sentence": "6 visitors had both this and “Plain 1”"}
    assert ask(corner, path).json["items"][0]["id"] in ("p1", "p20")


def test_over_tensors_it_is_the_same_list(corner: Any) -> None:
    want = ids(ask(corner, events=["item-1", "item-9"], count=6, blocked=["item-3"], rules={"diversity": 0}, explain=False))
    with Client(f"http://{corner.address}") as client:
        got = client.infer("corner", {"ITEMS": np.array([b"item-1", b"item-9"], object), "COUNT": np.array([6], np.int32),
                                      "HIDE": np.array([b"item-3"], object)})
    assert [one.decode() for one in got["IDS"]] == want and got["SCORES"].dtype == np.float32
    assert (np.diff(got["SCORES"]) <= 0).all()


def test_over_the_lane_it_is_the_same_list(own: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "aisle.toml").write_text(f'[lane]\nsocket = "{tmp_path}/lane"\n')
    server = own("--config", str(tmp_path / "aisle.toml"))
    asked = {"ITEMS": np.array([b"item-1", b"no such", b"item-9"], object), "COUNT": np.array([8], np.int32)}
    with Client(f"http://{server.address}") as http, Client(str(tmp_path / "lane")) as lane:
        want = http.infer("corner", asked)
        for _ in range(3):
            got = lane.infer("corner", asked)
            assert got["IDS"].tolist() == want["IDS"].tolist() and len(got["IDS"]) == 8
            np.testing.assert_array_equal(got["SCORES"], want["SCORES"])
        with pytest.raises(Invalid, match="COUNT: expected 1 to 100 items, got 0"):
            lane.infer("corner", asked | {"COUNT": np.array([0], np.int32)})


@pytest.mark.parametrize(("body", "said"), [
    (b"", "the body is empty"), (b"{", "not JSON"), (b"[]", "expected a JSON object"),
    ({"events": [{"item": ""}]}, r"events\[0\].item: expected a text of 1 to 128"),
    ({"events": [{"item": "a\n"}]}, r"events\[0\].item"), ({"events": [7]}, r"events\[0\]: expected a JSON object"),
    ({"events": [{"item": "a", "kind": "stare"}]}, "events\\[0\\].kind: expected one of view, cart, buy"),
    ({"events": [{"item": "a", "time": 1}, {"item": "b"}]}, "1 of 2 have a time"),
    ({"events": [{"item": "a", "time": "noon"}]}, r"events\[0\].time"), ({"count": 0}, "count: expected a whole number from 1"),
    ({"count": 101}, "count"), ({"count": True}, "count"), ({"rules": {"diversity": 2}}, "rules.diversity"),
    ({"rules": {"colour": 1}}, "rules.colour is unknown"),
    ({"filters": {"price": {"least": 9, "most": 1}}}, "least 9 is above"),
    ({"filters": {"price": 5}}, "filters.price: expected a JSON object"),
    ({"language": "fr"}, "language: expected one of en, zh"),
    ({"filters": {"attributes": {"size": []}}}, r"filters.attributes.size: expected a list of 1"), ({"visitor": ""}, "visitor"),
    ({"filters": {"not": {"attributes": {"size": {"least": 1}}}}}, "expected values, not a range"), ({"hide": "all"}, "hide"),
    ({"what": 1}, "what is unknown; the fields here are events, count"),
])
def test_what_cannot_be_asked_is_a_sentence(corner: Any, body: Any, said: str) -> None:
    answer = corner.ask("POST", "/v1/recommend/corner", body)
    assert answer.status == 400
    assert re.search(said, answer.error), answer.error


def test_what_is_nested_deeply_is_a_sentence(corner: Any) -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    for body in ({"rules": {"x": deep}}, {"filters": {"brands": deep}}, {"filters": deep}, {"events": deep}):
        answer = ask(corner, **body)
        assert answer.status == 400
        assert "expected" in answer.error or "unknown" in answer.error, answer.error



def test_strange_ids_are_answered(corner: Any) -> None:
    for strange in ("鞋", "🥾", "a" * 128, "'; --", "../../x"):
        assert ask(corner, events=[strange], blocked=[strange], item=strange).status == 200


# ---- the catalogue, live

def change(server: Any, *changes: dict[str, Any]) -> Any:
    return server.ask("POST", "/v1/catalogue", {"changes": list(changes)})


def test_changes_are_seen_by_the_next_query_and_survive_a_kill(own: Callable[..., Any]) -> None:
    server = own()
    first = ids(ask(server, events=["item-1"]))
    made = change(server, {"do": "remove", "id": first[0]}, {"do": "stock", "id": first[1], "stock": 0},
                  {"do": "price", "id": first[2], "price": 1.5}, {"do": "block", "id": first[3]},
                  {"do": "add", "item": {"id": "new-1", "title": "Brand new", "category": "Department 1", "price": 2}})
    assert made.status == 200 and made.json["changed"] == 5 and made.json["catalogue"] == 1
    def look(one: Any) -> tuple[list[str], Any]:
        cheap = ask(one, events=["item-1"], filters={"price": {"most": 2}}, count=5)
        return ids(ask(one, events=["item-1"], count=50)), {i["id"]: i["price"] for i in cheap.json["items"]}
    shown, cheap = look(server)
    assert not {first[0], first[1], first[3]} & set(shown) and cheap == {first[2]: 1.5, "new-1": 2.0}
    server.process.kill()
    server.process.wait(20)
    again = own()
    assert look(again) == (shown, cheap)
    read = again.ask("POST", "/v1/catalogue", {"ids": ["new-1", first[0]]}).json
    assert read["items"]["new-1"]["title"] == "Brand new" and read["items"][first[0]] is None and read["catalogue"] == 1
    more = change(again, {"do": "unblock", "id": first[3]}, {"do": "stock", "id": first[1], "stock": None})
    assert more.json["catalogue"] == 2
    assert {first[1], first[3]} <= set(ids(ask(again, events=["item-1"], count=50)))


def test_an_item_gone_since_the_fit_still_tells_what_one_likes(own: Callable[..., Any]) -> None:
    server = own()
    before = ids(ask(server, events=["item-1"]))
    change(server, {"do": "remove", "id": "item-1"})
    assert ids(ask(server, events=["item-1"])) == before
    assert "item-1" not in ids(ask(server, events=["item-2"], count=100, hide="none"))


def test_changes_are_all_or_none(own: Callable[..., Any]) -> None:
    server = own()
    refused = change(server, {"do": "price", "id": "item-1", "price": 1}, {"do": "price", "id": "nobody", "price": 1})
    assert refused.status == 400 and "changes[1]: no item has the id 'nobody'; add it first" in refused.error
    assert server.ask("POST", "/v1/catalogue", {"ids": ["item-1"]}).json["items"]["item-1"]["price"] != 1
    about = server.ask("POST", "/v1/catalogue", {}).json
    assert about["catalogue"] == 0 and about["items"] == N and about["facets"]["material"] == 5


@pytest.mark.parametrize(("one", "said"), [
    ({"do": "price", "id": "item-1"}, "price is missing"), ({"do": "price", "id": "item-1", "price": -1}, "price: expected"),
    ({"do": "stock", "id": "item-1", "stock": 1.5}, "stock: expected a whole number"),
    ({"do": "burn"}, "do: expected one of add"), ({"do": "add", "item": 3}, "item: expected an object"),
    ({"do": "add", "item": {"title": "x"}}, "item: id: expected 1 to 128"),
    ({"do": "add", "item": {"id": "a", "price": "x"}}, "price: expected a number"), ({"do": "remove"}, "id is missing"),
    ({"do": "remove", "id": "item-1", "now": True}, "now is unknown"),
    ({"do": "margin", "id": "item-1", "margin": 2}, "margin"),
])
def test_a_change_that_cannot_be_made_is_a_sentence(corner: Any, one: dict[str, Any], said: str) -> None:
    answer = corner.ask("POST", "/v1/catalogue/corner", {"changes": [one]})
    assert answer.status == 400 and said in answer.error, answer.error


def test_changes_can_be_switched_off(own: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "aisle.toml").write_text('[repository]\nupdates = "no"\n')
    server = own("--config", str(tmp_path / "aisle.toml"))
    refused = change(server, {"do": "remove", "id": "item-1"})
    assert refused.status == 403 and "changing catalogues is switched off" in refused.error
    assert server.ask("POST", "/v1/catalogue", {"ids": ["item-1"]}).json["items"]["item-1"], "reading is not changing"


def test_a_shop_that_does_not_exist_says_how_to_make_one(corner: Any) -> None:
    missing = ask(corner, "/v1/recommend/mall")
    assert missing.status == 404 and "aisle shop make" in missing.error and "corner" in missing.error
    assert "2 stations answer catalogue; name one of them" in corner.ask("POST", "/v1/catalogue", {}).error
    assert corner.ask("GET", "/v1/recommend/corner").json["privacy"]["history"] == "memory"
