"""Health with reasons, and the metrics page."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from .... import __version__
from ...metrics import CONTENT_TYPE, metrics_text
from ...served import Served
from .context import Context


def serving(served: Served) -> dict[str, Any]:
    """One model that serves: by what, and what it would rather be served by."""
    told: dict[str, Any] = {
        "name": served.name, "version": served.version, "platform": served.platform, "precision": served.precision,
        "pending": served.stats.pending, "overhead_us": served.stats.overhead_ns / 1e3}
    if served.why:
        told["chosen"] = {"variant": f"{served.backend} {served.precision}", "why": served.why}
    if served.ladder is not None:
        told["variants"] = served.ladder.table()
    says = getattr(served.workload, "notes", None)
    notes = [*served.notes, *(says(served.engine.asset) if says else [])]
    if notes:
        told["notes"] = notes
    return told


def engines_of(served: list[Served]) -> list[dict[str, Any]]:
    """Where the engine of each model is that has one, should have one or cannot."""
    now = time.monotonic()
    return [{"name": one.name, "version": one.version, **engine} for one in served if (engine := one.engine_state(now))]


class Health:
    """GET /healthz and GET /metrics."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self.healthz), web.get("/metrics", self.metrics)]

    async def healthz(self, request: web.Request) -> web.Response:
        """200 when every required model serves, else 503; the body says why, model by model."""
        context = self.context
        blockers = (["the server is shutting down"] if context.draining else []) + context.repository.blockers()
        body: dict[str, Any] = {
            "ready": not blockers,
            "blockers": blockers,
            "version": __version__,
            "uptime_s": round(time.monotonic() - context.started, 3),
            "device": context.repository.device.name,
            "models": context.repository.index(),
            "serving": [serving(s) for s in context.repository.served()],
            "device_notes": list(context.device_notes),
            "heat": context.heat.told() if context.heat else {},
            "engines": {**context.repository.engines.told(), "models": engines_of(context.repository.served())},
            "pool": {"active": context.pool.active, "limit": context.pool.limit},
        }
        return web.json_response(body, status=200 if not blockers else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus text, format 0.0.4."""
        context = self.context
        engines = context.repository.engines.told()
        text = metrics_text(context.repository.served, lambda: {
            "aisle_engine_cache_bytes": engines["bytes"],
            "aisle_engine_builds": engines["builds"],
            **(context.heat.metrics() if context.heat else {}),
            "aisle_ready": float(not context.repository.blockers() and not context.draining),
            "aisle_requests_in_flight": context.in_flight,
            "aisle_pool_active": context.pool.active,
        })
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
