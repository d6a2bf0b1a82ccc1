"""The map page in a real browser: drawn without any tile server, a way, a closure, robots, keys, a phone."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from aisle.models.make import blocks_map
from aisle.models.route.build import build_map, save_map


@pytest.fixture(scope="module")
def town(launch: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with one map."""
    folder = tmp_path_factory.mktemp("maps")
    blocks_map.make(folder, "town")
    return launch(folder)


def ask(town: Any, told: Any) -> Any:
    body = json.dumps(told).encode()
    with urllib.request.urlopen(f"http://{town.address}/v1/routes", body, timeout=30) as reply:
        return json.loads(reply.read())


def open_map(browser: Any, town: Any) -> None:
    browser.open(f"http://{town.address}/map/town")
    browser.until("return document.querySelector('#map-about').innerText.includes('400')")
    browser.until(f"return ({INK})() > 5000")


# How many pixels of the canvas are not ground.
INK = """() => { const c = document.querySelector('#canvas');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] < 200; return n; }"""
PRESS = """const c = document.querySelector('#canvas'), r = c.getBoundingClientRect();
  const o = {bubbles: true, pointerId: 1, clientX: r.left + r.width * arguments[0], clientY: r.top + r.height * arguments[1]};
  c.setPointerCapture = () => {};
  c.dispatchEvent(new PointerEvent('pointerdown', o)); c.dispatchEvent(new PointerEvent('pointerup', o));"""
COLOUR = """const c = document.querySelector('#canvas');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  const [r, g, b] = arguments; let n = 0;
  for (let i = 0; i < d.length; i += 4) n += Math.abs(d[i]-r) + Math.abs(d[i+1]-g) + Math.abs(d[i+2]-b) < 30; return n;"""
ROUTE, SHUT, ROBOT = (0x0B, 0x57, 0xD0), (0xB3, 0x30, 0x0A), (0x00, 0x69, 0x5C)


def test_a_way_a_closure_and_robots_are_drawn(browser: Any, town: Any) -> None:
    browser.open(f"http://{town.address}/")
    browser.until("return document.querySelector('#maps a')?.innerText.includes('town')")
    open_map(browser, town)
    browser.picture("map-1")
    browser.run(PRESS, 0.42, 0.9)
    assert "where it ends" in browser.text("#hint")
    browser.run(PRESS, 0.62, 0.2)
    browser.until("return !document.querySelector('#numbers').hidden && document.querySelectorAll('#steps li').length > 1")
    browser.until(f"{COLOUR.replace('return n;', 'return n > 500;')}", *ROUTE)
    browser.picture("map-2-way")
    browser.click("#tool-close")
    ask(town, {"type": "robots", "robots": [{"name": f"r{i}", "lat": 43.722 + i * 0.004, "lon": 7.414 + i * 0.003}
                                            for i in range(4)]})
    ask(town, {"type": "update", "changes": [{"name": "works", "do": "close", "for_s": 600,
                                              "area": [{"lat": 43.7245, "lon": 7.40}, {"lat": 43.7245, "lon": 7.424},
                                                       {"lat": 43.7255, "lon": 7.424}, {"lat": 43.7255, "lon": 7.40}]}]})
    browser.until("return document.querySelector('#changes').innerText.includes('works')")
    browser.until(f"{COLOUR.replace('return n;', 'return n > 200;')}", *SHUT)
    browser.until(f"{COLOUR.replace('return n;', 'return n > 200;')}", *ROBOT)
    browser.picture("map-3-closure")
    browser.run(PRESS, 0.55, 0.5)
    browser.until("return document.querySelectorAll('#changes li').length === 2")
    browser.click("#changes button")
    browser.until("return document.querySelectorAll('#changes li').length === 1")
    browser.click("#changes button")
    browser.until("return !document.querySelector('#no-changes').hidden")
    assert ask(town, {"type": "changes"})["changes"] == []
    assert [c for c in browser.complaints() if "getImageData" not in c] == []     # that is this test looking
    own = (f"http://{town.address}", "blob:", "data:", "chrome:")
    assert {u for u in browser.asked() if not u.startswith(own)} == set()


def test_keys_and_a_phone(browser: Any, town: Any) -> None:
    open_map(browser, town)
    browser.type("#canvas", "+++")
    time.sleep(0.4)
    browser.picture("map-4-close")
    browser.type("#canvas", "\ue012\ue013")     # arrows left and up
    browser.type("#canvas", "\ue007")           # Enter
    assert "where it ends" in browser.text("#hint")
    browser.size(420, 900)
    time.sleep(0.4)
    browser.picture("map-5-phone")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    small = browser.run("return [...document.querySelectorAll('button')].filter(b => b.offsetParent && "
                        "b.getBoundingClientRect().height < 44).map(b => b.id)")
    assert small == [], "touch targets under 44 px"


def test_a_press_beside_every_street_is_explained(browser: Any, town: Any) -> None:
    open_map(browser, town)
    browser.click("#farther")
    browser.click("#farther")
    browser.run(PRESS, 0.02, 0.02)
    browser.run(PRESS, 0.5, 0.5)
    browser.until("return document.querySelector('#alert').innerText.includes('street')")
    browser.picture("map-6-beside")


def test_a_map_that_is_not_there_is_said(browser: Any, town: Any) -> None:
    browser.open(f"http://{town.address}/map/nowhere")
    browser.until("return document.querySelector('#alert').innerText.includes('aisle map build')")


def test_chinese(open_browser: Callable[[str], Any], town: Any) -> None:
    browser = open_browser("zh-CN")
    browser.open(f"http://{town.address}/map/town")
    browser.until("return document.querySelector('#hint').innerText === '点按起点'")


def test_a_site_is_listed_and_says_what_it_joins(browser: Any, launch: Callable[..., Any],
                                                 tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("site")
    for name in ("town", "village"):
        blocks_map.make(folder / "models", name, 5, 5)
    gate = '[[portals]]\nname = "gate"\na = {map = "town", node = 1}\nb = {map = "village", node = 1}\n'
    (folder / "site.toml").write_text(gate)
    save_map(build_map(folder / "site.toml"), folder / "models" / "campus" / "1", "campus")
    one = launch(folder / "models")
    browser.open(f"http://{one.address}/")
    browser.until("return document.querySelector('#maps')?.innerText.includes('joins town, village')")
    browser.open(f"http://{one.address}/map/campus")
    browser.until("return !document.querySelector('#alert').hidden")
    assert browser.text("#alert") == "joins town, village"
