"""`aisle model compile`: what it builds, where, and what it says where nothing can be built."""

import json
import os
from pathlib import Path

import pytest
from aisle.models.bundle import Bundle, TensorSpec, digest
from aisle.models.bundle_file import write_bundle_toml
from aisle.models.make.onnx_models import conv_net, identity
from aisle.models.make.onnx_proto import node, value, write
from aisle.runtime.backends import BACKENDS
from aisle.runtime.cli import main
from aisle.runtime.engines import BUILDERS

FAKES = Path(__file__).parents[1] / "backends"


@pytest.fixture
def faked(monkeypatch, tmp_path):
    """TensorRT's stand-in as this machine's library, in the building process too; a folder for engines."""
    monkeypatch.syspath_prepend(str(FAKES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setitem(BACKENDS, "tensorrt", "over_fakes:FakedBackend")
    monkeypatch.setitem(BUILDERS, "tensorrt", "over_fakes:FakedBuilder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = tmp_path / "aisle.toml"
    config.write_text(f'[engines]\npath = "{tmp_path / "engines"}"\n')
    return config


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "models" / "net" / "1"
    folder.mkdir(parents=True)
    conv_net(folder / "net.onnx", 16)
    made = Bundle("net", "1", "model", folder, files={("onnx", "fp32"): "net.onnx"},
                  sha256={"net.onnx": digest(folder / "net.onnx")})
    write_bundle_toml(made, folder)
    return folder


def test_it_says_what_was_built_where_and_how_long_it_took(faked, bundle, capsys):
    assert main(["model", "compile", str(bundle), "--config", str(faked), "--device", "gpu-host"]) == 0
    out, err = capsys.readouterr()
    assert "The engine of 'net' version 1 for tensorrt fp32 is built in" in out and "answers as it does" in out
    assert "tensorrt 10.3.0, CUDA 13.0, driver 600.1, sm_00 none" in out
    assert "100%" in err or "0%" in err, "a progress bar"


def test_as_json_and_a_second_time_it_is_there_already_unless_asked_again(faked, bundle, capsys):
    words = ["model", "compile", str(bundle.parent), "--config", str(faked), "--json"]
    made = []
    for more in ([], [], ["--again"]):
        assert main([*words, *more]) == 0
        out, err = capsys.readouterr()
        made.append(json.loads(out))
        assert err == ""
    assert [one["built"] for one in made] == [True, False, True]
    assert Path(made[0]["path"]).is_file() and made[0]["bytes"] > 0 and made[0]["engine"] in made[0]["path"]
    assert made[0]["source"] == "net.onnx" and made[0]["precision"] == "fp32"


def test_a_network_with_a_node_that_the_library_lacks_is_named(faked, tmp_path, capsys):
    folder = tmp_path / "models" / "odd" / "1"
    folder.mkdir(parents=True)
    spec = TensorSpec("x", "float32", (3,)), TensorSpec("y", "float32", (3,))
    identity(folder / "m.onnx", (3,), input_name="x", output_name="y")
    write(folder / "o.onnx", "odd", [node("Odd", ["x"], ["y"])], [value("x", "float32", ["n", 3])],
          [value("y", "float32", ["n", 3])])
    (folder / "m.onnx").replace(folder / "plain.onnx")
    bundle = Bundle("odd", "1", "model", folder, (spec[0],), (spec[1],), {("onnx", "fp32"): "o.onnx"}, max_batch=2)
    write_bundle_toml(bundle, folder)
    assert main(["model", "compile", str(folder), "--config", str(faked), "--json"]) == 2
    assert "Odd" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(("words", "said"), [
    (["--backend", "onnx"], "backend 'onnx' builds no engines"),
    (["--backend", "nonsense"], "backend 'nonsense' builds no engines"),
    (["--device", "toaster"], "device 'toaster' is unknown"),
    (["--config", "no-such-file.toml"], "cannot be read"),
])
def test_a_wrong_wish_is_a_sentence(faked, bundle, capsys, words, said):
    assert main(["model", "compile", str(bundle), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_used_is_a_sentence(faked, bundle, capsys, tmp_path):
    faked.write_text(f'[engines]\npath = "{faked}/below"\n')
    assert main(["model", "compile", str(bundle), "--config", str(faked)]) == 2
    assert "the engines' folder cannot be used: Not a directory" in capsys.readouterr().err


def test_without_tensorrt_it_says_what_to_install(bundle, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    from aisle.runtime.backends import tensorrt_library
    monkeypatch.setattr(tensorrt_library, "find_spec", lambda name: None)
    assert main(["model", "compile", str(bundle)]) == 2
    out, err = capsys.readouterr()
    assert "no engine can be built on this machine: TensorRT is not installed: pip install 'aisle[gpu]'" in err
    assert out == "" and "Traceback" not in err


def test_int8_without_a_file_of_its_own_takes_the_float_file(faked, bundle, capsys):
    """The CPU's INT8 form is none for TensorRT: what is built is fp32."""
    (bundle / "int8.onnx").write_bytes((bundle / "net.onnx").read_bytes())
    made = Bundle("net", "1", "model", bundle, files={("onnx", "int8"): "int8.onnx", ("onnx", "fp32"): "net.onnx"})
    write_bundle_toml(made, bundle)
    assert main(["model", "compile", str(bundle), "--config", str(faked), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "net.onnx"
