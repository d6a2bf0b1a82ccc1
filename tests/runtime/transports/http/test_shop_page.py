"""The shop page in a real browser: search with reasons, a visit that changes what is recommended, choosing in taps, Chinese."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aisle.models.make.shop import CURRENCY, items
from aisle.models.make.shop_taste import SHIPPED
from aisle.models.shop.make import make_shop

NAMES = "return [...document.querySelectorAll(arguments[0] + ' strong')].map(e => e.innerText)"


@pytest.fixture(scope="module")
def shop(launch: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("shop")
    make_shop(items(), folder / "corner" / "1", "corner", fit=SHIPPED / "for-you" / "1", currency=CURRENCY)
    return launch(folder)


def open_shop(browser: Any, shop: Any) -> None:
    browser.open(f"http://{shop.address}/shop/corner")
    browser.until("return document.querySelectorAll('#for-you li').length === 8")


def test_a_search_shows_goods_with_reasons_and_what_was_understood(browser: Any, shop: Any) -> None:
    browser.open(f"http://{shop.address}/")
    browser.until("return document.querySelector('#shops a')?.innerText.includes('400')")
    open_shop(browser, shop)
    browser.picture("shop-1-start")
    browser.type("#q", "hikng boots not leather under 600\n")
    browser.until("return document.querySelectorAll('#found li').length > 1")
    assert "showing results for hiking" in browser.text("#notes")
    assert {"hiking shoes",
        "leather"} <= set(browser.run("return [...document.querySelectorAll('#understood .chip')].map(e => e.innerText)"))
    assert "hiking shoes" in browser.run(NAMES, "#found")[0]
    assert "not leather" in browser.text("#found li .why")
    browser.picture("shop-2-search")
    assert [c for c in browser.complaints() if "favicon" not in c] == []
    own = (f"http://{shop.address}", "blob:", "data:", "chrome:")
    assert {u for u in browser.asked() if not u.startswith(own)} == set()


def test_a_visit_by_keyboard_alone_keeps_its_place(browser: Any, shop: Any) -> None:
    open_shop(browser, shop)
    browser.type("#q", "cheap umbrella under 200, 20-30 cm\n")
    browser.until("return document.querySelectorAll('#found li').length > 1")
    chips = browser.run("return [...document.querySelectorAll('#understood .chip')].map(e => e.innerText)")
    assert chips == ["umbrella", "20-30 cm", "rather cheap", "up to ¥200"]
    assert browser.run("return document.querySelector('#examples').hidden && !document.querySelector('#notes').innerText")
    first = browser.run("const b = document.querySelector('#found button'); b.focus(); return b.dataset.id")
    browser.type("#found button", "\n")
    browser.until("return document.querySelector('#for-you-title').innerText === 'For you'")
    assert browser.run("return document.activeElement.dataset.id") == first
    browser.type("#help", "\n")
    browser.until("return document.querySelector('#options button')")
    browser.type("#options button", "\n")
    browser.until("return document.querySelector('#step').innerText.includes('2')")
    assert browser.run("return document.activeElement.id") == "question"
    browser.click("#forget")


def test_a_narrow_page_fits_and_a_chinese_one_names_its_categories(browser: Any, shop: Any) -> None:
    browser.size(390, 844)
    open_shop(browser, shop)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("return document.querySelector('#for-you li').getBoundingClientRect().top") < 420
    browser.click("#language")
    browser.until("return document.querySelector('#for-you-title').innerText === '本店热门'")
    browser.type("#q", "凉鞋\n")
    browser.until("return document.querySelector('#found .sort')?.innerText.startsWith('凉鞋')")
    browser.click("#language")
    browser.size(1920, 1080)


def test_what_is_looked_at_changes_what_is_recommended_and_can_be_forgotten(browser: Any, shop: Any) -> None:
    open_shop(browser, shop)
    before = browser.run(NAMES, "#for-you")
    assert browser.text("#for-you-title") == "Popular here"
    browser.type("#q", "tea\n")
    browser.until("return document.querySelectorAll('#found li').length > 2")
    browser.click("#found li button")
    browser.until("return document.querySelector('#for-you-title').innerText === 'For you'")
    browser.until("return document.querySelector('#for-you .why').innerText.length > 5")
    assert browser.run(NAMES, "#for-you") != before
    browser.picture("shop-3-for-you")
    browser.click("#forget")
    browser.until("return document.querySelector('#for-you-title').innerText === 'Popular here'")
    assert browser.run(NAMES, "#for-you") == before


def test_help_me_choose_asks_in_taps_and_explains(browser: Any, shop: Any) -> None:
    open_shop(browser, shop)
    browser.click("#help")
    browser.until("return document.querySelector('#question').innerText === 'What are you looking for?'")
    browser.picture("shop-4-question")
    for _ in range(5):
        step = browser.text("#step")
        if "enough" in step:
            break
        browser.click("#options button")
        browser.until("return document.querySelector('#step').innerText !== arguments[0]", step)
    assert browser.text("#question") == "These fit you best" and "enough" in browser.text("#step")
    assert browser.run("return document.querySelectorAll('#found li:first-child .chip').length") >= 2
    browser.picture("shop-5-chosen")
    browser.click("#back")
    browser.until("return document.querySelectorAll('#options button').length > 2")
    browser.click("#end")
    assert browser.run("return document.querySelector('#guide').hidden")


def test_chinese_and_a_phone(open_browser: Callable[[str], Any], shop: Any) -> None:
    browser = open_browser("zh-CN")
    open_shop(browser, shop)
    browser.size(420, 900)
    browser.click("#examples button")
    browser.until("return document.querySelectorAll('#found li').length > 3")
    assert "防滑" in browser.text("#understood") and any("\u4e00" <= c <= "\u9fff" for c in browser.run(NAMES, "#found")[0])
    browser.picture("shop-6-phone")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    small = browser.run("return [...document.querySelectorAll('button, input')].filter(b => b.offsetParent && "
                        "b.getBoundingClientRect().height < 44).map(b => b.id || b.innerText)")
    assert small == [], "touch targets under 44 px"


def test_a_shop_that_is_not_there_is_said(browser: Any, shop: Any) -> None:
    browser.open(f"http://{shop.address}/shop/nowhere")
    browser.until("return document.querySelector('#alert').innerText.includes('nowhere')")
