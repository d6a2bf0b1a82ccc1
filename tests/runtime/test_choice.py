"""Which variant answers by itself: what was measured on this machine decides where it can, and the reason is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, TensorSpec, Variant
from aisle.models.bundle_file import write_bundle_toml
from aisle.runtime.choice import Choice, choose, this_machine
from aisle.runtime.cli import doctor
from aisle.runtime.cli.model_check import busy, measured, plain
from aisle.runtime.loading import open_bundle
from aisle.runtime.ways import ways
from hypothesis import given
from hypothesis import strategies as st

DEVICE = DeviceProfile("kiosk", backends=("onnx",), precisions=("int8", "fp32"))
HERE, KEYS = "this CPU", (("onnx", "int8"), ("onnx", "fp32"))


def row(precision: str, ms: float | None, agreement: float | None = None, on: str = HERE, backend: str = "onnx") -> Variant:
    return Variant(backend, precision, on, p50_ms=ms, agreement=agreement)


def chosen(*table: Variant, keys: tuple[tuple[str, str], ...] = KEYS, device: DeviceProfile = DEVICE,
           **params: object) -> Choice:
    bundle = Bundle("m", "1", "model", Path("."), files=dict.fromkeys(keys, "m.onnx"), variants=table, params=params)
    return choose(ways(bundle, device), bundle, device, HERE)


def test_int8_that_is_slower_here_gives_way_to_fp32_and_the_reason_has_both_times():
    choice = chosen(row("int8", 9.0, 1.0), row("fp32", 4.0))
    assert [way.precision for way in choice.ways] == ["fp32", "int8"]
    assert choice.why == "it takes 4 ms on this machine, onnx int8 9 ms"


def test_int8_that_is_faster_stays_first():
    choice = chosen(row("int8", 4.0, 1.0), row("fp32", 9.0))
    assert choice.ways[0].precision == "int8"
    assert choice.why == ("device 'kiosk' prefers it, and at 4 ms it is the fastest that was measured on this machine, within "
                          "the noise")


def test_a_difference_within_the_noise_overrules_nobody():
    assert chosen(row("int8", 4.0, 1.0), row("fp32", 3.9)).ways[0].precision == "int8"
    assert chosen(row("int8", 4.0, 1.0), row("fp32", 3.8)).ways[0].precision == "fp32"


@pytest.mark.parametrize("table", [(), (row("int8", 9.0, 1.0, "another CPU"), row("fp32", 4.0)), (row("fp32", 4.0),),
                                   (row("int8", None, 1.0), row("fp32", 4.0))])
def test_without_the_firsts_own_time_on_this_machine_the_profile_decides_and_says_how_to_measure(table):
    choice = chosen(*table)
    assert choice.ways[0].precision == "int8" and "was not measured: `aisle model check BUNDLE --keep` does" in choice.why


def test_a_variant_below_the_bound_is_no_candidate_however_fast():
    choice = chosen(row("int8", 1.0, 0.97), row("fp32", 4.0))
    assert choice.ways[0].precision == "fp32"
    assert choice.why.startswith("onnx int8 agrees with FP32 on 97.0%, 99.0% is asked for")
    accepted = chosen(row("int8", 1.0, 0.97), row("fp32", 4.0), quantized={"agreement": 0.97})
    assert accepted.ways[0].precision == "int8", "who quantised it has accepted that (--agree)"


def test_a_precision_that_the_profile_does_not_name_needs_a_measured_agreement():
    keys = (*KEYS, ("onnx", "small"))
    rows = row("int8", 4.0, 1.0), row("fp32", 9.0)
    assert chosen(*rows, row("small", 1.0), keys=keys).ways[0].precision == "int8"
    assert chosen(*rows, row("small", 1.0, 0.98), keys=keys).ways[0].precision == "int8"
    assert chosen(*rows, row("small", 1.0, 0.995), keys=keys).ways[0].precision == "small"


def test_the_same_file_agrees_as_well_by_another_backend_and_a_cast_is_not_the_same():
    device = DeviceProfile("d", backends=("openvino", "onnx"), precisions=("int8", "bf16", "fp32"))
    table = (row("int8", 4.0, 0.5), row("int8", 1.0, backend="openvino"), row("fp32", 9.0, 1.0),
             row("bf16", 2.0, backend="openvino"))
    choice = chosen(*table, device=device)
    told = {way.name: way.agreement for way in choice.ways}
    assert told["openvino int8"] == 0.5 and told["openvino bf16"] is None and told["openvino fp32"] == 1.0
    assert choice.ways[0].name == "openvino bf16"


@given(st.lists(st.tuples(st.sampled_from([None, 0.5, 0.98, 0.99, 1.0]), st.sampled_from([None, 1.0, 2.0, 2.05, 3.0])),
                min_size=2, max_size=2))
def test_no_way_is_lost_and_the_first_is_never_known_to_be_worse(seen):
    table = [row(key[1], ms, agreement) for key, (agreement, ms) in zip(KEYS, seen, strict=True)]
    choice = chosen(*table)
    assert sorted(way.name for way in choice.ways) == ["onnx fp32", "onnx int8"] and choice.why
    first, other = choice.ways
    if (other.agreement or 1.0) >= 0.99 and first.measured.p50_ms and other.measured.p50_ms:
        assert first.measured.p50_ms * 0.95 < other.measured.p50_ms or other.agreement is None or (first.agreement or 1) < 0.99


@pytest.fixture
def slow_int8(tmp_path: Path) -> Bundle:
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"")
    spec = (TensorSpec("x", "float32", (2,)),)
    bundle = Bundle("m", "1", "model", folder, spec, spec, {("null", "int8"): "a", ("null", "fp32"): "a"}, 2, variants=(
        row("int8", 9.0, 1.0, this_machine(), "null"), row("fp32", 4.0, 1.0, this_machine(), "null")))
    write_bundle_toml(bundle, folder)
    return bundle


def test_loading_opens_the_faster_one_and_logs_why(slow_int8, caplog):
    caplog.set_level("INFO")
    opened = open_bundle(slow_int8, DeviceProfile("d"))
    assert opened.precision == "fp32" and opened.why == "it takes 4 ms on this machine, null int8 9 ms"
    assert "null fp32 answers: it takes 4 ms on this machine, null int8 9 ms" in caplog.text


def test_server_and_doctor_say_why(slow_int8, launch):
    root = slow_int8.root.parents[1]
    server = launch(root)
    why = {"variant": "null fp32", "why": "it takes 4 ms on this machine, null int8 9 ms"}
    assert server.ask("GET", "/healthz").json["serving"][0]["chosen"] == why
    described = json.loads(server.ask("GET", "/v2/models/m").body)["parameters"]
    assert described == {"aisle_variant": why["variant"], "aisle_variant_why": why["why"]}
    assert doctor.examine(profile="cpu", models=root)["models"] == {
        "m": "as null fp32, else null int8; null fp32 comes first: it takes 4 ms on this machine, null int8 9 ms"}


def test_model_check_says_what_a_server_would_take(slow_int8):
    rows = [{"way": f"null {p}", "batch": 1, "error": "", "p50_ms": ms, "p99_ms": ms, "memory_mb": 1.0, "rows_per_s": 1.0,
             "max_error": None, "agreement": None, "canary": "none"} for p, ms in (("fp32", 5.0), ("int8", 2.0))]
    known = measured(slow_int8, rows)
    device = DeviceProfile("d", precisions=("int8", "fp32"))
    choice = choose(ways(known, device), known, device)
    assert choice.ways[0].precision == "int8" and [v.p50_ms for v in known.variants] == [2.0, 5.0]
    told = {"name": "m", "version": "1", "device": "d", "rows": rows, "missing": {}, "note": "", "busy": busy(3.0, 2),
            "kept": False, "choice": {"variant": "null int8", "why": choice.why}}
    lines = plain(told).splitlines()
    assert lines[-1].startswith("With --keep a server would answer by null int8: device 'd' prefers it")
    assert any(line.startswith("Other work was under way when this began (load 3.0 on 2 cores)") for line in lines)
    assert busy(1.0, 2) == "" and "Other work" not in plain(told | {"busy": ""})
    assert plain(told | {"kept": True}).splitlines()[-1].startswith("A server answers by null int8")
