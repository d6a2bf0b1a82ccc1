"""One TOML file becomes frozen dataclasses; every mistake is reported at once, with its place and its range."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..edge_devices.profile import profile_names


class ConfigError(ValueError):
    """The file is wrong; the text lists every mistake, one a line."""


def key(default: Any, doc: str, *, least: float | None = None, most: float | None = None,
        choices: tuple[str, ...] = ()) -> Any:
    """A documented key: default, sentence, accepted range."""
    meta = {"doc": doc, "least": least, "most": most, "choices": choices}
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class ServerConfig:
    """How the server listens and what it accepts."""

    host: str = key("127.0.0.1", "Address to listen on. Anything but loopback needs token_file or AISLE_TOKEN.")
    port: int = key(8000, "TCP port; 0 takes a free one and prints it.", least=0, most=65535)
    workers: int = key(1, "Processes that take requests on this port, for machines with many cores; see docs/serving.md.",
                       least=1, most=64)
    token_file: str = key("", "File with the access token (first line); the environment AISLE_TOKEN works too.")
    tls_cert: str = key("", "PEM certificate chain; with tls_key the server speaks HTTPS.")
    tls_key: str = key("", "PEM private key of tls_cert.")
    max_body_mb: int = key(256, "Largest request body in MiB, compressed or not.", least=1, most=4096)
    max_bodies_mb: int = key(1024, "MiB of request bodies at once, arriving or being answered; more get a 503.", least=1,
                             most=1 << 20)
    max_json_mb: int = key(64, "Largest JSON part or JSON body of a request in MiB.", least=1, most=1024)
    max_connections: int = key(512, "Connections at once; more are closed with a 503.", least=1, most=65536)
    idle_timeout_s: float = key(75.0, "A connection without a request is closed after this many seconds.",
                                least=1, most=3600)
    body_timeout_s: float = key(60.0, "A request whose body has not arrived whole by then gets a 408.",
                                least=0.1, most=3600)
    drain_s: float = key(10.0, "Seconds that running requests get to finish after SIGTERM.", least=0, most=600)
    compress: str = key("explicit", "explicit: responses are compressed only when Accept-Encoding is exactly gzip or "
                        "deflate; never: not at all.", choices=("explicit", "never"))


@dataclass(frozen=True)
class RepositoryConfig:
    """Where the models are."""

    path: str = key("", "Folder with one folder per model (Aisle bundles or Triton layout).")
    poll_s: float = key(2.0, "Seconds between looks for changed models; 0 never looks.", least=0, most=86400)
    required: tuple[str, ...] = key(("*",), "Models without which the server is not ready; \"*\" is every model found.")
    state: str = key("", "Folder for uploads in progress; empty: .aisle inside the model folder.")
    control: bool = key(True, "Whether load, unload and teach are allowed over the network.")
    updates: str = key("control", "Whether clients may change what a job knows while it serves, such as closures on a map "
                       "and prices of a catalogue, over the network and the lane: yes, no, or as control says.",
                       choices=("control", "yes", "no"))


@dataclass(frozen=True)
class QueueConfig:
    """Bounds of what waits."""

    max_requests: int = key(256, "Requests that may wait for one model.", least=1, most=1_000_000)
    max_mb: int = key(256, "MiB that may wait for one model.", least=1, most=1 << 20)
    reserve: tuple[str, ...] = key((), "Shares of the processor's time that jobs get before others where they need it, such "
                                   "as \"routes=0.3\"; at most 0.9 in all.")
    max_pool: int = key(64, "Pieces of CPU work (decoding, inspection) that may wait for a processor.",
                        least=1, most=100_000)


@dataclass(frozen=True)
class HealthConfig:
    """How models are looked after."""

    canary_every_s: float = key(10.0, "A model that was idle this long is asked a canary; 0 never asks and never notices a "
                                "hang.", least=0, most=86400)
    canary_deadline_s: float = key(10.0, "A run that takes longer (and 20 times longer than usual) counts as hung: the "
                                   "server is not ready and the model is replaced.", least=0.1, most=3600)


@dataclass(frozen=True)
class LaneConfig:
    """The local lane: clients on this machine that share memory with the server; see docs/lane.md."""

    socket: str = key("", "Path of its Unix socket, 0600; empty: no lane. Linux only.")
    users: tuple[str, ...] = key((), "Users beside the server's own who may connect, by name or number; the socket is then "
                                 "0666 and who connects is asked of the kernel.")
    max_connections: int = key(64, "Clients at once; one process may hold half of them.", least=2, most=4096)
    max_slots: int = key(64, "Slots of one client, and so its requests under way.", least=1, most=1024)
    max_client_mb: int = key(256, "MiB that one client may share.", least=1, most=1 << 20)
    max_total_mb: int = key(1024, "MiB that all clients together may share.", least=1, most=1 << 20)


@dataclass(frozen=True)
class DeviceConfig:
    """What the machine offers."""

    profile: str = key("auto", "Device profile; auto: the one that fits this machine, see `aisle doctor`.",
                       choices=("auto", *profile_names()))
    threads: int = key(0, "Threads of an engine; 0 takes the profile's number.", least=0, most=1024)
    variants: str = key("one", "one: each model is opened in the way that the profile prefers; all: in every way that this "
                        "machine can go, so that a request's deadline, or heat, may choose.", choices=("one", "all"))
    memory_mb: int = key(0, "MiB of memory that the server may plan with; 0: what the machine or its container has.",
                         least=0, most=1 << 30)
    memory_check: str = key("refuse", "What happens at start where the configuration may need more memory than there is.",
                            choices=("refuse", "warn"))


@dataclass(frozen=True)
class EnginesConfig:
    """Engines that are built for this device (TensorRT), while something else serves; see docs/accelerators.md."""

    build: bool = key(True, "Whether the server builds engines by itself; else only `aisle model compile` does.")
    path: str = key("", "Folder where they are kept; empty: aisle/engines in the user's cache.")
    max_mb: int = key(4096, "MiB that all kept engines may take.", least=1, most=1 << 20)
    memory_mb: int = key(0, "MiB of memory that building one may take; 0: half of the machine's.", least=0, most=1 << 20)
    minutes: float = key(60.0, "Minutes that building one may take.", least=0.1, most=1440)


@dataclass(frozen=True)
class PictureConfig:
    """Bounds of pictures that clients send."""

    max_megapixels: float = key(50.0, "Largest picture in million pixels, read from its header before decoding.",
                                least=0.01, most=1000)
    max_teach_pictures: int = key(500, "Most pictures in one teaching.", least=2, most=10_000)
    max_teach_mb: int = key(1024, "Most MiB of pictures in one teaching.", least=1, most=65536)


@dataclass(frozen=True)
class LogConfig:
    """What is written to standard error."""

    level: str = key("info", "Least level that is written.", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True)
class Config:
    """The whole configuration; no file at all is a valid one."""

    server: ServerConfig = field(default_factory=ServerConfig)
    repository: RepositoryConfig = field(default_factory=RepositoryConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    lane: LaneConfig = field(default_factory=LaneConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    engines: EnginesConfig = field(default_factory=EnginesConfig)
    pictures: PictureConfig = field(default_factory=PictureConfig)
    log: LogConfig = field(default_factory=LogConfig)


def load_config(path: Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """The configuration of `path` (None: defaults) with `overrides` of the command line on top."""
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: the configuration cannot be read: {error}") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return build(table, overrides or {}, str(path or "command line"))


def build(table: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]], where: str) -> Config:
    """Check every key of a parsed file; ConfigError lists all mistakes."""
    mistakes: list[str] = []
    sections = {f.name: f for f in fields(Config)}
    for name in table:
        if name not in sections:
            mistakes.append(f"[{name}]: unknown section{hint(name, sections)}")
    made = {}
    for name, section in sections.items():
        given = table.get(name, {})
        if not isinstance(given, dict):
            mistakes.append(f"{name}: expected a section [{name}], got {given!r}")
            given = {}
        kind = section.default_factory
        assert kind is not MISSING
        made[name] = read_section(name, kind, {**given, **overrides.get(name, {})}, mistakes)
    if not mistakes:
        config = Config(**made)
        mistakes += contradictions(config)
    if mistakes:
        raise ConfigError(f"{where}: {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}\n  "
                          + "\n  ".join(mistakes))
    return config


def read_section(name: str, kind: Any, given: Mapping[str, Any], mistakes: list[str]) -> Any:
    """One section as its dataclass; mistakes are appended and leave the default."""
    known = {f.name: f for f in fields(kind)}
    values = {}
    for one, value in given.items():
        if one not in known:
            mistakes.append(f"{name}.{one}: unknown key{hint(one, known)}")
            continue
        problem, value = check(known[one], value)
        if problem:
            mistakes.append(f"{name}.{one}: {problem}")
        else:
            values[one] = value
    return kind(**values)


def check(spec: Field[Any], value: Any) -> tuple[str | None, Any]:
    """(None, the value) where it is acceptable, else a sentence with the accepted range."""
    default, meta = spec.default, spec.metadata
    wants = {bool: "true or false", int: "a whole number", float: "a number", str: "a string",
             tuple: "a list of strings"}[type(default)]
    if isinstance(default, tuple):
        good = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
        value = tuple(value) if good else value
    elif isinstance(default, float):
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
        value = float(value) if good else value
    else:
        good = type(value) is type(default)
    span = accepted(meta)
    if not good:
        return f"expected {wants}{span}, got {value!r}", value
    if meta["choices"] and value not in meta["choices"]:
        return f"expected one of {', '.join(meta['choices'])}, got {value!r}", value
    low, high = meta["least"], meta["most"]
    if (low is not None and value < low) or (high is not None and value > high):
        return f"expected {wants}{span}, got {value!r}", value
    return None, value


def accepted(meta: Mapping[str, Any]) -> str:
    """The accepted range in words, or nothing."""
    if meta["choices"]:
        return f" (one of {', '.join(meta['choices'])})"
    return "" if meta["least"] is None else f" from {meta['least']} to {meta['most']}"


def hint(name: str, known: Mapping[str, Any]) -> str:
    """`; did you mean ...?` or the list of what exists."""
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(known)}"


def contradictions(config: Config) -> list[str]:
    """Mistakes that only show between keys."""
    server = config.server
    if bool(server.tls_cert) != bool(server.tls_key):
        return ["server.tls_cert and server.tls_key: expected both or neither"]
    return []


def annotated() -> str:
    """The example file: every key with its default, its sentence and its range."""
    lines = ["# Aisle's configuration: every key with its default. Leave out what you do not change."]
    for section in fields(Config):
        kind: Any = section.default_factory
        lines += ["", f"# {kind.__doc__}", f"[{section.name}]"]
        for one in fields(kind):
            span = accepted(one.metadata)
            lines += [f"# {one.metadata['doc']}{f' Accepted:{span}.' if span else ''}",
                      f"{one.name} = {toml_value(one.default)}"]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """A default as TOML text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    return repr(value)
