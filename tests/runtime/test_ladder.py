"""Which variant answers: by profile, by deadline, by heat; and that the answer says so."""

import asyncio
import json

import numpy as np
import pytest
from aisle.models.bundle import Bundle, TensorSpec, Variant
from aisle.models.bundle_file import write_bundle_toml
from aisle.runtime import loading, ways
from aisle.runtime.answered import named, noting
from aisle.runtime.backends.null import NullBackend
from aisle.runtime.batcher import Batcher
from aisle.runtime.choice import this_machine
from aisle.runtime.client import AsyncClient, Client
from aisle.runtime.ladder import Ladder, Step
from aisle.runtime.stats import Stats
from aisle.runtime.ways import Way
from hypothesis import given
from hypothesis import strategies as st

MS = 1000      # us


class Costs:
    def __init__(self, ms):
        self.ms = ms

    def expect(self, rows, percent=95):
        return int(self.ms * 1e6) * rows


class Line:
    busy_until, count, capacity = 0, 0, 4


class FakeBatcher:
    session, capacity = None, 4

    def __init__(self, ms):
        self.costs, self.line = Costs(ms), Line()


def step(precision, ms, agreement=None, measured_ms=None, on=""):
    row = Variant("onnx", precision, on, p99_ms=measured_ms, agreement=agreement)
    return Step(Way("onnx", precision, ("onnx", precision), row), FakeBatcher(ms))


def three():
    return Ladder([step("int8", 4, 0.995), step("fp32", 12), step("small", 1, 0.9)])


def name(ladder, timeout_us, rows=1):
    return ladder.pick(timeout_us, rows).way.precision


def test_without_a_deadline_the_profiles_choice_answers():
    assert name(three(), 0) == "int8"


@pytest.mark.parametrize(("ms", "answers"), [(100, "fp32"), (12, "fp32"), (11, "int8"), (4, "int8"), (3, "small")])
def test_a_deadline_gets_the_most_exact_that_makes_it(ms, answers):
    assert name(three(), int(ms * MS)) == answers


def test_more_rows_take_longer():
    assert name(three(), 20 * MS, rows=1) == "fp32" and name(three(), 20 * MS, rows=4) == "int8"


def test_what_waits_counts():
    ladder = three()
    ladder.steps[1].batcher.line.count = 8
    assert name(ladder, 50 * MS) == "int8"


def test_when_hot_the_fastest_answers_everything():
    ladder = three()
    ladder.cooling = True
    assert name(ladder, 0) == name(ladder, 100 * MS) == "small"


def test_what_is_not_learnt_yet_goes_by_the_bundles_table():
    ladder = Ladder([step("int8", 0, 0.99, measured_ms=4), step("fp32", 0, measured_ms=12)])
    assert name(ladder, 11 * MS) == "int8" and name(ladder, 13 * MS) == "fp32"


def test_times_of_another_machine_are_not_believed():
    there = Ladder([step("int8", 0, 0.99, 4, "another CPU"), step("fp32", 0, None, 12, "another CPU")])
    here = Ladder([step("int8", 0, 0.99, 4, this_machine()), step("fp32", 0, None, 12, this_machine())])
    assert name(there, 11 * MS) == "fp32" and name(here, 11 * MS) == "int8"


def test_with_nothing_known_the_most_exact_is_tried():
    assert name(Ladder([step("int8", 0), step("fp32", 0)]), 1 * MS) == "fp32"


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 1)), min_size=1, max_size=5), st.integers(0, 100_000))
def test_the_choice_makes_its_deadline_or_is_the_fastest(kinds, timeout_us):
    ladder = Ladder([step(f"p{i}", ms, agreement) for i, (ms, agreement) in enumerate(kinds)])
    chosen = ladder.pick(timeout_us)
    if timeout_us and chosen is not ladder.fastest():
        assert chosen.cost_ns(1) <= timeout_us * 1000
        better = [s for s in ladder.steps if s.agreement > chosen.agreement]
        assert all(s.cost_ns(1) > timeout_us * 1000 for s in better)


def null_step(precision, sleep_ms):
    spec = TensorSpec("x", "int32", (1,))
    bundle = Bundle("m", "1", "model", None, (spec,), (spec,), {("null", precision): "m"}, 2, {"sleep_ms": sleep_ms})
    batcher = Batcher(NullBackend().open(bundle, None), "m", Stats(), way=f"null {precision}")
    return Step(Way("null", precision, ("null", precision)), batcher)


async def test_it_is_called_as_a_batcher_is():
    ladder = Ladder([null_step("int8", 0), null_step("fp32", 0)])

    def fill(row):
        row["x"][...] = 7
    job = ladder.submit(fill, lambda row: int(row["x"].reshape(-1)[0]), rows=2)
    assert await job.future == 7 and job.way == "null int8"
    with noting() as variants:
        assert await ladder.call(lambda row: None, lambda row: 1) == 1
    assert named(variants) == "null int8"
    assert [s.answered for s in ladder.steps] == [2, 0] and not ladder.ready_now
    for one in ladder.steps:
        await one.batcher.drain()


async def test_a_caller_who_leaves_gives_the_place_back_where_it_was_taken():
    ladder = Ladder([null_step("int8", 30), null_step("fp32", 30)])
    first = ladder.submit(lambda row: None, lambda row: 0)
    waiting = asyncio.ensure_future(ladder.call(lambda row: None, lambda row: 0))
    await asyncio.sleep(0.005)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await first.future
    assert [s.batcher.waiting for s in ladder.steps] == [0, 0]
    for one in ladder.steps:
        await one.batcher.drain()


