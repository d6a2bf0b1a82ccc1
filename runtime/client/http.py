"""The same calls over HTTP: the Open Inference Protocol with binary tensors, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from ..errors import AisleError, Busy, Failed, Invalid, Late, NotFound, TooLarge, Unsupported
from ..served import wire_name
from ..tensors import ARRAY_DTYPES, pack_bytes, unpack_bytes
from .lane import wire_array
from .results import Results
from .ways import Model

LENGTH = "Inference-Header-Content-Length"
VARIANT = "Aisle-Variant"
ERRORS: dict[int, type[AisleError]] = {400: Invalid, 413: TooLarge, 501: Unsupported, 404: NotFound, 504: Late}


class Http:
    """One connection, kept; made again where the server has closed it."""

    def __init__(self, address: str, timeout_s: float, token: str) -> None:
        parts = urlsplit(address)
        if not parts.hostname:
            raise Invalid(f"expected an address such as http://127.0.0.1:8000, got {address!r}")
        if parts.scheme == "https":
            self.connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context())
        else:
            self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.mutex = threading.Lock()

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> tuple[Any, bytes]:
        """(headers, body) of the answer; raises the error that it tells of."""
        with self.mutex:
            for fresh in (self.connection.sock is None, True):
                try:
                    self.connection.request(method, path, body or None, {**self.headers, **(headers or {})})
                    reply = self.connection.getresponse()
                    data = reply.read()
                    break
                except (http.client.RemoteDisconnected, ConnectionError) as error:
                    self.connection.close()      # it was idle for too long: once more on a new one
                    if fresh:
                        raise Failed(f"no server answers at {self.connection.host}:{self.connection.port}: {error}") from None
                except OSError as error:
                    self.connection.close()
                    raise Failed(f"no server answers at {self.connection.host}:{self.connection.port}: {error}") from None
        if reply.status >= 400:
            raise error_of(reply.status, reply.headers.get("Retry-After", "1"), data)
        return reply.headers, data

    def infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str], deadline_ms: float, priority: int,
              version: str) -> Results:
        """One request with binary tensors both ways."""
        described, blocks = [], []
        for name, value in inputs.items():
            array = wire_array(name, value)
            block = pack_bytes(array) if array.dtype.hasobject else array.tobytes()
            described.append({"name": name, "shape": list(array.shape), "datatype": wire_name(array.dtype),
                              "parameters": {"binary_data_size": len(block)}})
            blocks.append(block)
        parameters: dict[str, Any] = {"binary_data_output": True}
        parameters |= {"priority": priority} if priority else {}
        document: dict[str, Any] = {"inputs": described, "parameters": parameters}
        if outputs:
            document["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
        text = json.dumps(document).encode()
        headers = {LENGTH: str(len(text)), "Content-Type": "application/octet-stream"}
        if deadline_ms:
            headers["Aisle-Deadline-Ms"] = f"{deadline_ms:g}"
        path = f"/v2/models/{quote(model, safe='')}{f'/versions/{version}' if version else ''}/infer"
        return read_outputs(*self.ask("POST", path, b"".join((text, *blocks)), headers))

    def prepare(self, model: str, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str], version: str) -> HttpCall:
        """A call to repeat; here its inputs are ordinary arrays."""
        path = f"/v2/models/{quote(model, safe='')}{f'/versions/{version}' if version else ''}"
        kinds = {item["name"]: item["datatype"] for item in json.loads(self.ask("GET", path)[1])["inputs"]}
        for name in shapes:
            if name not in kinds:
                raise Invalid(f"unexpected inference input '{name}' for model '{model}'; it takes {list(kinds)}")
        inputs = {name: np.zeros(tuple(shape), ARRAY_DTYPES[kinds[name]]) for name, shape in shapes.items()}
        return HttpCall(self, model, inputs, outputs, version)

    def models(self) -> list[Model]:
        """What serves, with the job of what is a station."""
        index = json.loads(self.ask("POST", "/v2/repository/index", b'{"ready":true}')[1])
        jobs = {name: job["name"] for job in json.loads(self.ask("GET", "/v1")[1])["jobs"] for name in job["stations"]}
        return [Model(item["name"], item["version"], jobs.get(item["name"], "")) for item in index]

    def blockers(self) -> str:
        """Empty, or the server's reasons."""
        try:
            self.ask("GET", "/v2/health/ready")
        except Busy as error:
            return error.sentence
        return ""

    def close(self) -> None:
        """End the connection."""
        self.connection.close()


class HttpCall:
    """A call to repeat."""

    def __init__(self, way: Http, model: str, inputs: dict[str, np.ndarray], outputs: Sequence[str], version: str) -> None:
        self.inputs = inputs
        self._way, self._model, self._names, self._version = way, model, outputs, version

    def run(self, *, deadline_ms: float = 0, priority: int = 0) -> Results:
        """Send the inputs as they are now."""
        return self._way.infer(self._model, self.inputs, self._names, deadline_ms, priority, self._version)

    def close(self) -> None:
        """Nothing is held."""


def read_outputs(headers: Any, data: bytes) -> Results:
    """The outputs of an answer with binary tensors."""
    at = int(headers.get(LENGTH, len(data)))
    found = Results(headers.get(VARIANT, ""))
    for item in json.loads(data[:at])["outputs"]:
        size, shape, name = item["parameters"]["binary_data_size"], item["shape"], item["name"]
        block = memoryview(data)[at:at + size]
        at += size
        if item["datatype"] == "BYTES":
            found[name] = unpack_bytes(block, shape, f"output '{name}'")
        else:
            found[name] = np.frombuffer(block, ARRAY_DTYPES[item["datatype"]]).reshape(shape).copy()
    return found


def error_of(status: int, retry_after: str, data: bytes) -> AisleError:
    """The error that an answer tells of."""
    try:
        sentence = str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = f"the server answered {status}: {data[:200]!r}"
    if status == 503:
        return Busy(sentence, float(retry_after) if retry_after.isdecimal() else 1.0)
    return ERRORS.get(status, Invalid if status < 500 else Failed)(sentence)
