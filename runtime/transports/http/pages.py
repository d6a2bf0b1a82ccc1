"""The station page: a few static files, held in memory and sent with a strict content policy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from ...errors import NotFound
from .context import Context

WEB = Path(__file__).parents[2] / "web"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                               "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",    # asked again each time, answered with 304: an update is seen at once
}


@dataclass(frozen=True)
class File:
    """One static file."""

    body: bytes
    media_type: str
    tag: str


def read_files(folder: Path) -> dict[str, File]:
    """Every file of a known type in `folder`, by name; nothing else can ever be served."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in TYPES:
            body = path.read_bytes()
            found[path.name] = File(body, TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return found


class Pages:
    """GET / (the stations, maps and shops), /station/{name}, /map/{name}, /shop/{name}, /static/{file}."""

    def __init__(self, context: Context) -> None:
        self.files = read_files(WEB)

    def routes(self) -> list[web.RouteDef]:
        """All routes of the pages."""
        return [web.get("/", self.index), web.get("/station/{name}", self.station), web.get("/map/{name}", self.map),
                web.get("/shop/{name}", self.shop), web.get("/static/{file}", self.static), web.get("/favicon.ico", self.icon)]

    async def index(self, request: web.Request) -> web.Response:
        """The list of stations."""
        return self._send(request, "index.html")

    async def station(self, request: web.Request) -> web.Response:
        """One station; the page itself finds out whether it exists."""
        return self._send(request, "station.html")

    async def map(self, request: web.Request) -> web.Response:
        """One map; it is drawn by the page itself from what the job answers."""
        return self._send(request, "map.html")

    async def shop(self, request: web.Request) -> web.Response:
        """One shop; the page itself asks it."""
        return self._send(request, "shop.html")

    async def icon(self, request: web.Request) -> web.Response:
        """Browsers ask for this by themselves."""
        return self._send(request, "icon.svg")

    async def static(self, request: web.Request) -> web.Response:
        """A script, a style sheet or a picture of the pages."""
        return self._send(request, request.match_info["file"])

    def _send(self, request: web.Request, name: str) -> web.Response:
        file = self.files.get(name)
        if file is None:
            raise NotFound(f"there is no page file {name[:80]!r}; it has {', '.join(self.files)}")
        headers = {**HEADERS, "ETag": file.tag}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.media_type, charset="utf-8", headers=headers)
