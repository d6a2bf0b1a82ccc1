"""What a Triton `config.pbtxt` says of a model, as ours: tensors, batch, queue policy, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..models.bundle import BundleError, QueuePolicy, TensorSpec
from .pbtxt import PbtxtError, parse

MAX_CONFIG_BYTES = 1 << 20
MAX_LABEL_BYTES = 4 << 20
MAX_BATCH = 4096
FIELDS = frozenset({
    "name", "platform", "backend", "runtime", "version_policy", "max_batch_size", "input", "output", "batch_input",
    "batch_output", "optimization", "dynamic_batching", "sequence_batching", "ensemble_scheduling", "instance_group",
    "default_model_filename", "cc_model_filenames", "metric_tags", "parameters", "model_warmup", "model_operations",
    "model_transaction_policy", "model_repository_agents", "response_cache", "model_metrics",
})
REPEATED = frozenset({
    "input", "output", "dims", "control_input", "control", "int32_false_true", "fp32_false_true", "bool_false_true",
    "versions", "preferred_batch_size", "instance_group", "parameters", "state", "initial_state", "model_warmup",
    "gpus", "profile",
})
_REFUSED = ("ensemble_scheduling", "batch_input", "batch_output", "model_repository_agents")
_PLATFORMS = ("", "onnxruntime_onnx")
_BACKENDS = ("", "onnxruntime")
_DTYPES = {
    "TYPE_BOOL": "bool", "TYPE_UINT8": "uint8", "TYPE_UINT16": "uint16", "TYPE_UINT32": "uint32",
    "TYPE_UINT64": "uint64", "TYPE_INT8": "int8", "TYPE_INT16": "int16", "TYPE_INT32": "int32", "TYPE_INT64": "int64",
    "TYPE_FP16": "float16", "TYPE_FP32": "float32", "TYPE_FP64": "float64", "TYPE_STRING": "bytes",
    "TYPE_BF16": "bfloat16",
}


@dataclass(frozen=True)
class VersionPolicy:
    """Which versions serve: the `latest` newest, or just the `specific` ones; `latest` 0 means all."""

    latest: int = 1
    specific: tuple[str, ...] = ()


@dataclass(frozen=True)
class TritonConfig:
    """Facts of a config.pbtxt. `label_files` maps an output to the file with its labels."""

    name: str = ""
    file_name: str = "model.onnx"
    max_batch: int = 0
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    label_files: Mapping[str, str] = field(default_factory=dict)
    queue: QueuePolicy = field(default_factory=QueuePolicy)
    versions: VersionPolicy = field(default_factory=VersionPolicy)
    config: Mapping[str, Any] = field(default_factory=dict)


class _Wrong(ValueError):
    """What is wrong with a value, and where."""


def read_config(path: Path) -> TritonConfig:
    """The facts of the file at `path`. BundleError with the line, or the field, for one that cannot be used."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise _Wrong(f"it is over {MAX_CONFIG_BYTES:,} bytes")
        return bundle_facts(parse(data.decode("utf-8"), REPEATED))
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{path} is not UTF-8 text; save it again") from error
    except (PbtxtError, _Wrong) as error:
        raise BundleError(f"{path}: {error}; correct it, or remove it to take all from the model") from error


def bundle_facts(config: Mapping[str, Any]) -> TritonConfig:
    """The facts of a parsed ModelConfig (lists where `REPEATED` says so). ValueError names the field."""
    unknown = [name for name in config if name not in FIELDS]
    if unknown:
        raise _Wrong(f"unknown field {unknown[0]!r}; the fields are {', '.join(sorted(FIELDS))}")
    for name in _REFUSED:
        if config.get(name):
            raise _Wrong(f"{name} is not served here")
    platform, backend = _text(config, "platform"), _text(config, "backend")
    if platform not in _PLATFORMS or backend not in _BACKENDS:
        raise _Wrong(f"platform {platform!r} with backend {backend!r} is not served here; ONNX models are "
                     "(platform \"onnxruntime_onnx\" or backend \"onnxruntime\")")
    inputs, outputs = _messages(config, "input"), _messages(config, "output")
    return TritonConfig(
        name=_text(config, "name"),
        file_name=_text(config, "default_model_filename") or "model.onnx",
        max_batch=_whole(config, "max_batch_size", MAX_BATCH),
        inputs=_tensors(inputs, "input"),
        outputs=_tensors(outputs, "output"),
        label_files={str(o["name"]): _text(o, "label_filename") for o in outputs if o.get("label_filename")},
        queue=replace(_queue(_message(config, "dynamic_batching")), instances=_instances(_messages(config, "instance_group"))),
        versions=_versions(_message(config, "version_policy")),
        config=dict(config),
    )


