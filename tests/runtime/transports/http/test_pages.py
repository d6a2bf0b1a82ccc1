"""The pages' files: nothing else is served, nothing foreign is loaded, every word and element exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aisle.runtime.transports.http.pages import WEB

PAGES = sorted(WEB.glob("*.html"))
SCRIPTS = sorted(WEB.glob("*.js"))


def words(language: str) -> set[str]:
    table = re.search(rf"\n  {language}: {{(.*?)\n  }},", (WEB / "i18n.js").read_text("utf-8"), re.DOTALL)[1]
    return set(re.findall(r"[{,\n] *([a-z_]+): ", "\n" + table))


def test_both_languages_have_the_same_words():
    assert len(words("en")) > 30
    assert words("en") == words("zh")


def test_every_word_asked_for_exists():
    asked = {m for page in PAGES for m in re.findall(r'data-t(?:-label)?="([a-z_]+)"', page.read_text())}
    asked |= {m for script in SCRIPTS for m in re.findall(r'\bt\("([a-z_]+)"', script.read_text())}
    assert asked and asked <= words("en")


def test_every_element_that_a_script_names_is_on_a_page():
    ids = {m for page in PAGES for m in re.findall(r'\bid="([a-z-]+)"', page.read_text())}
    named = {m for script in SCRIPTS for m in re.findall(r'\bat\("([a-z-]+)"\)', script.read_text())}
    assert named and named <= ids


@pytest.mark.parametrize("path", sorted(WEB.iterdir()), ids=lambda p: p.name)
def test_nothing_is_loaded_from_elsewhere(path: Path):
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)
    assert "style=" not in text and not re.search(r"\son[a-z]+=", text), "the content policy forbids inline code"


def test_pages_come_with_a_strict_policy(station_server):
    for path in ("/", "/station/flange", "/station/not-yet", "/static/station.js", "/favicon.ico"):
        reply = station_server.ask(path)
        assert reply.status == 200
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_an_unchanged_file_is_not_sent_again(station_server):
    first = station_server.ask("/static/style.css")
    again = station_server.ask("/static/style.css", headers={"If-None-Match": first.headers["ETag"]})
    assert first.status == 200 and again.status == 304 and again.body == b""


@pytest.mark.parametrize("path", ["/static/../pages.py", "/static/..%2fpages.py", "/static/%2e%2e/%2e%2e/app.py",
                                  "/static/nothing.js", "/static/", "/station/", "/static//etc/passwd"])
def test_nothing_else_can_be_had(station_server, path):
    reply = station_server.ask(path)
    assert reply.status == 404 and "error" in reply.json
