"""TensorRT's own packages against our code, without a GPU: `make check-tensorrt`. Downloads; skips where it cannot.

The bindings are imported over null libraries, so only names are checked; TensorRT-RTX parses and builds in earnest.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle
from aisle.models.bundle_file import write_bundle_toml
from aisle.models.make.onnx_models import conv_net
from aisle.models.make.onnx_proto import node, value, write
from aisle.runtime.backends import BACKENDS, TAKES
from aisle.runtime.config import EnginesConfig
from aisle.runtime.engines import BUILDERS
from aisle.runtime.engines.build import Limits, run_build
from aisle.runtime.engines.cache import EngineCache
from aisle.runtime.engines.cycle import Cycle, Stage, advance
from aisle.runtime.engines.wish import make_wish
from aisle.runtime.pool import Pool
from aisle.runtime.repository import Repository

HERE = Path(__file__).parent
KEPT = HERE.parents[2] / ".bench-envs" / "tensorrt"
BINDINGS = {"10.3.0": "tensorrt_cu12_bindings", "10.16.1.11": "tensorrt_cu13_bindings", "11.4.0.106": "tensorrt_cu13_bindings"}
RTX = "tensorrt-rtx==1.7.1.116"
NULL = """
#define F(name) void* name(void) { return 0; }
F(createInferBuilder_INTERNAL) F(createInferRefitter_INTERNAL) F(createInferRuntime_INTERNAL) F(getBuilderPluginRegistry)
F(getPluginRegistry) F(createNvOnnxParser_INTERNAL) F(createNvOnnxParserRefitter_INTERNAL)
int getInferLibVersion(void) { return VERSION; }
int getNvOnnxParserVersion(void) { return VERSION; }
int initLibNvInferPlugins(void) { return 1; }
"""


def fetch(name, *options):
    """A folder with a package in it, kept between rounds."""
    folder = KEPT / name
    if (folder / "done").exists():
        return folder
    got = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *options, name],
                         capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"{name} cannot be had here: {(got.stderr.strip().splitlines() or ['pip does not say why'])[-1]}")
    (folder / "done").touch()
    return folder


@pytest.fixture(scope="module")
def null_libraries(tmp_path_factory):
    """A folder of libraries that export what the bindings link, and do nothing, by the library's major version."""
    def build(major):
        folder = tmp_path_factory.mktemp(f"null{major}")
        (folder / "null.c").write_text(NULL)
        for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
            made = subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", f"-DVERSION={major}0000",
                                   "-o", folder / f"lib{name}.so.{major}", folder / "null.c"], check=False)
            if made.returncode:
                pytest.skip("no C compiler")
        return folder
    return build


@pytest.fixture(scope="module", params=sorted(BINDINGS))
def contract(request, null_libraries):
    """Runs tensorrt_contract.py over one version's bindings."""
    version = request.param
    folder = fetch(f"{BINDINGS[version]}=={version}", "--no-deps")
    libraries = null_libraries(version.split(".")[0])

    def run(*more):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(folder)}
        done = subprocess.run([sys.executable, HERE / "tensorrt_contract.py", *more], capture_output=True, text=True,
                              env=environment, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)
    run.version = version
    return run


def test_every_name_that_we_use_exists_with_our_parameters(contract):
    found = contract()
    print(f"TensorRT {found['version']}: {len(found['seen'])} names")
    assert found["version"] == contract.version and found["wrong"] == []
    assert {"Builder.build_serialized_network", "IExecutionContext.execute_async_v3", "ParserError.node_operator",
            "trt.IProgressMonitor.phase_start", "Runtime.deserialize_cuda_engine"} <= set(found["seen"])


@pytest.mark.parametrize(("line", "said"), [
    ("config.set_flag(trt.BuilderFlag.NO_SUCH)", "trt.BuilderFlag.NO_SUCH does not exist"),
    ("config.set_flagg(1)", "IBuilderConfig.set_flagg does not exist"),
    ("context.execute_async_v3(1, 2)", "execute_async_v3 takes"),
    ("profile.set_shape('x', minimum=(1,), opt=(1,), max=(1,))", "set_shape takes"),
    ("parser = builder.create_network(0)", "holds {'INetworkDefinition'}; HOLDS says OnnxParser"),
    ("class M(trt.IProgressMonitor):\n    def phase_start(self, name, steps): ...", "phase_start(name, steps) is"),
    ("class M(trt.IProgressMonitor):\n    def phase_begins(self): ...", "has no phase_begins"),
])
def test_a_planted_mistake_is_caught(contract, tmp_path, line, said):
    (tmp_path / "planted.py").write_text(line + "\n")
    assert any(said in wrong for wrong in contract(tmp_path / "planted.py")["wrong"])