def read_labels(folder: Path, name: str) -> tuple[str, ...]:
    """The lines of the label file `name` in `folder`. BundleError for one that is missing, outside or too long."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BundleError(f"label file {name!r} lies outside {folder}; keep it inside")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LABEL_BYTES + 1)
        if len(data) > MAX_LABEL_BYTES:
            raise BundleError(f"label file {path} is over {MAX_LABEL_BYTES:,} bytes; expected a short line a class")
        return tuple(line.strip() for line in data.decode("utf-8").splitlines() if line.strip())
    except OSError as error:
        raise BundleError(f"cannot read the label file {path}: {error.strerror}; copy it again") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"label file {path} is not UTF-8 text; save it again") from error


def _tensors(messages: list[Mapping[str, Any]], kind: str) -> tuple[TensorSpec, ...]:
    specs: dict[str, TensorSpec] = {}
    for message in messages:
        name = _text(message, "name")
        place = f"{kind} {name!r}"
        if not name or name in specs:
            raise _Wrong(f"{kind} has a name missing or given twice ({name!r})")
        dtype = _DTYPES.get(str(message.get("data_type")))
        if dtype is None:
            raise _Wrong(f"{place}: expected data_type one of {', '.join(_DTYPES)}, got {message.get('data_type')!r}")
        if "reshape" in message:
            raise _Wrong(f"{place}: reshape is not served here; export the model with the shape that clients send")
        dims = message.get("dims")
        if not isinstance(dims, list) or any(type(d) is not int or not -1 <= d < 2**40 for d in dims):
            raise _Wrong(f"{place}: expected dims as whole numbers from 0, or -1 for a free one, got {dims!r}")
        specs[name] = TensorSpec(name, dtype, tuple(None if d == -1 else d for d in dims),
                                 optional=bool(message.get("optional", False)))
    return tuple(specs.values())


def _instances(groups: list[Mapping[str, Any]]) -> int:
    """How many copies of the model the instance groups ask for; 1 without any."""
    count = sum(_whole(group, "count", 64) or 1 for group in groups)
    if count > 64:
        raise _Wrong(f"instance_group: expected at most 64 instances together, got {count}")
    return count or 1


def _queue(batching: Mapping[str, Any]) -> QueuePolicy:
    policy = _message(batching, "default_queue_policy")
    action = policy.get("timeout_action", "REJECT")
    if action not in ("REJECT", "DELAY"):
        raise _Wrong(f"timeout_action: expected REJECT or DELAY, got {action!r}")
    return QueuePolicy(
        wait_us=_whole(batching, "max_queue_delay_microseconds", 2**53),
        max_requests=_whole(policy, "max_queue_size", 1_000_000),
        default_timeout_us=_whole(policy, "default_timeout_microseconds", 2**53),
        # As in Triton, a policy that does not allow it forbids it; without a policy clients may set their own.
        allow_timeout_override=bool(policy.get("allow_timeout_override", not policy)),
        timeout_action=str(action),
        priority_levels=_whole(batching, "priority_levels", 1000),
        default_priority=_whole(batching, "default_priority_level", 1000),
        preserve_ordering=bool(batching.get("preserve_ordering", False)),
    )


def _versions(policy: Mapping[str, Any]) -> VersionPolicy:
    if "all" in policy:
        return VersionPolicy(latest=0)
    if "specific" in policy:
        versions = _message(policy, "specific").get("versions", [])
        if not versions or any(type(v) is not int or v < 0 for v in versions):
            raise _Wrong(f"version_policy.specific: expected versions as whole numbers, got {versions!r}")
        return VersionPolicy(specific=tuple(str(v) for v in versions))
    latest = _message(policy, "latest")
    return VersionPolicy(latest=_whole(latest, "num_versions", 1000) or 1)


def _message(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name, {})
    if not isinstance(value, Mapping):
        raise _Wrong(f"{name}: expected one {{ ... }}, got {value!r:.60}")
    return value


def _messages(config: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    values = config.get(name, [])
    if not isinstance(values, list) or not all(isinstance(v, Mapping) for v in values):
        raise _Wrong(f"{name}: expected {{ ... }} blocks, got {values!r:.60}")
    return values


def _text(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name, "")
    if not isinstance(value, str):
        raise _Wrong(f"{name}: expected text, got {value!r:.60}")
    return value


def _whole(config: Mapping[str, Any], name: str, high: int) -> int:
    value = config.get(name, 0)
    if type(value) is not int or not 0 <= value <= high:
        raise _Wrong(f"{name}: expected a whole number from 0 to {high}, got {value!r:.60}")
    return value
