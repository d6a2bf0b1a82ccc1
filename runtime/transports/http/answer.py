"""An answer to one inference request, free of any HTTP library: status, headers, pieces of the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from ...errors import AisleError, Busy, Failed, Forbidden, Invalid, Late, NotFound, TooLarge, Unsupported

# Most specific first: TooLarge, Unsupported and Forbidden are kinds of Invalid.
STATUS = ((TooLarge, 413), (Unsupported, 501), (Forbidden, 403), (Invalid, 400), (NotFound, 404), (Busy, 503), (Late, 504),
          (Failed, 500))
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           408: "Request Timeout", 413: "Content Too Large", 500: "Internal Server Error", 501: "Not Implemented",
           503: "Service Unavailable", 504: "Gateway Timeout"}
JSON = "application/json"
BINARY = "application/octet-stream"
VARIANT = "Aisle-Variant"      # the header that names the variant which answered


@dataclass(frozen=True, slots=True)
class Answer:
    """`pieces` follow one another in the body; each is bytes or a C-contiguous memoryview of bytes."""

    status: int
    content_type: str
    pieces: Sequence[bytes | memoryview]
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.pieces))

    def head(self) -> bytes:
        """Status line and headers of the HTTP/1.1 response."""
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = (f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Error')}\r\nContent-Type: {self.content_type}\r\n"
                f"Content-Length: {self.size}\r\n{extra}\r\n")
        return head.encode("latin-1", "replace")

    def wire(self) -> bytes:
        """The whole HTTP/1.1 response."""
        return b"".join((self.head(), *self.pieces))


def error_answer(status: int, sentence: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """`{"error": sentence}` with that status."""
    return Answer(status, JSON, (orjson.dumps({"error": sentence}),), headers)


def answer_of(error: AisleError) -> Answer:
    """An Aisle error as its answer."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, Busy):
        headers = (("Retry-After", str(max(1, round(error.retry_after_s)))),)
    elif isinstance(error, Unsupported) and "Content-Encoding" in error.sentence:
        headers = (("Accept-Encoding", "gzip, deflate"),)
    return error_answer(status, error.sentence, headers)