def test_what_eleven_dropped_is_caught_there(contract, tmp_path):
    (tmp_path / "old.py").write_text("config.set_flag(trt.BuilderFlag.FP16)\ntrt.IInt8Calibrator\n")
    wrong = contract(tmp_path / "old.py")["wrong"]
    assert bool(wrong) == contract.version.startswith("11."), wrong


# ---- TensorRT-RTX builds without a GPU

@pytest.fixture(scope="module")
def rtx():
    return fetch(RTX)


@pytest.fixture
def build(rtx, tmp_path, monkeypatch):
    """Takes an ONNX file through the whole lifecycle, in a child process as a server would; (cycle, what was told)."""
    monkeypatch.syspath_prepend(str(rtx))
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(rtx)]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "facts"))
    monkeypatch.setitem(BACKENDS, "rtx", "aisle.runtime.backends.tensorrt:TensorrtBackend")
    cache = EngineCache(tmp_path / "engines", 1 << 30)

    def run(path, max_batch=0, precision="fp32", limits=None):
        bundle = Bundle("m", "1", "model", path.parent, files={("rtx", precision): path.name}, max_batch=max_batch)
        wish = make_wish(bundle, "rtx", precision, path.name, "rtx_builder:RtxBuilder", DeviceProfile("test", threads=1))
        cycle, told = Cycle(wish), []

        def watched(place, job, key, cache, tell, **how):
            return run_build(place, job, key, cache, lambda *what: (tell(*what), told.append(what)), **how)
        held = advance(cycle, cache, lambda held: held.retain(), build=watched, limits=limits)
        return cycle, told, held
    return run


def test_fp32_with_a_free_batch_and_two_profiles(build, tmp_path):
    cycle, told, held = build(conv_net(tmp_path / "m.onnx", 64), max_batch=8)
    assert cycle.stage is Stage.SERVING, cycle.reason
    assert cycle.size > 10_000 and [len(p) for p in cycle.wish.key.profiles] == [1, 1]
    parts = [part for part, _ in told]
    assert parts[-1] == 1.0 and len({doing for _, doing in told}) > 3 and any(0 < part < 1 for part in parts)
    print(f"built {cycle.size:,} bytes in {cycle.seconds:.2f} s, {len(told)} reports of progress")
    header = held.header["key"]
    assert header["platform"]["library"] == "tensorrt_rtx" and header["profiles"][1]["image"][2] == [8, 3, 64, 64]


def quantized(source, made, **how):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(0)
            self.rows = iter([{"image": rng.random((1, 3, 64, 64)).astype(np.float32)} for _ in range(4)])

        def get_next(self):
            return next(self.rows, None)
    quantize_static(source, made, Reader(), quant_format=QuantFormat.QDQ, weight_type=QuantType.QInt8, **how)
    return made


def test_int8_as_pairs_of_symmetric_scales_without_quantised_bias(build, tmp_path):
    from onnxruntime.quantization import QuantType
    path = quantized(conv_net(tmp_path / "f.onnx", 64), tmp_path / "m.onnx", activation_type=QuantType.QInt8, per_channel=True,
                     extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False})
    cycle, _, _ = build(path, max_batch=4, precision="int8")
    assert cycle.stage is Stage.SERVING, cycle.reason


def test_the_form_for_the_cpu_is_refused_with_the_node_and_not_tried_again(build, tmp_path):
    from onnxruntime.quantization import QuantType
    path = quantized(conv_net(tmp_path / "f.onnx", 64), tmp_path / "m.onnx", activation_type=QuantType.QUInt8, per_channel=True)
    cycle, _, _ = build(path, max_batch=4, precision="int8")
    assert cycle.stage is Stage.GIVEN_UP and "TensorRT does not take node" in cycle.reason, cycle.reason
    print(cycle.reason)


