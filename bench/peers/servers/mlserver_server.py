"""MLServer without worker processes, its models asked through custom handlers that take the raw body."""

import asyncio
import sys

from fastapi import Request, Response
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.handlers import custom_handler
from peer_models import CALLS


class Raw(MLModel):
    """Bytes in, bytes out, on paths of their own."""

    async def load(self) -> bool:
        return True

    @custom_handler(rest_path="/identity")
    async def identity(self, request: Request) -> Response:
        return Response(CALLS["identity"](await request.body()), media_type="application/octet-stream")

    @custom_handler(rest_path="/net")
    async def net(self, request: Request) -> Response:
        return Response(CALLS["net"](await request.body()), media_type="application/octet-stream")

    @custom_handler(rest_path="/image")
    async def image(self, request: Request) -> Response:
        return Response(CALLS["image"](await request.body()), media_type="application/octet-stream")


async def main() -> None:
    port = int(sys.argv[1])
    settings = Settings(http_port=port, grpc_port=port + 1, metrics_port=port + 2, parallel_workers=0, debug=False,
                        logging_settings=None, metrics_endpoint=None)
    server = MLServer(settings)
    await server.start([ModelSettings(name="raw", implementation=Raw)])


asyncio.run(main())
