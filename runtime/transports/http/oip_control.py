"""OIP's control routes: repository, trace and logging settings, shared memory."""

from __future__ import annotations

import ipaddress
from typing import Any

import orjson
from aiohttp import web

from ...errors import Invalid, Unsupported
from ...shared_memory import Owner, Regions
from ...tensors import quoted
from .body import read_body
from .context import Context
from .oip_request import parse_object
from .oip_settings import Logging, Trace

MAX_CONTROL_BYTES = 1 << 20
OWNER_HEADER = "Aisle-Owner"      # a label of the client's choice, for clients that use several connections


def reply(value: Any) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(value), content_type="application/json")


class OipControl:
    """Handlers of what is no inference. Bodies are small JSON objects or empty."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.repository = context.repository
        self.regions = Regions()
        self.trace = Trace()
        self.logging = Logging(context.config.log.level)

    def routes(self) -> list[web.RouteDef]:
        """Everything below /v2/repository, /v2/*sharedmemory, trace and logging settings."""
        routes = [
            web.post("/v2/repository/index", self.index),
            web.post("/v2/repository/models/{name}/load", self.load),
            web.post("/v2/repository/models/{name}/unload", self.unload),
            web.post("/v2/repository/{repository}/index", self.named_repository),
            web.post("/v2/repository/{repository}/models/{name}/load", self.named_repository),
            web.post("/v2/repository/{repository}/models/{name}/unload", self.named_repository),
            web.get("/v2/logging", self.log_settings),
            web.post("/v2/logging", self.log_settings),
        ]
        for path in ("/v2/trace/setting", "/v2/models/{name}/trace/setting",
                     "/v2/models/{name}/versions/{version:[0-9]+}/trace/setting"):
            routes += [web.get(path, self.trace_settings), web.post(path, self.trace_settings)]
        for kind, status, register, unregister in (
                ("system", self.status, self.register, self.unregister),
                ("cuda", self.cuda_status, self.cuda_register, self.cuda_unregister)):
            for region in ("", "/region/{region}"):
                routes += [web.get(f"/v2/{kind}sharedmemory{region}/status", status),
                           web.post(f"/v2/{kind}sharedmemory{region}/unregister", unregister)]
            routes.append(web.post(f"/v2/{kind}sharedmemory/region/{{region}}/register", register))
        return routes

    async def _read(self, request: web.Request) -> dict[str, Any]:
        """The body's JSON object; an empty body is an empty one."""
        body = await read_body(request, self.context, MAX_CONTROL_BYTES)
        return parse_object(body) if body.strip() else {}

    # ---- repository

    async def index(self, request: web.Request) -> web.Response:
        ready = (await self._read(request)).get("ready", False)
        if type(ready) is not bool:
            raise Invalid(f"'ready': expected true or false, got {quoted(ready)}")
        return reply(self.repository.index(ready))

    async def named_repository(self, request: web.Request) -> web.Response:
        raise Unsupported(f"this server has one repository without a name, got '{request.match_info['repository']}'; "
                          "leave it out of the path")

    async def load(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._check_control()
        for key in self._parameters(await self._read(request)):
            if key.startswith("file:"):
                raise Unsupported(f"failed to load '{name}': files are not accepted over the network ('{key[:80]}'); "
                                  "put the model into the server's folder")
            if key == "config":
                raise Unsupported(f"failed to load '{name}': a configuration is not accepted over the network; put it "
                                  "into the model's config.pbtxt or bundle.toml")
            raise Invalid(f"failed to load '{name}', unexpected parameter '{key}'")
        await self.repository.load(name)
        return web.Response()

    async def unload(self, request: web.Request) -> web.Response:
        self._check_control()
        parameters = self._parameters(await self._read(request))
        for key, value in parameters.items():
            # There are no ensembles here, so there are no dependents to unload with a model.
            if key != "unload_dependents" or type(value) is not bool:
                raise Invalid(f"failed to unload '{request.match_info['name']}', unexpected parameter '{key}': "
                              f"{quoted(value)}; expected unload_dependents with true or false")
        await self.repository.unload(request.match_info["name"])
        return web.Response()

    def _check_control(self) -> None:
        if not self.context.config.repository.control:
            raise web.HTTPForbidden(reason="this server does not load or unload models over the network; "
                                           "repository.control in its configuration allows it")

    @staticmethod
    def _parameters(document: dict[str, Any]) -> dict[str, Any]:
        parameters = document.get("parameters") or {}
        if type(parameters) is not dict:
            raise Invalid(f"'parameters': expected an object, got {quoted(parameters)}")
        return parameters

    # ---- settings

    async def trace_settings(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        if name is not None:
            self.repository.get(name, request.match_info.get("version"))
        if request.method == "POST":
            return reply(self.trace.update(await self._read(request), name))
        return reply(self.trace.settings(name))

    async def log_settings(self, request: web.Request) -> web.Response:
        return reply(self.logging.update(await self._read(request)) if request.method == "POST"
                     else self.logging.settings)

    # ---- shared memory

    async def status(self, request: web.Request) -> web.Response:
        return reply(self.regions.status(request.match_info.get("region")))

    async def register(self, request: web.Request) -> web.Response:
        if not is_local(request):
            raise Unsupported("shared memory regions can be registered only by clients on the server's own machine")
        document = await self._read(request)
        key, offset, size = document.get("key"), document.get("offset", 0), document.get("byte_size")
        if type(key) is not str or type(offset) is not int or type(size) is not int:
            raise Invalid("expected 'key' (a string), 'byte_size' (an integer) and at will 'offset' (an integer), got "
                          f"{quoted(document)}")
        self.regions.register(request.match_info["region"], key, offset, size, owner_of(request))
        return web.Response()

    async def unregister(self, request: web.Request) -> web.Response:
        region = request.match_info.get("region")
        if region is None:
            self.regions.unregister_all(owner_of(request))
        else:
            self.regions.unregister(region)
        return web.Response()

    async def cuda_status(self, request: web.Request) -> web.Response:
        region = request.match_info.get("region")
        if region is not None:
            raise web.HTTPNotFound(reason=f"Unable to find cuda shared memory region: '{region}'")
        return reply([])

    async def cuda_register(self, request: web.Request) -> web.Response:
        raise Invalid(f"failed to register CUDA shared memory region: '{request.match_info['region']}', GPUs not "
                      "supported")

    async def cuda_unregister(self, request: web.Request) -> web.Response:
        return web.Response()     # load generators ask for it at start and end, GPU or not


def owner_of(request: web.BaseRequest) -> Owner:
    """Who asks: the label in its header, else its connection."""
    connection = request.protocol
    return Owner(request.headers.get(OWNER_HEADER, ""), connection, lambda: connection.transport is not None)


def is_local(request: web.BaseRequest) -> bool:
    """True for a client on this machine: by loopback, or by the very address that it called."""
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    if not isinstance(peer, tuple):
        return True      # a Unix socket
    own = transport.get_extra_info("sockname") if transport is not None else ("",)
    return ipaddress.ip_address(peer[0].partition("%")[0]).is_loopback or peer[0] == own[0]