@pytest.fixture
def two_variants(tmp_path):
    """A model with two null variants, the preferred one slow."""
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    spec = (TensorSpec("INPUT0", "float32", (2,)),), (TensorSpec("OUTPUT0", "float32", (2,)),)
    table = (Variant("null", "int8", p99_ms=40.0, agreement=0.99), Variant("null", "fp32", p99_ms=0.01))
    write_bundle_toml(Bundle("m", "1", "model", folder, *spec, {("null", "int8"): "a", ("null", "fp32"): "a"}, 2,
                             variants=table), folder)
    (folder / "a").write_bytes(b"")
    return tmp_path


def test_the_server_says_which_variant_answered(two_variants, launch, tmp_path):
    (tmp_path / "aisle.toml").write_text('[device]\nprofile = "cpu"\nvariants = "all"\n')
    server = launch(two_variants, "--config", str(tmp_path / "aisle.toml"))
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    plain = server.ask("POST", "/v2/models/m/infer", {"inputs": [tensor]}).json
    assert plain["parameters"] == {"aisle_variant": "null int8"}
    hurried = server.ask("POST", "/v2/models/m/infer", {"inputs": [tensor]}, {"Aisle-Deadline-Ms": "30"}).json
    assert hurried["parameters"] == {"aisle_variant": "null fp32"} and hurried["outputs"][0]["data"] == [1, 2]
    serving = server.ask("GET", "/healthz").json["serving"][0]
    assert [v["answered"] for v in serving["variants"]] == [1, 1]
    assert b'aisle_variant_answers_total{model="m",variant="null fp32",version="1"} 1.0' in server.ask("GET", "/metrics").body
    assert json.loads(server.ask("GET", "/v2/models/m/stats").body)["model_stats"][0]["inference_count"] == 2


def test_every_way_in_says_which_variant_answered(two_variants, launch, tmp_path):
    """HTTP by its header, the lane in its answer; one call after another, so that a remembered one is not believed."""
    lane = tmp_path / "lane"
    (tmp_path / "aisle.toml").write_text(f'[device]\nprofile = "cpu"\nvariants = "all"\n[lane]\nsocket = "{lane}"\n')
    server = launch(two_variants, "--config", str(tmp_path / "aisle.toml"))
    inputs = {"INPUT0": np.ones((1, 2), np.float32)}
    for address in (str(lane), f"http://127.0.0.1:{server.port}"):
        with Client(address) as client:
            call = client.prepare("m", {"INPUT0": (1, 2)})
            call.inputs["INPUT0"][:] = 1
            for _ in range(2):
                assert client.infer("m", inputs).variant == "null int8" == call.run().variant
                assert client.infer("m", inputs, deadline_ms=30).variant == "null fp32" == call.run(deadline_ms=30).variant

        async def many(address: str) -> list[str]:
            async with AsyncClient(address) as client:
                return [(await client.infer("m", inputs, deadline_ms=ms)).variant for ms in (0, 30, 0)]
        assert asyncio.run(many(address)) == ["null int8", "null fp32", "null int8"]


def test_one_variant_is_opened_unless_told_and_answers_stay_as_they_were(two_variants, launch):
    server = launch(two_variants)
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    plain = server.ask("POST", "/v2/models/m/infer", {"inputs": [tensor]})
    assert "parameters" not in plain.json and plain.headers["Aisle-Variant"] == "null int8"
    assert "variants" not in server.ask("GET", "/healthz").json["serving"][0]


def test_a_way_that_does_not_open_is_said_and_the_next_one_serves(two_variants, monkeypatch):
    from aisle.edge_devices.profile import DeviceProfile
    from aisle.models.bundle import BundleError
    from aisle.models.bundle_file import read_bundle
    real = loading.open_way

    def refusing(bundle, way, *rest):
        if way.precision == "int8":
            raise BundleError("the file is torn")
        return real(bundle, way, *rest)
    monkeypatch.setattr(loading, "open_way", refusing)
    opened = loading.open_bundle(read_bundle(two_variants / "m" / "1"), DeviceProfile("d"))
    assert opened.precision == "fp32" and opened.notes == ("null int8 is not used: the file is torn",)
    monkeypatch.setattr(ways, "BACKENDS", {"null": ""})
    monkeypatch.setattr(loading, "open_way", lambda *_: (_ for _ in ()).throw(BundleError("torn too")))
    with pytest.raises(BundleError, match="opens in no way: null int8 is not used: torn too; null fp32"):
        loading.open_bundle(read_bundle(two_variants / "m" / "1"), DeviceProfile("d"))


def test_near_is_strict_for_fp32_and_loose_by_what_was_measured():
    expected = np.linspace(0, 10, 11)
    int8 = Way("onnx", "int8", ("onnx", "int8"), Variant("onnx", "int8", max_error=0.2))
    assert loading.looseness(Way("onnx", "fp32", ("onnx", "fp32"))) == 0 and loading.looseness(int8) == 0.4
    assert not loading.near(expected + 1, expected, 1e-3, 0) and loading.near(expected + 1, expected, 1e-3, 0.1)
    assert not loading.near(expected + 2, expected, 1e-3, 0.1)
