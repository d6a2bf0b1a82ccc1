"""One version of one model that answers: tensors in, tensors out, whatever stands behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from ..models.bundle import Bundle, TensorSpec
from .answered import named, noting
from .backends import FreeSession, Session
from .backends.tensors import array_dtype
from .batcher import Batcher, Fill, Read
from .deadline import within
from .engine import Engine
from .engines.cycle import Cycle
from .errors import AisleError, Busy, Invalid, Late
from .ladder import Ladder
from .pool_line import asking
from .stats import Stats
from .worker import Lending

WIRE_NAMES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
    "bfloat16": "BF16", "bytes": "BYTES", "sequence": "BYTES", "map": "BYTES",
}
GRACE_S = 30.0
STAGES = ("queue_ns", "compute_input_ns", "compute_infer_ns", "compute_output_ns")
PLATFORMS = {"onnx": "onnxruntime_onnx", "null": "aisle_null"}

Sequence_ = tuple[Any, bool, bool]


class Served:
    """A loaded model version behind one call, `infer`; made by the repository."""

    def __init__(self, bundle: Bundle, *, backend: str, precision: str, batcher: Batcher | Ladder | None, engine: Engine,
                 stats: Stats, job: str | None = None, workload: ModuleType | None = None,
                 decode: Callable[..., np.ndarray] | None = None, owned: Sequence[Batcher] = (),
                 cycle: Cycle | None = None, refused: str = "", ladder: Ladder | None = None,
                 notes: Sequence[str] = (), why: str = "") -> None:
        self.bundle = bundle
        self.cycle = cycle                           # the engine that it runs on or should
        self.refused = refused                       # why it can have none
        self.ladder = ladder                         # its variants, where several are open
        self.notes = tuple(notes)                    # what was preferred and could not be had, and why
        self.why = why                               # the variant that answers by itself does, where there is a choice
        self.successor: Served | None = None         # what was switched in for it
        self._at_work = 0                            # requests of a job between its beginning and its verdict
        self.owned = owned
        self.name = bundle.name
        self.version = bundle.version
        self.backend = backend
        self.precision = precision
        self.batcher = batcher
        self.engine = engine
        self.stats = stats
        self.job = job
        self.workload = workload
        covers = getattr(workload, "covers", None)
        # A job that shrinks its pictures says to what size, so that a JPEG is decoded no larger than that needs.
        self.decode = partial(decode, cover=covers(engine.asset)) if decode and covers else decode
        self.max_batch = 0 if workload else bundle.max_batch
        self.inputs: tuple[TensorSpec, ...] = workload.INPUTS if workload else bundle.inputs
        self.outputs: tuple[TensorSpec, ...] = workload.OUTPUTS if workload else bundle.outputs
        self.platform = f"aisle_{job}" if job else PLATFORMS.get(backend, backend)
        self.controls = sequence_controls(bundle.config)
        self.static = batcher is not None and isinstance(batcher.session, Session)
        self._lendable: frozenset[str] = getattr(batcher.session, "lendable", frozenset()) if batcher else frozenset()
        self._inputs = {spec.name: (array_dtype(spec), spec.shape, spec) for spec in self.inputs}
        self._output_names = tuple(spec.name for spec in self.outputs)
        self._required = frozenset(s.name for s in self.inputs if not s.optional) - self.controls.keys()

    def engine_state(self, now: float) -> dict[str, Any]:
        """Where its engine is, at `now` of time.monotonic; empty where there is none to have."""
        if self.cycle is not None:
            return self.cycle.table(now)
        return {"state": "refused", "reason": self.refused} if self.refused else {}

    # ---- checks, with the texts that Triton's users match on

    def check(self, tensors: Mapping[str, np.ndarray], outputs: Sequence[str]) -> int:
        """Raise Invalid for wrong names, dtypes or shapes; return the batch size (1 where there is none)."""
        if len(tensors) != len(self._inputs) or tensors.keys() != self._inputs.keys():
            self._check_names(tensors)
        batch = 0
        for name, array in tensors.items():
            dtype, shape, spec = self._inputs[name]
            if array.dtype != dtype:
                raise Invalid(f"inference input '{name}' data-type is '{wire_name(array.dtype)}', but model "
                              f"'{self.name}' expects '{WIRE_NAMES[spec.dtype]}'")
            got = array.shape
            if self.max_batch:
                if not got or not fits(got[1:], shape):
                    raise self._shape_error(name, shape, got)
                if batch not in (0, got[0]) or (batch == 0 and got[0] == 0 and self.static):
                    raise Invalid(f"input '{name}' batch size does not match other inputs for '{self.name}': expected "
                                  f"{batch or 'at least 1'}, got {got[0]}")
                batch = got[0]
            elif got != shape and not (spec.any_rank or fits(got, shape)):
                raise self._shape_error(name, shape, got)
        if batch > self.max_batch:
            raise Invalid(f"inference request batch-size must be <= {self.max_batch} for '{self.name}', got {batch}")
        for name in outputs:
            if name not in self._output_names:
                raise Invalid(f"unexpected inference output '{name}' for model '{self.name}'; it has "
                              f"{list(self._output_names)}")
        return batch or 1

    def _check_names(self, tensors: Mapping[str, np.ndarray]) -> None:
        for name in tensors:
            if name not in self._inputs:
                raise Invalid(f"unexpected inference input '{name}' for model '{self.name}'; it takes "
                              f"{list(self._inputs)}")
        missing = sorted(self._required - tensors.keys())
        if missing:
            raise Invalid(
                f"expected {len(self._required)} inputs but got {len(tensors)} inputs for model '{self.name}'. Got "
                f"input(s) {sorted(tensors)}, but missing required input(s) {missing}. Please provide all required "
                "input(s).")

    def _shape_error(self, name: str, shape: tuple[int | None, ...], got: tuple[int, ...]) -> Invalid:
        want = ([-1] if self.max_batch else []) + [-1 if n is None else n for n in shape]
        return Invalid(f"unexpected shape for input '{name}' for model '{self.name}'. Expected "
                       f"{str(want).replace(' ', '')}, got {str(list(got)).replace(' ', '')}. ")

    # ---- the call

    async def infer(self, tensors: Mapping[str, np.ndarray], outputs: Sequence[str] = (), *, timeout_us: int = 0,
                    priority: int = 0, sequence: Sequence_ | None = None, nbytes: int = 0,
                    trace: dict[str, Any] | None = None, started_ns: int = 0, take: Read | None = None,
                    lend: bool = False) -> Any:
        """Answer one request; `outputs` empty means all. Raises Invalid, Busy, Late or Failed.

        `trace` gets the stage times, and as `way` the variant that answered ("onnx int8"; "" where no network ran).

        Arrays carry the batch axis where `max_batch` > 0. `timeout_us` and `priority` as in OIP (0: the model's own).
        The answer is a dictionary of arrays; with `take` it is what `take` makes of the model's outputs on its thread,
        while they lie in its memory (a job's: afterwards, here). With `lend` the tensors stay where they are until this
        returns, though their owner may change them, and a model for which that is safe reads them there.
        """
        if self.successor is not None:       # switched between being looked up and being asked: with a body, that takes a while
            return await self.successor.infer(tensors, outputs, timeout_us=timeout_us, priority=priority, sequence=sequence,
                                              nbytes=nbytes, trace=trace, started_ns=started_ns, take=take,
                                              lend=lend)
        started, way = started_ns or time.perf_counter_ns(), ""
        stats = self.stats
        stats.pending += 1
        try:
            if self.controls:
                tensors = {**tensors, **self._control_tensors(sequence, tensors)}
            batch = self.check(tensors, outputs)
            names = outputs or self._output_names
            if self.batcher is None:
                with within(timeout_us), asking(self.job or ""), noting() as variants:
                    value, times = await self._run_job(tensors, names)
                    value, way = value if take is None else take(value), named(variants)
            else:
                ends = self._ends(tensors, names, take, lend)
                value, times, way = await self._run_model(self.batcher, ends, names, batch, nbytes, timeout_us, priority)
        except BaseException as error:
            self._count_failure(error, time.perf_counter_ns() - started)
            raise
        finally:
            stats.pending -= 1
        stats.ok(batch, time.perf_counter_ns() - started, *times)
        if trace is not None:
            trace.update(zip(STAGES, times, strict=True), way=way)
        return value

    async def _run_model(self, batcher: Batcher | Ladder, ends: tuple[Fill, Read], names: Sequence[str], batch: int,
                         nbytes: int, timeout_us: int, priority: int) -> tuple[Any, tuple[int, ...], str]:
        job = batcher.submit(*ends, rows=batch, nbytes=nbytes, outputs=names, timeout_us=timeout_us,
                             priority=priority)
        try:
            value = await job.future
        except asyncio.CancelledError:
            batcher.forget(job)
            raise
        return value, job.times, job.way

    def _ends(self, tensors: Mapping[str, np.ndarray], names: Sequence[str], take: Read | None,
              lend: bool = False) -> tuple[Fill, Read]:
        """How a request goes into the session and how its answer comes out."""
        fill: Fill
        if self.static:
            lent = {n: a for n, a in tensors.items() if n in self._lendable and a.flags.c_contiguous and a.flags.aligned
                    } if lend else {}
            copied = [(n, a) for n, a in tensors.items() if n not in lent]

            def fill(row: Any) -> None:
                for name, array in copied:
                    row[name][...] = array
            if lent:
                fill = Lending(lent, fill)

            def read(row: Any) -> dict[str, Any]:
                return {name: row[name].copy() for name in names}
        else:
            def fill(row: Any) -> None:
                row.update(tensors)

            def read(row: Any) -> dict[str, Any]:
                return {name: row[name] for name in names}
        return fill, take or read

    @property
    def ready_now(self) -> bool:
        """True where `infer_now` may be called: a cheap static model that nobody else uses at this moment."""
        return self.static and not self.controls and self.batcher is not None and self.batcher.ready_now

    @property
    def way_now(self) -> str:
        """The variant that `infer_now` answers by."""
        assert isinstance(self.batcher, Batcher)
        return self.batcher.way

    def infer_now(self, tensors: Mapping[str, np.ndarray], outputs: Sequence[str], started_ns: int,
                  trace: dict[str, Any] | None = None, take: Read | None = None, lend: bool = False) -> Any:
        """`infer` without a thread switch, for the event loop; only when `ready_now`."""
        try:
            batch = self.check(tensors, outputs)
        except Invalid as error:
            self._count_failure(error, time.perf_counter_ns() - started_ns)
            raise
        value, times = self.run_now(*self._ends(tensors, outputs or self._output_names, take, lend), batch, started_ns)
        if trace is not None:
            trace.update(zip(STAGES, times, strict=True), way=self.way_now)
        return value

    def run_now(self, fill: Fill, read: Read, rows: int, started_ns: int) -> tuple[Any, tuple[int, int, int, int]]:
        """What `read` makes of `rows` rows that `fill` filled, and the stage times; only when `ready_now`."""
        assert self.batcher is not None
        try:
            value, times = self.batcher.run_now(fill, read, rows)
        except BaseException as error:
            self._count_failure(error, time.perf_counter_ns() - started_ns)
            raise
        self.stats.ok(rows, time.perf_counter_ns() - started_ns, *times)
        return value, times

    async def _run_job(self, tensors: Mapping[str, np.ndarray],
                       names: Sequence[str]) -> tuple[dict[str, Any], tuple[int, ...]]:
        workload = self.workload
        assert workload is not None
        start = time.perf_counter_ns()
        self._at_work += 1
        try:
            if sum(array.nbytes for array in tensors.values()) <= getattr(workload, "LIGHT_BYTES", -1):
                request = workload.from_tensors(tensors, self.decode)
            else:
                request = await self.engine.offload(workload.from_tensors, tensors, self.decode)
            middle = time.perf_counter_ns()
            verdict = await workload.run(request, self.engine)
        finally:
            self._at_work -= 1
        after = time.perf_counter_ns()
        made = workload.to_tensors(verdict)
        self.stats.executed(1, middle - start, after - middle, time.perf_counter_ns() - after)
        return {n: made[n] for n in names}, (0, middle - start, after - middle, time.perf_counter_ns() - after)

    async def answer(self, request: Any, *, input_ns: int = 0) -> Any:
        """A job's Verdict for its Request, counted like any inference; `input_ns` is what decoding it took before."""
        if self.successor is not None:
            return await self.successor.answer(request, input_ns=input_ns)
        assert self.workload is not None
        start = time.perf_counter_ns()
        self.stats.pending += 1
        self._at_work += 1
        try:
            with asking(self.job or ""):
                verdict = await self.workload.run(request, self.engine)
        except BaseException as error:
            self._count_failure(error, input_ns + time.perf_counter_ns() - start)
            raise
        finally:
            self.stats.pending -= 1
            self._at_work -= 1
        infer_ns = time.perf_counter_ns() - start
        self.stats.executed(1, input_ns, infer_ns, 0)
        self.stats.ok(1, input_ns + infer_ns, 0, input_ns, infer_ns, 0)
        return verdict

    def _control_tensors(self, sequence: Sequence_ | None, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """START, END, READY and CORRID as the model's configuration asks for them (Triton: sequence batching)."""
        ident, start, end = sequence or (0, False, False)
        made = {}
        shape = (1,) if self.max_batch else ()
        first = next(iter(tensors.values()), None)
        if first is not None and self.max_batch and first.ndim:
            shape = (first.shape[0],)
        for name, (kind, values) in self.controls.items():
            if name not in self._inputs or name in tensors:
                continue
            dtype, dims, _ = self._inputs[name]
            if kind == "corrid":
                number = ident if isinstance(ident, int) else 0
            else:
                number = values[{"start": start, "end": end, "ready": True}[kind]]
            made[name] = np.full(shape + tuple(n or 1 for n in dims), number, dtype)
        return made

    def _count_failure(self, error: BaseException, ns: int) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.stats.failed("CANCELED", ns)
        elif isinstance(error, (Busy, Late)):
            self.stats.failed("REJECTED", ns, late=isinstance(error, Late))
        elif isinstance(error, Invalid) or not isinstance(error, AisleError):
            self.stats.failed("OTHER", ns)
        else:
            self.stats.failed("BACKEND", ns)

    async def close(self) -> None:
        """Answer what is queued, then give the memory back. A job on its way to its network is let through first."""
        until = time.monotonic() + GRACE_S
        while self._at_work and self.owned and time.monotonic() < until:    # noqa: ASYNC110 - once
            await asyncio.sleep(0.005)
        for batcher in self.owned:
            await batcher.drain()


def fits(got: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    """True where the dimensions match; None takes any."""
    return len(got) == len(shape) and all(want is None or want == n for n, want in zip(got, shape, strict=True))


def wire_name(dtype: np.dtype[Any]) -> str:
    """OIP's name of an array's dtype."""
    return "BYTES" if dtype.kind == "O" else WIRE_NAMES.get(dtype.name, dtype.name)


def sequence_controls(config: Mapping[str, Any]) -> dict[str, tuple[str, tuple[Any, Any]]]:
    """Control inputs of a `sequence_batching` block: tensor name -> (start|end|ready|corrid, (false, true) values)."""
    found: dict[str, tuple[str, tuple[Any, Any]]] = {}
    for item in config.get("sequence_batching", {}).get("control_input", ()):
        for control in item.get("control", ()):
            kind = str(control.get("kind", "")).removeprefix("CONTROL_SEQUENCE_").lower()
            values = next((tuple(v) for k, v in control.items() if k.endswith("_false_true")), (0, 1))
            if kind in ("start", "end", "ready", "corrid") and len(values) == 2:
                found[item["name"]] = (kind, (values[0], values[1]))
    return found


def is_free(session: Session | FreeSession) -> bool:
    """True for the unbatched path."""
    return not isinstance(session, Session)
