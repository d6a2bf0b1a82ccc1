"""Builds TensorRT engines from ONNX files: strongly typed networks, so that the file alone says what is FP16 or INT8."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from ...models.bundle import Bundle
from ..engines import BuildError, Job, Tell
from ..engines.key import Platform
from . import tensorrt_library as library
from .tensorrt_library import Told, make_log, plain

MOST_NAMED = 8      # nodes in one sentence


class TensorrtBuilder:
    """See `engines.Builder`. `module` is a library with TensorRT's interface; `settle` is for what one alone needs."""

    module = "tensorrt"

    def missing(self) -> str | None:
        """See Builder."""
        return library.missing(self.module)

    def platform(self) -> Platform:
        """See Builder."""
        return library.platform(self.module)

    def refuses(self, bundle: Bundle) -> str | None:
        """See Builder."""
        return library.refuses(bundle)

    def load(self) -> Any:
        """The library. BuildError where it cannot be loaded."""
        return library.load(self.module)

    def settle(self, trt: Any, config: Any) -> None:
        """Nothing: an engine is for the device at hand."""

    def build(self, job: Job, tell: Tell) -> Any:
        """The engine as a buffer. BuildError names the nodes that the parser does not take."""
        trt, told = self.load(), Told()
        log = make_log(trt, told)
        try:
            builder = trt.Builder(log)
        except TypeError as error:      # the library gave it nothing to wrap
            raise BuildError(f"TensorRT makes no builder: {told.last('is there a driver?')}") from error
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, log)
        if not parser.parse_from_file(str(job.model)):
            raise BuildError(parser_errors(parser, told), lasting=True)
        config = builder.create_builder_config()
        if job.workspace_mb:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, job.workspace_mb << 20)
        monitor = make_monitor(trt, tell)
        config.progress_monitor = monitor
        for shapes in job.profiles:
            profile = builder.create_optimization_profile()
            for name, (least, usual, most) in shapes.items():
                profile.set_shape(name, least, usual, most)
            config.add_optimization_profile(profile)
        self.settle(trt, config)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            sentence = f"TensorRT built no engine: {told.last('it gives no reason')}"
            raise BuildError(sentence, lasting="memory" not in sentence.lower())
        return engine


def parser_errors(parser: Any, told: Told) -> str:
    """Which nodes the parser did not take, and why."""
    named = []
    for i in range(parser.num_errors):
        mistake = parser.get_error(i)
        why = plain(mistake.desc())[:300]
        node = f"node {mistake.node_name()!r} (operator {mistake.node_operator()})" if mistake.node_operator() else "the file"
        named.append(f"{node}: {why}")
    if not named:
        return f"TensorRT does not take the file: {told.last('it gives no reason')}"
    more = f"; and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"TensorRT does not take {'; '.join(named[:MOST_NAMED])}{more}"


@dataclass
class Phase:
    """A part of the building: where it begins in the whole, 0 to 1, how wide it is, how many steps it has."""

    start: float
    width: float
    steps: int


class Phases:
    """What is done of phases within phases, as one number; from any thread."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._open: dict[str, Phase] = {}
        self._at: dict[str, int] = {}
        self._mutex = threading.Lock()

    def begin(self, name: str, parent: str | None, steps: int) -> None:
        """A phase with so many steps, within the current step of its parent."""
        with self._mutex:
            above = self._open.get(parent or "")
            at = self._at.get(parent or "", 0)
            width = above.width / above.steps if above else 1.0 if not self._open else 0.0
            start = above.start + width * min(at, above.steps - 1) if above else 0.0
            self._open[name], self._at[name] = Phase(start, width, max(1, steps)), 0
        self._tell(start, name)

    def step(self, name: str, step: int) -> None:
        """Its step `step`, counted from 0, is done."""
        with self._mutex:
            phase = self._open.get(name)
            if phase is None:
                return
            self._at[name] = step + 1
            part = phase.start + phase.width * min(1.0, (step + 1) / phase.steps)
        self._tell(part, name)

    def end(self, name: str) -> None:
        """It is over."""
        with self._mutex:
            self._open.pop(name, None)
            self._at.pop(name, None)


def make_monitor(trt: Any, tell: Tell) -> Any:
    """TensorRT's progress monitor, which never stops a build: its process is ended for that."""
    phases = Phases(tell)

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.begin(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            phases.step(phase_name, step)
            return True

        def phase_finish(self, phase_name: str) -> None:
            phases.end(phase_name)
    return Monitor()
