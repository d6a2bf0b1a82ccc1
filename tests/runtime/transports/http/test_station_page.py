"""The station page in a real browser: taught by hand, a pass, a reject, and nothing in the console."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
         "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"    # the key of a found element in WebDriver's replies
PATIENCE_S = 60

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


class Browser:
    """A headless Chromium, driven over WebDriver's HTTP."""

    def __init__(self, port: int, profile: Path, language: str = "en-US") -> None:
        self.root = f"http://127.0.0.1:{port}"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}", f"--lang={language}",
                                                "--window-size=1920,1080"],
                   "prefs": {"intl.accept_languages": language}}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.root += f"/session/{made['sessionId']}"

    def _send(self, method: str, path: str, told: Any = None) -> Any:
        data = json.dumps(told or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return json.loads(reply.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:600]}") from None

    def open(self, url: str) -> None:
        self._send("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a piece of JavaScript."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, css: str) -> str:
        return self._send("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css: str) -> None:
        self._send("POST", f"/element/{self.find(css)}/click")

    def type(self, css: str, text: str) -> None:
        """Type text, or choose files (paths, one a line)."""
        self._send("POST", f"/element/{self.find(css)}/value", {"text": text})

    def text(self, css: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", css)

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait until a piece of JavaScript is true."""
        for _ in range(PATIENCE_S * 20):
            value = self.run(script, *arguments)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}\npage: {self.text('body')}")

    def size(self, width: int, height: int) -> None:
        self._send("POST", "/window/rect", {"width": width, "height": height})

    def picture(self, name: str) -> None:
        """Keep a screenshot where AISLE_SCREENSHOTS names a folder."""
        if folder := os.environ.get("AISLE_SCREENSHOTS"):
            Path(folder, f"{name}.png").write_bytes(base64.b64decode(self._send("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def asked(self) -> set[str]:
        """Every URL that the page asked for."""
        messages = [json.loads(e["message"])["message"] for e in self._send("POST", "/se/log", {"type": "performance"})]
        return {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}

    def close(self) -> None:
        self._send("DELETE", "")


@pytest.fixture(scope="module")
def driver() -> Iterator[int]:
    """A running ChromeDriver; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5).close()
            break
        except urllib.error.URLError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture
def browser(driver: int, tmp_path: Path) -> Iterator[Browser]:
    made = Browser(driver, tmp_path / "profile")
    yield made
    made.close()


WORD = "return document.querySelector('#verdict').dataset.state === arguments[0]"


def inspect(browser: Browser, path: Path, state: str) -> None:
    browser.type("#file", str(path))
    browser.until(WORD, state)


def test_teach_then_pass_then_reject(browser: Browser, station_server, pictures):
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


def test_a_refusal_is_said_on_the_page(browser: Browser, station_server, tmp_path: Path):
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    browser.open(f"{station_server.address}/station/flange")
    browser.until("return document.querySelector('#about').innerText")
    inspect(browser, torn, "problem")
    assert len(browser.text("#alert")) > 20
    browser.picture("9-problem")


def test_the_keyboard_reaches_everything(browser: Browser, station_server):
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


def test_the_camera_takes_a_picture(browser: Browser, station_server):
    browser.open(f"{station_server.address}/station/flange")
    browser.until("return document.querySelector('#about').innerText")
    browser.click("#camera")
    browser.until("return document.querySelector('#video').videoWidth > 0")
    browser.click("#shoot")
    browser.until("return ['pass', 'reject', 'problem'].includes(document.querySelector('#verdict').dataset.state)")


def test_a_chinese_browser_gets_chinese(driver: int, station_server, pictures, tmp_path: Path):
    browser = Browser(driver, tmp_path / "profile", "zh-CN")
    try:
        browser.open(f"{station_server.address}/station/flange")
        browser.until("return document.querySelector('#about').innerText")
        inspect(browser, pictures.good[0], "pass")
        assert browser.text("#word") == "合格" and browser.run("return document.documentElement.lang") == "zh-Hans"
        browser.picture("10-chinese")
        browser.click("#language")
        assert browser.text("#word") == "PASS"
    finally:
        browser.close()


def test_a_server_with_a_token_is_asked_for_it_once(browser: Browser, start_server, pictures):
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
