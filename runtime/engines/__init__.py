"""Engines: model files compiled for one device. What builds them, what they are known by, where they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle
from ..backends import Backend, FreeSession, Session
from .key import Platform, Profile

if TYPE_CHECKING:
    from .cache import Held

Tell = Callable[[float, str], None]      # the part that is done, 0 to 1, and what is being done


class BuildError(RuntimeError):
    """No engine came of it; the text is a sentence. `lasting`: it will be the same next time.

    `innocent`: the engine is not to blame (memory was short, the device went away) and stays in the cache.
    """

    def __init__(self, sentence: str, lasting: bool = False, innocent: bool = False) -> None:
        super().__init__(sentence)
        self.lasting = lasting
        self.innocent = innocent


@dataclass(frozen=True)
class Job:
    """What a builder is given, in a process of its own. `workspace_mb`: device memory it may use; 0: its own choice."""

    model: Path
    precision: str
    profiles: tuple[Profile, ...] = ()
    workspace_mb: int = 0


class Builder(Protocol):
    """Makes engines for one backend. Only `build` runs in the child process."""

    def missing(self) -> str | None:
        """None, or one sentence why no engine can be built here."""

    def platform(self) -> Platform:
        """What engines built here are bound to. BuildError where the driver does not answer."""

    def refuses(self, bundle: Bundle) -> str | None:
        """None, or one sentence why this model can have no engine; the file itself is not looked into."""

    def build(self, job: Job, tell: Tell) -> Any:
        """The engine as a buffer. BuildError with a sentence that names what could not be built."""


class EngineBackend(Backend, Protocol):
    """A backend that runs engines, and nothing else."""

    def load(self, bundle: Bundle, device: DeviceProfile, held: Held) -> Session | FreeSession:
        """A session on the engine, which it retains until it is closed. BundleError, or BuildError that knows more."""


BUILDERS = {"tensorrt": "aisle.runtime.backends.tensorrt_build:TensorrtBuilder"}


def make_builder(place: str) -> Builder:
    """The builder at "module:attribute"; its library is imported only now."""
    module, attribute = place.split(":")
    builder: Builder = getattr(import_module(module), attribute)()
    return builder


def job_table(job: Job) -> dict[str, Any]:
    """A job as plain data, for the child's standard input."""
    return {"model": str(job.model), "precision": job.precision, "workspace_mb": job.workspace_mb,
            "profiles": [{name: [list(shape) for shape in shapes] for name, shapes in one.items()} for one in job.profiles]}


def read_job(table: Mapping[str, Any]) -> Job:
    """The job that `job_table` wrote."""
    profiles = tuple({name: tuple(tuple(shape) for shape in shapes) for name, shapes in one.items()}
                     for one in table["profiles"])
    return Job(Path(table["model"]), table["precision"], profiles, table["workspace_mb"])
