"""BentoML with one worker: bentoml serve bentoml_server:Peer. Bytes in and out as its root input and output."""

from typing import Annotated

import bentoml
from bentoml.validators import ContentType
from peer_models import CALLS

Raw = Annotated[bytes, ContentType("application/octet-stream")]


@bentoml.service(workers=1, traffic={"timeout": 60})
class Peer:
    """One route a call."""

    @bentoml.api(route="/identity")
    async def identity(self, body: Raw, /) -> Raw:
        return CALLS["identity"](body)

    @bentoml.api(route="/net")
    async def net(self, body: Raw, /) -> Raw:
        return CALLS["net"](body)

    @bentoml.api(route="/image")
    async def image(self, body: Raw, /) -> Raw:
        return CALLS["image"](body)
