"""The backend `onnx`: ONNX files run by ONNX Runtime."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError, TensorSpec
from . import onnx_engine
from .dtypes import MEMORY
from .onnx_facts import cache_folder, facts_of
from .onnx_sessions import OnnxFreeSession, OnnxSession

DEFAULT_MAX_BATCH = 8     # for files whose rows may share a run, where nobody said how many
log = logging.getLogger("aisle.backends.onnx")


class OnnxBackend:
    """Loads what passed a trial in a process of its own (`onnx_facts`); see `onnx_sessions` for the two paths."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache or cache_folder()

    def missing(self) -> str | None:
        """None, or one sentence why ONNX Runtime is not usable here."""
        return onnx_engine.missing()

    def describe(self, bundle: Bundle) -> Bundle:
        """The bundle with inputs, outputs and max_batch as its file has them.

        What the bundle states is held against the file: BundleError lists what differs. Where it states no tensors,
        rows get a batch axis only if the trial saw that two rows together answer as each alone.
        """
        facts = facts_of(bundle, _file(bundle, None), self._cache)
        inputs = _specs(facts["inputs"], facts) + _specs(facts["overridable"], facts, optional=True)
        outputs = _specs(facts["outputs"], facts)
        if bundle.inputs or bundle.outputs or bundle.max_batch:
            stated = {spec.name for spec in bundle.inputs}
            inputs += tuple(s for s in _specs(facts["weights"], facts, optional=True) if s.name in stated)
            return _agreed(bundle, inputs, outputs)
        if facts["batches"]:
            return replace(bundle, max_batch=DEFAULT_MAX_BATCH, inputs=_rows(inputs), outputs=_rows(outputs))
        both = inputs + outputs
        if all(s.shape[:1] == (None,) and not s.any_rank for s in both) and all(s.static for s in _rows(both)):
            log.info("model '%s': requests do not share runs: %s", bundle.name, facts["note"])
        return replace(bundle, max_batch=0, inputs=tuple(inputs), outputs=tuple(outputs))

    def open(self, bundle: Bundle, device: DeviceProfile) -> OnnxSession | OnnxFreeSession:
        """Load the file of the device's first precision. `bundle` comes from `describe`."""
        relative = _file(bundle, device)
        facts = facts_of(bundle, relative, self._cache)
        check_providers(bundle, device.providers, onnx_engine.engine().get_available_providers())
        threads = device.threads or len(os.sched_getaffinity(0))
        errors = onnx_engine.engine_errors()
        try:
            session = onnx_engine.open_session(bundle.path(relative), threads, device.providers,
                                               onnx_engine.memory_limit(device.memory_mb))
        except errors as error:
            raise BundleError(f"model file {bundle.name}/{bundle.version}/{relative} cannot be loaded: "
                              f"{onnx_engine.reason(error)}; {onnx_engine.advice(error)}") from error
        check_providers(bundle, device.providers, session.get_providers())
        static = all(s.static and s.dtype in MEMORY and not s.optional for s in (*bundle.inputs, *bundle.outputs))
        if static:
            return OnnxSession(session, bundle, bundle.max_batch, threads, frozenset(facts["lendable"]))
        return OnnxFreeSession(session, bundle, threads)


def check_providers(bundle: Bundle, asked: Sequence[str], got: Sequence[str]) -> None:
    """BundleError where the first provider asked for is not there: ONNX Runtime would quietly take another."""
    unknown = [name for name in asked if name not in onnx_engine.PROVIDERS]
    if unknown:
        raise BundleError(f"the device asks for provider {unknown[0]!r}; known are {', '.join(onnx_engine.PROVIDERS)}")
    if asked and asked[0] not in got:
        known = [name for name in got if name in onnx_engine.PROVIDERS]      # not the clouds that it can ask
        raise BundleError(f"model {bundle.name!r} was to run on {asked[0]}, ONNX Runtime can only offer "
                          f"{', '.join(known) or 'nothing'}; `aisle doctor` tells what is missing, or choose another device "
                          "profile")


