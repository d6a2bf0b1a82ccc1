"""What can go wrong for the person who meets it: a few classes, each with a code and a sentence."""

from __future__ import annotations


class AisleError(Exception):
    """An error whose text is a sentence for the person who meets it: expected, got, where, what to do."""

    code = "failed"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Invalid(AisleError):
    """The request is wrong; the same request will be refused again."""

    code = "invalid"


class TooLarge(Invalid):
    """The request is over a limit; the sentence names the limit."""

    code = "too_large"


class Unsupported(Invalid):
    """The request asks for something this server does not do (yet, or on this machine)."""

    code = "unsupported"


class Forbidden(Invalid):
    """The configuration of this server does not allow it."""

    code = "forbidden"


class NotFound(AisleError):
    """No model, station, version or region of that name."""

    code = "not_found"


class Busy(AisleError):
    """Full, loading or draining right now; the same request may succeed after `retry_after_s` seconds."""

    code = "busy"

    def __init__(self, sentence: str, retry_after_s: float = 1.0) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class Late(AisleError):
    """The deadline passed before the answer was there."""

    code = "late"


class Failed(AisleError):
    """Our side failed: a model raised, a disk is full, a device is gone."""

    code = "failed"
