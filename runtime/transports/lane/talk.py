"""What a client asks once it has shared its memory: models, handles, calls under way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from ...errors import AisleError, Busy, Failed, Invalid, NotFound
from ...lane_wire import (
    ANSWER_HEAD,
    HEAD,
    INFER,
    MAX_MESSAGE,
    MODELS,
    OK,
    OPEN,
    READY,
    REPEATING,
    VARYING,
    Changed,
    pack_answer,
    pack_error,
)
from ...pool import Pool
from ...repository import Repository
from ...served import Served
from .calls import MAX_PLANS, Handle, Plan
from .memory import Memory

log = logging.getLogger("aisle.lane")

MAX_HANDLES = 256
INLINE_BYTES = 1 << 16    # inputs that must be copied are, beyond it, copied on the pool
FAULT = "the server failed on this request; its log says where. Please report it"


class Host(Protocol):
    """What a lane needs of the server around it."""

    repository: Repository
    pool: Pool
    draining: bool
    requests: int
    in_flight: int


class Talk:
    """Answers the messages of one client. `answer` takes what comes later than its message."""

    def __init__(self, memory: Memory, host: Host, answer: Callable[[bytes], None]) -> None:
        self.memory = memory
        self.host = host
        self.handles: list[Handle] = []
        self.plans: dict[bytes, Plan] = {}
        self.busy: set[int] = set()               # slots of calls under way
        self.tasks: set[asyncio.Task[None]] = set()
        self._answer = answer

    def close(self) -> None:
        """Calls that wait lose their place; those that run keep the memory until they end."""
        for task in self.tasks:
            task.cancel()
        self.plans.clear()
        self.handles.clear()

    def handle(self, data: bytes, started: int) -> bytes | None:
        """The answer to one message, or None where it comes later. Errors are answers too."""
        number = int.from_bytes(data[4:8], "little")
        try:
            return self._handle(data, number, started)
        except AisleError as error:
            return pack_error(number, error)
        except Exception:
            log.exception("a message of the lane failed")
            return pack_error(number, Failed(FAULT))

    def _handle(self, data: bytes, number: int, started: int) -> bytes | None:
        if len(data) > MAX_MESSAGE or len(data) < HEAD.size:
            raise Invalid(f"a message of {len(data)} bytes: expected {HEAD.size} to {MAX_MESSAGE}")
        kind = int.from_bytes(data[:2], "little")
        if kind == INFER:
            return self._infer(data, number, started)
        if kind == OPEN:
            return self._open(data[HEAD.size:], number)
        if kind == MODELS:
            return self._models(number, int.from_bytes(data[2:4], "little"))
        if kind == READY:
            blockers = ["the server is shutting down"] if self.host.draining else self.host.repository.blockers()
            if blockers:
                raise Busy("; ".join(blockers))
            return pack_answer(number, OK)
        raise Invalid(f"a message of kind {kind} is not known; expected OPEN ({OPEN}), INFER ({INFER}), MODELS ({MODELS}) "
                      f"or READY ({READY})")

    # ---- what there is

    def _open(self, raw: bytes, number: int) -> bytes:
        """OPEN: a handle for a model or a job's station, and what tensors it takes and gives."""
        name, _, version = raw.decode("utf-8", "replace").partition("\n")
        served = self.host.repository.get(name, version or None)
        index = next((i for i, h in enumerate(self.handles) if (h.name, h.version) == (name, version or None)), None)
        if index is None:
            if len(self.handles) >= MAX_HANDLES:
                raise Busy(f"this connection has opened {MAX_HANDLES} models, the most it may")
            index = len(self.handles)
            self.handles.append(Handle(name, version or None, served))
        else:
            self.handles[index] = Handle(name, version or None, served)
            self.plans.clear()
        handle = self.handles[index]
        if len(handle.text) > MAX_MESSAGE - ANSWER_HEAD.size:
            raise Invalid(f"model '{name}' has too many tensors with too long names for one message; ask over HTTP")
        return pack_answer(number, OK, handle.text, count=len(handle.told), extra=served.max_batch, value=index)

    def _models(self, number: int, first: int) -> bytes:
        """MODELS: `name, version, job` lines from the `first` on; `count` lines of `value` fit."""
        lines = [f"{s.name}\t{s.version}\t{s.job or ''}\n".encode() for s in self.host.repository.served()]
        count, size = 0, 0
        for line in lines[first:]:
            if size + len(line) > MAX_MESSAGE - ANSWER_HEAD.size:
                break
            count, size = count + 1, size + len(line)
        return pack_answer(number, OK, b"".join(lines[first:first + count]), count=count, value=len(lines))

    # ---- inference

    def _plan(self, data: bytes) -> tuple[Plan, Served]:
        """The call in `data`, remembered or new, and the version that answers it now."""
        plan = self.plans.get(data[REPEATING:])
        if plan is not None:
            served = self._current(plan.handle)
            if plan.served is served:
                return plan, served
            self.plans.clear()
        if len(data) < REPEATING + 8:
            raise Invalid(f"a call of {len(data)} bytes is not whole")
        index = int.from_bytes(data[REPEATING:REPEATING + 4], "little")
        if index >= len(self.handles):
            raise NotFound(f"handle {index}: this connection has opened {len(self.handles)} models; send OPEN first")
        served = self._current(self.handles[index])
        plan = Plan(data, self.handles[index], self.memory)
        if len(self.plans) >= MAX_PLANS:
            self.plans.clear()
        self.plans[data[REPEATING:]] = plan
        return plan, served

    def _current(self, handle: Handle) -> Served:
        served = self.host.repository.get(handle.name, handle.version)
        if served is not handle.served:
            try:
                handle.follow(served)
            except Changed:
                self.plans.clear()
                raise
        return served

    def _infer(self, data: bytes, number: int, started: int) -> bytes | None:
        plan, served = self._plan(data)
        if plan.slot in self.busy:
            raise Invalid(f"slot {plan.slot} is in use by a call that is not answered yet")
        host = self.host
        if host.draining:
            raise Busy("the server is shutting down; send the request again in a few seconds", 5)
        host.requests += 1
        _, timeout_us, priority = VARYING.unpack_from(data, 4)
        if plan.steady and not timeout_us and served.ready_now:
            told: bytes = served.infer_now(plan.inputs, plan.names, started, take=plan.take, lend=plan.lends)
            way = served.way_now.encode()
            return pack_answer(number, OK, told + way, count=len(plan.places), extra=len(way),
                               ns=time.perf_counter_ns() - started)
        self.busy.add(plan.slot)
        task = asyncio.get_running_loop().create_task(self._later(plan, served, number, timeout_us, priority, started))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return None

    async def _later(self, plan: Plan, served: Served, number: int, timeout_us: int, priority: int, started: int) -> None:
        """A call that takes a while."""
        over = False

        def take(row: Any) -> bytes:
            if over:          # given up by us: the slot may hold the client's next call already
                return b""
            return plan.take(row) if plan.places else plan.store(row)

        self.host.in_flight += 1
        try:
            much = plan.loose and plan.nbytes > INLINE_BYTES
            tensors = await self.host.pool.run(plan.tensors) if much else plan.tensors()
            traced: dict[str, Any] = {}
            told = await served.infer(tensors, plan.names, timeout_us=timeout_us, priority=priority, nbytes=plan.nbytes,
                                      started_ns=started, take=take, lend=plan.lends, trace=traced)
            way = traced["way"].encode()
            answer = pack_answer(number, OK, told + way, count=len(plan.names), extra=len(way),
                                 ns=time.perf_counter_ns() - started)
        except asyncio.CancelledError as error:     # the client is gone: nobody else cancels
            forget_frames(error)
            return
        except AisleError as error:
            answer = pack_error(number, error)
            forget_frames(error)
        except Exception as error:
            log.exception("inference with model %s failed", plan.handle.name)
            answer = pack_error(number, Failed(FAULT))
            forget_frames(error)
        finally:
            over = True
            self.host.in_flight -= 1
            self.busy.discard(plan.slot)
        self._answer(answer)


def forget_frames(error: BaseException | None) -> None:
    """Cut an error off the frames it came through: they hold the future that holds the error, and a client's memory."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