def _file(bundle: Bundle, device: DeviceProfile | None) -> str:
    """The bundle's ONNX file of the first precision that the device prefers."""
    files = {precision: path for (backend, precision), path in bundle.files.items() if backend == "onnx"}
    wanted = device.precisions if device and len(files) > 1 else tuple(files)
    for precision in wanted:
        if precision in files:
            return files[precision]
    raise BundleError(f"bundle {bundle.name!r} has ONNX files of precision {', '.join(files) or 'none'}; "
                      f"{f'device {device.name!r} takes {wanted}' if device else 'it needs one'}")


def _specs(entries: list[Any], facts: dict[str, Any], optional: bool = False) -> tuple[TensorSpec, ...]:
    made = []
    for name, dtype, shape in entries:
        unknown = name in facts["shapeless"] and dtype not in ("sequence", "map")
        made.append(TensorSpec(name, dtype, (None,) if unknown else tuple(shape), optional, any_rank=unknown))
    return tuple(made)


def _rows(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return tuple(replace(spec, shape=spec.shape[1:]) for spec in specs)


def _agreed(bundle: Bundle, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Bundle:
    """The bundle with what it leaves open taken from the file; BundleError lists every disagreement."""
    controls = {item.get("name") for item in bundle.config.get("sequence_batching", {}).get("control_input", ())}
    wrong: list[str] = []
    given = _merged(bundle, "input", bundle.inputs, inputs, wrong)
    made = _merged(bundle, "output", bundle.outputs, outputs, wrong)
    stated = {spec.name for spec in given}
    for spec in inputs:
        if spec.name in stated:
            continue
        if spec.name in controls or spec.optional:
            given += (_row_of(bundle, spec, wrong),)
        else:
            wrong.append(f"the file needs input {spec.name!r}, which is not stated")
    if wrong:
        raise BundleError(f"model {bundle.name!r} version {bundle.version} states other tensors than its file has: "
                          + "; ".join(wrong[:20]) + "; correct config.pbtxt or bundle.toml")
    return replace(bundle, inputs=given, outputs=made)


def _merged(bundle: Bundle, kind: str, stated: tuple[TensorSpec, ...], found: tuple[TensorSpec, ...],
            wrong: list[str]) -> tuple[TensorSpec, ...]:
    """`stated` completed from `found`, or all of `found` where nothing is stated."""
    by_name = {spec.name: spec for spec in found}
    if not stated:
        return tuple(_row_of(bundle, spec, wrong) for spec in found)
    merged = []
    for spec in stated:
        have = by_name.get(spec.name)
        if have is None:
            wrong.append(f"{kind} {spec.name!r} is not in the file, which has {list(by_name)}")
            continue
        have = _row_of(bundle, have, wrong)
        if have.dtype != spec.dtype:
            wrong.append(f"{kind} {spec.name!r} is stated as {spec.dtype}, the file has {have.dtype}")
        if not have.any_rank and not _fit(spec.shape, have.shape):
            wrong.append(f"{kind} {spec.name!r} is stated as {_dims(spec.shape)}, the file has {_dims(have.shape)}"
                         f"{' without the batch axis' if bundle.max_batch else ''}")
        shape = spec.shape if have.any_rank or len(spec.shape) != len(have.shape) else tuple(
            mine if mine is not None else theirs for mine, theirs in zip(spec.shape, have.shape, strict=True))
        merged.append(replace(spec, shape=shape, optional=spec.optional or have.optional))
    return tuple(merged)


def _row_of(bundle: Bundle, spec: TensorSpec, wrong: list[str]) -> TensorSpec:
    """One row of a whole tensor; where rows are batched the file must leave its first dimension free."""
    if not bundle.max_batch or spec.any_rank or spec.dtype in ("sequence", "map"):
        return spec
    if spec.shape[:1] != (None,):
        wrong.append(f"max_batch is {bundle.max_batch}, but {spec.name!r} has no free first dimension in the file "
                     f"({_dims(spec.shape)})")
    return replace(spec, shape=spec.shape[1:])


def _fit(stated: tuple[int | None, ...], found: tuple[int | None, ...]) -> bool:
    return len(stated) == len(found) and all(
        mine is None or theirs is None or mine == theirs for mine, theirs in zip(stated, found, strict=True))


def _dims(shape: tuple[int | None, ...]) -> list[int]:
    return [-1 if dim is None else dim for dim in shape]
