"""Who may call: a token beyond loopback, and no foreign web pages on it."""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from ...config import ConfigError, ServerConfig

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready", "/healthz", "/favicon.ico")
OPEN_FOLDERS = ("/station", "/static/")


def is_loopback(host: str) -> bool:
    """True for localhost and the loopback addresses."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def read_token(server: ServerConfig) -> str:
    """The access token from the file or AISLE_TOKEN; ConfigError where listening beyond loopback lacks one."""
    token = os.environ.get("AISLE_TOKEN", "")
    if server.token_file:
        try:
            token = Path(server.token_file).read_text("utf-8").split("\n", 1)[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"server.token_file: {server.token_file} cannot be read: {error}") from None
        if not token:
            raise ConfigError(f"server.token_file: {server.token_file} has an empty first line; expected the token")
    if token and len(token) < 16:
        raise ConfigError(f"the access token has {len(token)} characters; expected at least 16")
    if not token and not is_loopback(server.host):
        raise ConfigError(f"server.host is {server.host}, which others can reach: set server.token_file (or the "
                          "environment AISLE_TOKEN) to a secret of at least 16 characters, or listen on 127.0.0.1")
    return token


class Access:
    """Checks each request before anything of it is read."""

    def __init__(self, server: ServerConfig, token: str) -> None:
        self.token = token.encode()
        self.loopback = is_loopback(server.host)
        self._known_hosts: set[str] = set()

    def check(self, request: web.BaseRequest) -> None:
        """Raise 401 or 403 for a caller that may not."""
        self.check_headers(request.path, {name: value for name in ("host", "authorization", "origin")
                                          if (value := request.headers.get(name)) is not None})

    def check_headers(self, path: str, headers: Mapping[str, str]) -> None:
        """The same for headers with lower-case names."""
        host = headers.get("host", "")
        if self.token:
            if not self._open(path) and not self._has_token(headers.get("authorization", "")):
                raise web.HTTPUnauthorized(reason="this server wants its access token: send the header "
                                                  "'Authorization: Bearer TOKEN'")
        elif self.loopback:
            self._check_host(host, "Host")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise web.HTTPForbidden(reason=f"a page of {origin} may not call this server")

    def _check_host(self, host: str, what: str) -> None:
        """Without a token only local names are answered, so that a web page cannot rebind its name to this box."""
        if host in self._known_hosts or not host:
            return
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if not is_loopback(name):
            raise web.HTTPForbidden(reason=f"the {what} header is {host!r}; a server without a token answers only to "
                                           "localhost and loopback addresses")
        if len(self._known_hosts) < 64:
            self._known_hosts.add(host)

    def _has_token(self, authorization: str) -> bool:
        given = authorization.removeprefix("Bearer ").encode("utf-8", "replace")
        return hmac.compare_digest(given, self.token)

    @staticmethod
    def _open(path: str) -> bool:
        return path == "/" or path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)
