"""The quantising tool over ONNX Runtime: one calibration, and from it one INT8 file for each kind of engine.

The two kinds differ because the engines do. ONNX Runtime on x86 fuses a convolution whose activations are unsigned and
whose weights are signed ("cpu": U8S8, a scale for each channel); with signed activations most convolutions run as
dequantise, float, quantise. TensorRT's parser takes only symmetric activations and a float bias ("trt": S8S8).
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...models.agreement import Run
from ...models.bundle import BundleError
from . import onnx_bias, onnx_engine, onnx_ranges

HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")     # what INT8 is for
# What INT8 passes through between them. Not the rest: a softmax or a division in 8 bits costs verdicts and gains nothing.
LIGHT = ("Add", "Mul", "Relu", "LeakyRelu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape",
         "Transpose", "Squeeze", "Unsqueeze", "Pad", "Resize", "Split")
QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")
CARRIED = ("Relu", "LeakyRelu", "Clip", "Add", "Mul")      # of those, what stays in float behind a layer that does
POOLS = ("GlobalAveragePool", "GlobalMaxPool", "AveragePool", "ReduceMean")
HEAD = 2                # so many layers behind the last pooling are the head, which stays in float
OPSET = 13              # of DequantizeLinear with an axis
SYMMETRIC = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
THREADS = 1
MOVED = 16              # multiply-adds that take as long as writing and reading one value


def missing() -> str | None:
    """None, or one sentence what has to be installed before anything can be quantised."""
    if find_spec("onnx") is None:
        return "quantising needs the package onnx; install it with pip install 'aisle[quantize]'"
    return onnx_engine.missing()


class OnnxTool:
    """One FP32 file on its way to INT8; `work` is a folder for files in between. BundleError for a file that cannot be."""

    ways = onnx_ranges.WAYS

    def __init__(self, source: Path, work: Path, shown: str, limit: int) -> None:
        import onnx

        self._work, self._shown, self._limit = work, shown, limit
        self._source = source
        operators = {node.op_type for node in self._tried(lambda: onnx.load(source, load_external_data=False)).graph.node}
        if operators & set(QUANTISED):
            raise BundleError(f"{shown} is quantised already (it has {sorted(operators & set(QUANTISED))[0]}); give the FP32 "
                              "file")
        if not operators & set(HEAVY):
            raise BundleError(f"{shown} has none of {', '.join(HEAVY)}, so INT8 would speed up nothing; its operators are "
                              f"{', '.join(sorted(operators)[:20])}")
        self._reference = self._session(source)        # what does not run in FP32 is refused with the engine's own reason
        self._prepared = self._tried(self._prepare)
        self._head = self._tried(self._find_head)
        self.layers = tuple(name for name in self._find_layers() if name not in self._head)
        if not self.layers:
            raise BundleError(f"{shown} has {', '.join(sorted(operators & set(HEAVY)))} without constant weights only; INT8 "
                              "needs weights that are stored in the file")
        self._behind = self._find_behind()
        self.head = tuple(name for name in self._find_layers() if name in self._head)
        self._seen = onnx_ranges.Seen()
        self._ranges: dict[str, Any] = {}

    def _tried(self, step: Any) -> Any:
        """What `step` gives; whatever the libraries raise for a file they do not understand becomes a sentence."""
        try:
            with hushed():
                return step()
        except (BundleError, OSError):
            raise
        except Exception as error:      # onnx and the quantiser raise bare Exceptions, KeyErrors, AssertionErrors
            raise BundleError(f"{self._shown} cannot be quantised: {onnx_engine.reason(error)}") from error

    def _prepare(self) -> Path:
        """The graph with constants folded, batch norms fused, shapes inferred and every node named."""
        import onnx
        import onnx.version_converter
        from onnxruntime.quantization import quant_pre_process

        path, source = self._work / "prepared.onnx", self._source
        model = onnx.load(source)
        if next((o.version for o in model.opset_import if not o.domain), OPSET) < OPSET:     # no scale for each channel before
            source = self._work / "renewed.onnx"
            onnx.save(onnx.version_converter.convert_version(model, OPSET), source)
        quant_pre_process(source, path, skip_symbolic_shape=True)
        model = onnx.load(path)
        taken = {node.name for node in model.graph.node}
        for i, node in enumerate(model.graph.node):
            if not node.name:
                node.name = next(n for n in (f"{node.op_type}_{i}", f"aisle_{node.op_type}_{i}") if n not in taken)
        onnx_bias.biased(model.graph)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
        return path

    def _find_layers(self) -> Iterator[str]:
        import onnx

        graph = onnx.load(self._prepared).graph
        stored = {tensor.name for tensor in graph.initializer}
        return (node.name for node in graph.node if node.op_type in HEAVY and len(node.input) > 1 and node.input[1] in stored)

    def _find_head(self) -> set[str]:
        """The last pooling and all behind it: a hundredth of the work, and where a rounding step costs a verdict.

        A head weighs features against one another that differ by less than the 255th part of the largest: rounded to 8 bits
        they are alike. Measured on a random body with a fitted head: of 16 held-out pictures 4 kept their verdict with the
        head in INT8, all 16 with it in float, at the same speed.
        """
        import onnx

        graph = onnx.load(self._prepared).graph
        behind: dict[str, set[str]] = {}        # of each tensor, the nodes that are reached from it
        heavy = {node.name for node in graph.node if node.op_type in HEAVY}
        head: set[str] = set()
        for node in reversed(graph.node):
            reached = {node.name}.union(*(behind.get(name, set()) for name in node.output))
            if node.op_type in POOLS and len(reached & heavy) <= HEAD:
                head |= reached
            for name in node.input:
                behind[name] = behind.get(name, set()) | reached
        return head

    def _find_behind(self) -> dict[str, list[str]]:
        """Of each layer, what follows it up to the next one: rounding that to 8 bits would undo what float is for."""
        import onnx

        graph = onnx.load(self._prepared).graph
        takers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                takers.setdefault(name, []).append(node)
        found: dict[str, list[str]] = {}
        for node in graph.node:
            if node.name not in self.layers:
                continue
            behind, ends = found.setdefault(node.name, []), list(node.output)
            while ends:
                for taker in takers.get(ends.pop(), ()):
                    if taker.op_type in CARRIED and taker.name not in behind:
                        behind.append(taker.name)
                        ends += taker.output
        return found

    def calibrate(self, feeds: Iterable[Mapping[str, np.ndarray]]) -> None:
        """See what every tensor holds while the feeds run."""
        import onnx

        graph = onnx.load(self._prepared).graph
        stored = {tensor.name for tensor in graph.initializer}
        names = dict.fromkeys(name for node in graph.node if node.op_type in HEAVY + LIGHT
                              for name in (*node.input, *node.output) if name and name not in stored)
        outs = [node.output[0] for node in self._settled(graph)]
        self._seen = self._tried(lambda: onnx_ranges.watch(self._prepared, feeds, list(names), outs))
        self._ranges = {}

    def work(self) -> dict[str, float]:
        """Each layer's share of the work, estimated by multiply-adds and by values written; after `calibrate`."""
        import onnx

        graph = onnx.load(self._prepared).graph
        dims = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        cost = {}
        for node in graph.node:
            if node.name in self.layers:
                weights = dims[node.input[1]]
                each = np.prod(weights) / weights[1 if node.op_type in ("Gemm", "MatMul") and len(weights) > 1 else 0]
                cost[node.name] = self._seen.sizes.get(node.output[0], 0) * (float(each) + MOVED)
        total = sum(cost.values()) or 1.0
        return {name: value / total for name, value in cost.items()}

    def write(self, kind: str, path: Path, floats: Sequence[str] = (), only: Sequence[str] = (), *,
              ranges: str = onnx_ranges.WHOLE, settle: bool = False) -> None:
        """Write the INT8 file of `kind`, "cpu" or "trt", with the layers `floats` in float or `only` those in INT8.

        `ranges` is one of `ways`; with `settle` the biases are set so that each layer is right in the mean.
        """
        import onnx
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        def make() -> None:
            if ranges not in self._ranges:
                self._ranges[ranges] = self._seen.ranges(ranges)
            activations = QuantType.QUInt8 if kind == "cpu" else QuantType.QInt8
            spared = [*self._head, *floats, *(name for layer in floats for name in self._behind[layer])]
            quantizer = QDQQuantizer(onnx.load(self._prepared), True, False, QuantType.QInt8, activations,
                                     self._ranges[ranges], list(only), spared, list(HEAVY + LIGHT),
                                     dict(SYMMETRIC) if kind == "trt" else {})
            quantizer.quantize_model()
            onnx.save(quantizer.model.model, path)
            if settle:
                onnx_bias.settle(path, [self._seen.feeds[i] for i in self._seen.chosen()], self._means())
        self._tried(make)

    def _means(self) -> dict[str, np.ndarray]:
        """What FP32's layers answer in the mean, of those whose bias can be set."""
        import onnx

        graph = onnx.load(self._prepared).graph
        stored = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        found = {}
        for node in self._settled(graph):
            value = self._seen.mean(node.output[0])
            if value is not None and stored.get(node.input[2]) == value.shape:
                found[node.name] = value
        return found

    def _settled(self, graph: Any) -> list[Any]:
        """The nodes of layers, the head's too, that have a bias for each channel."""
        names = {*self.layers, *self.head}
        return [node for node in graph.node if node.name in names and node.op_type in onnx_bias.SET]

    def write_half(self, path: Path) -> None:
        """Write the file in FP16, with inputs and outputs as they were."""
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        self._tried(lambda: onnx.save(convert_float_to_float16(onnx.load(self._prepared), keep_io_types=True), path))

    def run(self, path: Path | None) -> Run:
        """What runs a file on the CPU, one request at a time; None runs the FP32 one."""
        session = self._reference if path is None else self._session(path)
        names = [output.name for output in session.get_outputs()]

        def call(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            answers = self._tried(lambda: session.run(names, dict(feed)))
            return dict(zip(names, answers, strict=True))
        return call

    def _session(self, path: Path) -> Any:
        return self._tried(lambda: onnx_engine.open_session(path, THREADS, ["CPUExecutionProvider"], self._limit))

    def close(self) -> None:
        """Remove what lay in between."""
        shutil.rmtree(self._work, ignore_errors=True)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """The quantiser logs advice for its own users on the root logger; ours hear of what matters in sentences."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
