"""LitServe with one worker process a route; raw bytes in, raw bytes out."""

import sys
from typing import Annotated

import litserve
from fastapi import Body, Response
from peer_models import CALLS

RawBody = Annotated[bytes, Body(media_type="application/octet-stream")]


class Raw(litserve.LitAPI):
    """Its route is its call's name."""

    def setup(self, device: str) -> None:
        self.call = CALLS[self.api_path.strip("/")]

    def decode_request(self, request: RawBody) -> bytes:
        return request

    def predict(self, body: bytes) -> bytes:
        return self.call(body)

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="application/octet-stream")


if __name__ == "__main__":
    server = litserve.LitServer([Raw(api_path=f"/{name}") for name in CALLS], accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="error")
