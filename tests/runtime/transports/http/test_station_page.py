"""The station page in a real browser: taught by hand, a pass, a reject, and nothing in the console."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORD = "return document.querySelector('#verdict').dataset.state === arguments[0]"


def inspect(browser: Any, path: Path, state: str) -> None:
    browser.type("#file", str(path))
    browser.until(WORD, state)


def test_teach_then_pass_then_reject(browser: Any, station_server, pictures):
    browser.open(station_server.address + "/")
    browser.until("return document.querySelectorAll('#stations a').length === 1")
    browser.picture("1-stations")
    browser.type("#name", "by-hand")
    browser.click("#new button")
    browser.until("return !document.querySelector('#teach').hidden && document.querySelector('#alert').innerText")
    assert "not been taught" in browser.text("#alert")
    assert browser.run("return document.querySelector('#start').disabled")
    browser.type("#good", "\n".join(map(str, pictures.shown)))
    browser.until("return document.querySelectorAll('#good-list canvas').length === 8")
    browser.picture("2-teach")
    browser.click("#start")
    browser.until("return !document.querySelector('#promise').hidden")
    assert "1 in 9 good parts" in browser.text("#average") and "31.2 %" in browser.text("#bound")
    assert "51 more good parts" in browser.text("#advice")
    browser.picture("3-taught")
    browser.click("#done")
    inspect(browser, pictures.good[0], "pass")
    assert browser.text("#word") == "PASS" and browser.text("#ms").endswith("ms")
    browser.picture("4-pass")
    inspect(browser, pictures.bad[2], "reject")
    assert browser.text("#word") == "REJECT"
    assert browser.run("return document.querySelectorAll('#regions li:not(.none)').length") >= 1
    browser.until("const heat = document.querySelector('#heat'); return !heat.hidden && heat.naturalWidth === 320")
    browser.until("return document.querySelectorAll('#recent li').length === 2")
    browser.picture("5-reject")
    browser.click("#toggle")
    browser.until("return document.querySelector('#heat').hidden && document.querySelectorAll('#boxes rect').length")
    browser.picture("6-boxes")
    for width, height, name in ((420, 900, "7-phone"), (1024, 700, "8-tablet")):
        browser.size(width, height)
        time.sleep(0.2)
        browser.picture(name)
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
    expected = f"{station_server.address}/v1/inspect/by-hand"
    assert [c for c in browser.complaints() if not (expected in c and "404" in c)] == []
    own = (station_server.address, "blob:", "data:", "chrome:")    # chrome: is the browser's own first tab
    foreign = {u for u in browser.asked() if not u.startswith(own)}
    assert foreign == set()


def test_a_refusal_is_said_on_the_page(browser: Any, station_server, tmp_path: Path):
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    browser.open(f"{station_server.address}/station/flange")
    browser.until("return document.querySelector('#about').innerText")
    inspect(browser, torn, "problem")
    assert len(browser.text("#alert")) > 20
    browser.picture("9-problem")


def test_the_keyboard_reaches_everything(browser: Any, station_server):
    browser.open(f"{station_server.address}/station/flange")
    browser.until("return document.querySelector('#about').innerText")
    browser.click("#tab-inspect")
    browser.type("#tab-inspect", "\ue014")    # arrow right
    assert browser.run("return !document.querySelector('#teach').hidden && document.activeElement.id") == "tab-teach"
    browser.type("#tab-teach", "\ue012")
    assert browser.run("return !document.querySelector('#inspect').hidden && document.activeElement.id") == "tab-inspect"
    small = browser.run("return [...document.querySelectorAll('button')].filter(b => b.offsetParent && "
                        "b.getBoundingClientRect().height < 44).map(b => b.id)")
    assert small == [], "touch targets under 44 px"


def test_the_camera_takes_a_picture(browser: Any, station_server):
    browser.open(f"{station_server.address}/station/flange")
    browser.until("return document.querySelector('#about').innerText")
    browser.click("#camera")
    browser.until("return document.querySelector('#video').videoWidth > 0")
    browser.click("#shoot")
    browser.until("return ['pass', 'reject', 'problem'].includes(document.querySelector('#verdict').dataset.state)")


def test_a_chinese_browser_gets_chinese(open_browser: Callable[[str], Any], station_server, pictures):
    browser = open_browser("zh-CN")
    browser.open(f"{station_server.address}/station/flange")
    browser.until("return document.querySelector('#about').innerText")
    inspect(browser, pictures.good[0], "pass")
    assert browser.text("#word") == "合格" and browser.run("return document.documentElement.lang") == "zh-Hans"
    browser.picture("10-chinese")
    browser.click("#language")
    assert browser.text("#word") == "PASS"


def test_a_server_with_a_token_is_asked_for_it_once(browser: Any, start_server, pictures):
    server = start_server(AISLE_TOKEN="a-token-of-24-characters")
    browser.open(f"{server.address}/station/flange")
    for given in ("a-wrong-token", "a-token-of-24-characters"):
        browser.until("return document.querySelector('dialog[open] input')?.value === ''")
        browser.type("#token", given)
        browser.click("dialog button")
    browser.until("return document.querySelector('#about').innerText")
    inspect(browser, pictures.good[0], "pass")
    assert browser.run("return sessionStorage.length") == 1
    assert "a-token" not in browser.run("return JSON.stringify(localStorage) + document.cookie + location.href")
