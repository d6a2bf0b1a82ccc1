"""Who may call: tokens, hosts, origins."""

from pathlib import Path

import pytest
from aiohttp import web
from aisle.runtime.config import ConfigError, ServerConfig
from aisle.runtime.transports.http.access import Access, is_loopback, read_token

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize(("host", "local"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("localhost.evil.example", False), ("", False)])
def test_what_counts_as_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_beyond_loopback_a_token_is_demanded(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AISLE_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="token_file"):
        read_token(ServerConfig(host=host))
    monkeypatch.setenv("AISLE_TOKEN", TOKEN)
    assert read_token(ServerConfig(host=host)) == TOKEN


def test_tokens_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\nnot this\n")
    assert read_token(ServerConfig(token_file=str(path))) == TOKEN
    path.write_text("\n")
    with pytest.raises(ConfigError, match="empty first line"):
        read_token(ServerConfig(token_file=str(path)))
    path.write_text("short\n")
    with pytest.raises(ConfigError, match="at least 16"):
        read_token(ServerConfig(token_file=str(path)))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(ServerConfig(token_file=str(tmp_path / "none")))


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", TOKEN[:-1], f"Basic {TOKEN}", "Bearer " + "é" * 30])
def test_without_the_token_the_api_is_closed(authorization: str) -> None:
    access = Access(ServerConfig(host="0.0.0.0"), TOKEN)
    with pytest.raises(web.HTTPUnauthorized):
        access.check_headers("/v2/models/m/infer", {"authorization": authorization, "host": "box"})


def test_with_the_token_it_is_open_and_health_and_pages_always_are() -> None:
    access = Access(ServerConfig(host="0.0.0.0"), TOKEN)
    access.check_headers("/v2/models/m/infer", {"authorization": f"Bearer {TOKEN}", "host": "box"})
    for path in ("/", "/station/a", "/static/app.js", "/healthz", "/v2/health/ready"):
        access.check_headers(path, {"host": "box"})
    for path in ("/metrics", "/v2", "/v1/inspect", "/v2/health/live/../../models", "/v1/inspect/a/teach"):
        with pytest.raises(web.HTTPUnauthorized):
            access.check_headers(path, {"host": "box"})


@pytest.mark.parametrize(("host", "good"), [
    ("localhost:8000", True), ("127.0.0.1:8000", True), ("[::1]:8000", True), ("evil.example", False),
    ("evil.example:8000", False), ("localhost.evil.example", False)])
def test_a_rebound_name_is_refused_on_loopback(host: str, good: bool) -> None:
    access = Access(ServerConfig(), "")
    if good:
        access.check_headers("/v2", {"host": host})
    else:
        with pytest.raises(web.HTTPForbidden):
            access.check_headers("/v2", {"host": host})


@pytest.mark.parametrize(("origin", "good"), [
    ("http://localhost:8000", True), ("http://evil.example", False), ("null", False), ("http://localhost:8001", False)])
def test_pages_of_other_origins_may_not_call(origin: str, good: bool) -> None:
    access = Access(ServerConfig(), "")
    headers = {"host": "localhost:8000", "origin": origin}
    if good:
        access.check_headers("/v1/inspect/a", headers)
    else:
        with pytest.raises(web.HTTPForbidden):
            access.check_headers("/v1/inspect/a", headers)
