"""mosec with one worker process a route; bytes in, bytes out."""

from mosec import Runtime, Server, Worker
from peer_models import CALLS


class Raw(Worker):
    """Takes and gives bytes as they are."""

    name = ""

    def deserialize(self, data: bytes) -> bytes:
        return data

    def serialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> bytes:
        return CALLS[self.name](data)


class Identity(Raw):
    name = "identity"


class Net(Raw):
    name = "net"


class Image(Raw):
    name = "image"


if __name__ == "__main__":
    server = Server()
    server.register_runtime({"/identity": [Runtime(Identity)], "/net": [Runtime(Net)], "/image": [Runtime(Image)]})
    server.run()