def test_what_aisle_model_quantize_writes_for_it_is_taken(build, tmp_path):
    from aisle.runtime.examples import make_example, write_pictures
    from aisle.runtime.quantizing import find_bundle, quantize_bundle
    write_pictures(tmp_path / "pictures", 4)
    make_example(tmp_path / "models", "textures", "residual", 64, learnt=4)
    quantize_bundle(tmp_path / "models" / "textures", tmp_path / "pictures", bound=0.01)
    bundle, _ = find_bundle(tmp_path / "models" / "textures")
    cycle, _, _ = build(bundle.path(bundle.files["tensorrt", "int8"]), max_batch=8, precision="int8")
    assert cycle.stage is Stage.SERVING, cycle.reason
    print(f"INT8: {cycle.size:,} bytes in {cycle.seconds:.2f} s")


def test_an_operator_that_it_does_not_have_is_named(build, tmp_path):
    """Det is a standard operator that ONNX Runtime runs and NVIDIA's parser does not import."""
    write(tmp_path / "m.onnx", "det", [node("Det", ["x"], ["y"])], [value("x", "float32", [2, 2])], [value("y", "float32", [])])
    cycle, _, _ = build(tmp_path / "m.onnx")
    assert cycle.stage is Stage.GIVEN_UP and "(operator Det)" in cycle.reason, cycle.reason
    print(cycle.reason)


def test_a_memory_cap_ends_a_real_build_with_a_sentence(build, tmp_path):
    cycle, _, _ = build(conv_net(tmp_path / "m.onnx", 64), max_batch=4, limits=Limits(memory_mb=20))
    assert cycle.stage is Stage.FAILED and "MiB of memory and may take 20" in cycle.reason


async def test_a_server_builds_in_earnest_and_serves_on_where_no_device_takes_the_engine(build, tmp_path, monkeypatch):
    """The whole life with the real library: only the device is missing, and that is what the fallback goes on without."""
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a driver here: see gpu-check")
    monkeypatch.setitem(BACKENDS, "rtx", "rtx_builder:RtxBackend")
    monkeypatch.setitem(TAKES, "rtx", ("rtx", "onnx"))
    monkeypatch.setitem(BUILDERS, "rtx", "rtx_builder:RtxBuilder")
    folder = tmp_path / "models" / "net" / "1"
    folder.mkdir(parents=True)
    conv_net(folder / "net.onnx", 64)
    write_bundle_toml(Bundle("net", "1", "model", folder, files={("onnx", "fp32"): "net.onnx"}, max_batch=0), folder)
    device = DeviceProfile("gpu", backends=("rtx", "onnx"), precisions=("fp32",), threads=1)
    repository = Repository(tmp_path / "models", device, Pool(2), engines=EnginesConfig(path=str(tmp_path / "kept")))
    keeping = asyncio.create_task(repository.engines.run(repository))
    image, states, parts = {"image": np.zeros((1, 3, 64, 64), np.float32)}, [], set()
    try:
        await repository.start()
        while not states or states[-1] not in ("failed", "given-up", "serving"):
            now = repository.get("net").engine_state(0)
            states += [now["state"]] if states[-1:] != [now["state"]] else []
            parts.add(now.get("part"))
            assert (await repository.get("net").infer(image))["scores"].shape == (1, 4)
        assert states[-1] == "failed" and "building" in states, now
        assert "TensorRT cannot read the engine of 'net'" in now["reason"] and "CUDA" in now["reason"]
        assert len(parts) > 3, "its own progress"
        print(states, now["reason"])
    finally:
        keeping.cancel()
        await repository.close()
        repository.pool.close()


def test_a_session_says_what_the_library_says_where_no_driver_is(build, tmp_path):
    """Deserialising takes our mapped bytes and, without a device, fails as TensorRT says."""
    import tensorrt_rtx
    from aisle.runtime.backends.tensorrt_library import Told, make_log
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a driver here: see gpu-check")
    _, _, held = build(conv_net(tmp_path / "m.onnx", 64), max_batch=4)
    told = Told()
    runtime = tensorrt_rtx.Runtime(make_log(tensorrt_rtx, told))
    with held.bytes() as engine:
        assert runtime.deserialize_cuda_engine(engine) is None
    assert "35" in told.last("") or "CUDA" in told.last(""), told.messages


