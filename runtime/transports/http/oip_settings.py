"""Trace and logging settings: checked, kept, and put into effect."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from ...errors import Invalid, Unsupported
from ...tensors import quoted

log = logging.getLogger("aisle.trace")

TRACE_DEFAULTS: dict[str, Any] = {"trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1",
                                  "log_frequency": "0", "trace_file": "", "trace_mode": "triton"}
TRACE_LEVELS = ("OFF", "TIMESTAMPS", "TENSORS")
LEAST = {"trace_rate": 1, "trace_count": -1, "log_frequency": 0}
FORMATS = {"default": "%(asctime)s %(levelname)s %(name)s: %(message)s",
           "ISO8601": "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"}


class Trace:
    """Settings of the server and of single models. A traced request is a line of the log `aisle.trace`."""

    def __init__(self) -> None:
        self.server = dict(TRACE_DEFAULTS)
        self.models: dict[str, dict[str, Any]] = {}
        self.active = False           # whether any model may be traced: all that an untraced request looks at
        self._seen: dict[str, int] = {}
        self._left: dict[str, int] = {}

    def settings(self, model: str | None = None) -> dict[str, Any]:
        """What holds for the server or for a model."""
        return {**self.server, **(self.models.get(model, {}) if model else {})}

    def update(self, given: Mapping[str, Any], model: str | None = None) -> dict[str, Any]:
        """Change settings; null gives back the default (or, for a model, the server's). Returns what holds then.

        Raises Invalid for a wrong value, Unsupported for what only the configuration may change; nothing changes then.
        """
        checked = {name: None if value is None else checked_trace(name, value) for name, value in given.items()}
        kept = self.models.setdefault(model, {}) if model else self.server
        for name, value in checked.items():
            if name not in TRACE_DEFAULTS:
                raise Invalid(f"unknown trace setting '{name}'; expected one of {list(TRACE_DEFAULTS)}")
            if value is not None:
                kept[name] = value
            elif model:
                kept.pop(name, None)
            else:
                kept[name] = TRACE_DEFAULTS[name]
        self._seen.clear()
        self._left.clear()
        self.active = any("OFF" not in s.get("trace_level", ["OFF"]) for s in (self.server, *self.models.values()))
        return self.settings(model)

    def wants(self, model: str) -> bool:
        """Whether this request is one of those to trace: every `trace_rate`-th, `trace_count` of them at most."""
        now = self.settings(model)
        if "OFF" in now["trace_level"]:
            return False
        seen = self._seen[model] = self._seen.get(model, 0) + 1
        left = self._left.get(model, int(now["trace_count"]))
        if seen % int(now["trace_rate"]) or left == 0:
            return False
        self._left[model] = left - 1 if left > 0 else left
        return True

    def write(self, model: str, version: str, ident: str, started_ns: int, times: Mapping[str, int]) -> None:
        """One traced request: when it began (wall clock) and how long its stages took."""
        took = time.perf_counter_ns() - started_ns
        log.warning("%s", json.dumps({"model_name": model, "model_version": version, "id": ident, **times,
                                      "request_ns": took, "start_ns": time.time_ns() - took}))


def checked_trace(name: str, value: Any) -> Any:
    """The value in the form in which it is kept (strings, and an array of levels)."""
    if name == "trace_level":
        levels = value if isinstance(value, list) else [value]
        if not levels or any(level not in TRACE_LEVELS for level in levels):
            raise Invalid(f"'trace_level': expected an array of {', '.join(TRACE_LEVELS)}, got {quoted(value)}")
        return ["OFF"] if "OFF" in levels else list(dict.fromkeys(levels))
    if name in LEAST:
        text = str(value) if type(value) in (int, str) else ""
        if not text.removeprefix("-").isdecimal() or len(text) > 18 or int(text) < LEAST[name]:
            raise Invalid(f"'{name}': expected a whole number of at least {LEAST[name]} as a string, got "
                          f"{quoted(value)}")
        return str(int(text))
    if name == "trace_file" and value != "":
        raise Unsupported("trace file location can not be changed over the network; traces go to the server's log")
    if name == "trace_mode" and value != "triton":
        raise Unsupported(f"'trace_mode': this server has the mode 'triton', got {quoted(value)}")
    return value


class LevelGate(logging.Filter):
    """Lets records pass by the switches of OIP's logging settings, which are one per level."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = settings

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO:
            return bool(self.settings["log_verbose_level"] > 0)
        name = "log_info" if record.levelno < logging.WARNING else (
            "log_warning" if record.levelno < logging.ERROR else "log_error")
        return bool(self.settings[name])


class Logging:
    """The settings of what the server writes to its log; they take effect at once."""

    def __init__(self, level: str) -> None:
        at = ("debug", "info", "warning", "error").index(level)
        self.settings: dict[str, Any] = {"log_file": "", "log_info": at <= 1, "log_warning": at <= 2, "log_error": True,
                                         "log_verbose_level": int(at == 0), "log_format": "default"}
        self._gate = LevelGate(self.settings)

    def update(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings and return them all; nothing changes where one of them is wrong."""
        for name, value in given.items():
            check_logging(name, value)
        self.settings.update(given)
        self._apply()
        return self.settings

    def _apply(self) -> None:
        root = logging.getLogger()
        logging.getLogger("aisle").setLevel(logging.DEBUG if self.settings["log_verbose_level"] else logging.INFO)
        iso = self.settings["log_format"] == "ISO8601"
        formatter = logging.Formatter(FORMATS[self.settings["log_format"]], "%Y-%m-%dT%H:%M:%S" if iso else None)
        if iso:
            formatter.converter = time.gmtime
        for handler in root.handlers:
            handler.addFilter(self._gate)
            handler.setFormatter(formatter)


def check_logging(name: str, value: Any) -> None:
    """Invalid or Unsupported for a setting that cannot be taken."""
    if name == "log_file":
        if value not in ("", None):
            raise Unsupported("log file location can not be changed over the network; the log goes to standard error")
    elif name in ("log_info", "log_warning", "log_error"):
        if type(value) is not bool:
            raise Invalid(f"'{name}': expected true or false, got {quoted(value)}")
    elif name == "log_verbose_level":
        if type(value) is not int or not 0 <= value < 1 << 32:
            raise Invalid(f"'log_verbose_level': expected a whole number of at least 0, got {quoted(value)}")
    elif name == "log_format":
        if value not in FORMATS:
            raise Invalid(f"'log_format': expected one of {', '.join(FORMATS)}, got {quoted(value)}")
    else:
        raise Invalid(f"unknown log setting '{name}'; expected log_file, log_info, log_warning, log_error, "
                      "log_verbose_level or log_format")
