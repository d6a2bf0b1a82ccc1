"""What a served model looks like to OIP clients: its metadata and its configuration in Triton's words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ....models.bundle import TensorSpec
from ...served import WIRE_NAMES, Served

BACKENDS = {"onnx": "onnxruntime"}
# Blocks of a config.pbtxt that are passed on as they were read.
PASSED_ON = ("sequence_batching", "parameters", "optimization", "model_warmup", "metric_tags")


def shape_of(spec: TensorSpec, batched: bool) -> list[int]:
    """The whole tensor's shape; -1 is a free dimension."""
    return ([-1] if batched else []) + [-1 if n is None else n for n in spec.shape]


def metadata(served: Served, versions: Sequence[str]) -> dict[str, Any]:
    """The answer to GET /v2/models/M. Control inputs of a sequence model are the server's affair and left out."""
    def tensors(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
        return [{"name": s.name, "datatype": WIRE_NAMES[s.dtype], "shape": shape_of(s, bool(served.max_batch))}
                for s in specs if s.name not in served.controls]

    engine = served.engine_state(time.monotonic())
    told: dict[str, Any] = {"engine": engine} if engine else {}
    if served.why:
        told |= {"aisle_variant": f"{served.backend} {served.precision}", "aisle_variant_why": served.why}
    return {"name": served.name, "versions": list(versions), "platform": served.platform,
            "inputs": tensors(served.inputs), "outputs": tensors(served.outputs),
            **({"parameters": told} if told else {})}


def type_name(dtype: str) -> str:
    """A datatype as ModelConfig writes it."""
    wire = WIRE_NAMES[dtype]
    return "TYPE_STRING" if wire == "BYTES" else f"TYPE_{wire}"


def as_map(block: Any) -> Any:
    """A block as JSON has it: repeated `key` and `value` are one object there."""
    pairs = isinstance(block, list) and all(isinstance(i, dict) and i.keys() == {"key", "value"} for i in block)
    return {i["key"]: i["value"] for i in block} if pairs else block


def model_config(served: Served) -> dict[str, Any]:
    """The answer to GET /v2/models/M/config."""
    bundle = served.bundle
    dims = {s.name: shape_of(s, False) for s in (*served.inputs, *served.outputs)}
    given = {name: as_map(bundle.config[name]) for name in PASSED_ON if bundle.config.get(name)}
    label_files = {o.get("name"): o.get("label_filename", "") for o in bundle.config.get("output", ())}
    config: dict[str, Any] = {
        "name": served.name,
        "platform": served.platform,
        "backend": BACKENDS.get(served.backend, served.backend or f"aisle_{served.job}"),
        "runtime": "",
        "version_policy": bundle.config.get("version_policy") or {"latest": {"num_versions": 1}},
        "max_batch_size": served.max_batch,
        "input": [{"name": s.name, "data_type": type_name(s.dtype), "format": "FORMAT_NONE", "dims": dims[s.name],
                   "is_shape_tensor": False, "allow_ragged_batch": False, "optional": s.optional,
                   "is_non_linear_format_io": False}
                  for s in served.inputs if s.name not in served.controls],
        "output": [{"name": s.name, "data_type": type_name(s.dtype), "dims": dims[s.name],
                    "label_filename": label_files.get(s.name, ""),
                    "is_shape_tensor": False, "is_non_linear_format_io": False} for s in served.outputs],
        "batch_input": [],
        "batch_output": [],
        "optimization": {"priority": "PRIORITY_DEFAULT"},
        "instance_group": [{"name": f"{served.name}_0", "kind": "KIND_CPU", "count": served.bundle.queue.instances, "gpus": [],
                            "secondary_devices": [], "profile": [], "passive": False, "host_policy": ""}],
        "default_model_filename": next(iter(bundle.files.values()), ""),
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": {},
        "model_warmup": [],
        "model_transaction_policy": {"decoupled": False},
        "response_cache": {"enable": False},
        **given,
    }
    if served.max_batch and "sequence_batching" not in given:
        config["dynamic_batching"] = dynamic_batching(served)
    return config


def dynamic_batching(served: Served) -> dict[str, Any]:
    """How requests wait for the model, as the batcher really does it."""
    queue = served.bundle.queue
    return {
        "preferred_batch_size": [served.max_batch],
        "max_queue_delay_microseconds": queue.wait_us,
        "preserve_ordering": queue.preserve_ordering,
        "priority_levels": queue.priority_levels,
        "default_priority_level": queue.default_priority,
        "default_queue_policy": {
            "timeout_action": queue.timeout_action,
            "default_timeout_microseconds": queue.default_timeout_us,
            "allow_timeout_override": queue.allow_timeout_override,
            "max_queue_size": queue.max_requests,
        },
        "priority_queue_policy": {},
    }
