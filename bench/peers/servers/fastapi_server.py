"""FastAPI on uvicorn with uvloop and httptools: uvicorn fastapi_server:app."""

from fastapi import FastAPI, Request, Response
from peer_models import CALLS

app = FastAPI()


def _route(name: str) -> None:
    call = CALLS[name]

    @app.post(f"/{name}")
    async def answer(request: Request) -> Response:
        return Response(call(await request.body()), media_type="application/octet-stream")


for _name in CALLS:
    _route(_name)
