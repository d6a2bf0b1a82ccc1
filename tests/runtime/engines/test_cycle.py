"""The life of an engine: every way it can go, and what holds whatever happens."""

import logging
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from aisle.models.bundle import Bundle
from aisle.runtime.engines import BuildError, Job
from aisle.runtime.engines.build import Built, Stopped, run_build
from aisle.runtime.engines.cache import EngineCache
from aisle.runtime.engines.cycle import ENDED_CHECKING, MAX_TRIES, MOVES, Cycle, Stage, advance, backoff_s
from aisle.runtime.engines.key import EngineKey, Platform
from aisle.runtime.engines.store import HEADER, write_engine
from aisle.runtime.engines.wish import Wish
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

SIZE = 1000


def make_wish(version="10.3", model="a", name="m"):
    key = EngineKey(name, model * 64, "", "fp32", Platform("tensorrt", version, "12.6", "540", "sm_87"))
    job = Job(Path("m.onnx"), "fp32")
    return Wish(Bundle(name, "1", "model", Path()), "tensorrt", "fp32", "m.onnx", key, job, "nowhere:Builder")


class Bench:
    """A cache, a clock, a builder and a check that do as they are told."""

    def __init__(self, folder, engines=2):
        self.cache = EngineCache(folder, engines * (HEADER + SIZE))
        self.now = 1000.0
        self.does = "well"
        self.answers = "well"
        self.builds = 0
        self.lasting = False

    def build(self, place, job, key, cache, tell, **how):
        self.builds += 1
        tell(0.5, "halfway")
        match self.does:
            case "fails":
                raise BuildError("operator Odd is unknown", self.lasting)
            case "stopped":
                raise Stopped("not wanted")
            case "full":
                raise OSError(28, "No space left on device")
            case "torn":
                cache.candidate(key).write_bytes(b"AISLENG1 and no more")
            case _:
                cache.make_room(SIZE)
                write_engine(cache.candidate(key), key.table(), bytes(SIZE), {"seconds": 2.5})
        return Built(SIZE, 2.5)

    def check(self, held):
        if self.answers == "well":
            return held.retain()
        if self.answers == "dies":
            raise KeyboardInterrupt      # what is left when the process ends here
        raise BuildError("output 'y' differs by 3 from what the file gives", self.answers == "disagrees")

    def advance(self, cycle):
        return advance(cycle, self.cache, self.check, build=self.build, clock=lambda: self.now)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_new_engine_is_built_checked_and_serves(bench):
    cycle = Cycle(make_wish())
    held = bench.advance(cycle)
    assert held.size == SIZE and cycle.stage is Stage.SERVING and bench.builds == 1
    assert (cycle.table(0)["build_s"], cycle.table(0)["bytes"]) == (2.5, SIZE)


def test_the_next_start_finds_it_and_builds_nothing(bench):
    bench.advance(Cycle(make_wish())).release()
    again = Cycle(make_wish())
    assert bench.advance(again) is not None and again.stage is Stage.SERVING and bench.builds == 1


def test_another_version_builds_anew_and_says_why_and_keeps_the_last_good_one(bench, caplog):
    caplog.set_level(logging.INFO)
    bench.advance(Cycle(make_wish("10.3"))).release()
    bench.advance(Cycle(make_wish("11.4"))).release()
    assert bench.builds == 2 and "is being built: its version changed from 10.3 to 11.4" in caplog.text
    assert len(bench.cache.sizes()) == 2, "the last good one stays while there is room"
    bench.advance(Cycle(make_wish("10.3"))).release()
    assert bench.builds == 2, "and going back to it builds nothing"


def test_a_failed_build_says_why_is_tried_later_and_later_and_then_no_more(bench):
    bench.does = "fails"
    cycle = Cycle(make_wish())
    waits = []
    for _ in range(MAX_TRIES):
        assert cycle.due(bench.now)
        assert bench.advance(cycle) is None
        assert "operator Odd" in cycle.reason
        waits.append(cycle.retry_at - bench.now)
        assert not cycle.due(bench.now + waits[-1] - 1)
        bench.now += waits[-1]
    assert waits == [60, 240, 960, 3840, 15360]
    assert cycle.stage is Stage.GIVEN_UP and not cycle.due(bench.now + 1e9) and bench.builds == MAX_TRIES


def test_what_cannot_get_better_is_tried_once_also_after_a_restart(bench):
    bench.does, bench.lasting = "fails", True
    for _ in range(3):
        cycle = Cycle(make_wish())
        bench.advance(cycle)
        assert cycle.stage is Stage.GIVEN_UP and "operator Odd" in cycle.reason
    assert bench.builds == 1


def test_a_changed_key_is_tried_at_once(bench):
    bench.does, bench.lasting = "fails", True
    bench.advance(Cycle(make_wish("10.3")))
    bench.does = "well"
    assert bench.advance(Cycle(make_wish("10.16"))) is not None


def test_an_engine_that_disagrees_never_serves_and_is_not_kept(bench):
    bench.answers = "disagrees"
    cycle = Cycle(make_wish())
    assert bench.advance(cycle) is None
    assert cycle.stage is Stage.GIVEN_UP and "differs by 3" in cycle.reason and bench.cache.sizes() == {}
    assert list(bench.cache.folder.glob("*.candidate")) == []


def test_an_engine_in_the_cache_that_no_longer_loads_is_removed_and_built_again(bench):
    bench.advance(Cycle(make_wish())).release()
    bench.answers = "fails"
    cycle = Cycle(make_wish())
    bench.advance(cycle)
    assert cycle.stage is Stage.FAILED and bench.cache.sizes() == {}
    bench.answers, bench.now = "well", bench.now + 60
    assert bench.advance(cycle) is not None and bench.builds == 2


def test_a_process_that_dies_in_the_check_does_not_walk_into_it_for_ever(bench):
    bench.answers = "dies"
    for tries in range(1, MAX_TRIES + 1):
        with pytest.raises(KeyboardInterrupt):
            bench.advance(Cycle(make_wish()))
        assert bench.cache.failure(make_wish().key).tries == tries
    cycle = Cycle(make_wish())
    assert bench.advance(cycle) is None
    assert cycle.stage is Stage.GIVEN_UP and cycle.reason == ENDED_CHECKING


def test_a_good_check_forgives_what_was_before(bench):
    bench.answers = "dies"
    with pytest.raises(KeyboardInterrupt):
        bench.advance(Cycle(make_wish()))
    bench.answers = "well"
    assert bench.advance(Cycle(make_wish())) is not None
    assert bench.cache.failure(make_wish().key) is None


def test_while_another_process_builds_we_wait_and_then_take_what_it_built(bench):
    cycle = Cycle(make_wish())
    with bench.cache.build_lock():
        assert bench.advance(cycle) is None
        assert cycle.stage is Stage.WAITING and "another engine is being built" in cycle.reason
        assert not cycle.due(bench.now) and cycle.due(bench.now + 2)
    bench.advance(Cycle(make_wish())).release()
    bench.now += 2
    assert bench.advance(cycle) is not None and bench.builds == 1


def test_a_disk_without_room_is_a_sentence(bench):
    bench.does = "full"
    cycle = Cycle(make_wish())
    assert bench.advance(cycle) is None
    assert cycle.stage is Stage.FAILED and "No space left on device; make room there" in cycle.reason


def test_a_torn_engine_is_not_taken(bench):
    bench.does = "torn"
    cycle = Cycle(make_wish())
    assert bench.advance(cycle) is None
    assert cycle.stage is Stage.FAILED and "could not be read back" in cycle.reason
    assert [p.suffix for p in bench.cache.folder.iterdir() if p.suffix in (".candidate", ".engine")] == []


def test_only_the_moves_of_the_table_are_made():
    cycle = Cycle(make_wish())
    with pytest.raises(AssertionError, match="waiting -> serving"):
        cycle.move(Stage.SERVING)
    assert set(MOVES) == set(Stage)


def test_progress_never_goes_back():
    cycle = Cycle(make_wish())
    cycle.move(Stage.BUILDING)
    cycle.tell(0.6, "phase one")
    cycle.tell(0.1, "phase two")
    assert cycle.table(0) | {"engine": ""} == {"backend": "tensorrt", "precision": "fp32", "state": "building", "engine": "",
                                               "part": 0.6, "doing": "phase two"}


def test_the_whole_way_with_a_real_child(wish, cache, orders):
    orders(do=["fail", "well"])
    cycle, seen = Cycle(wish), []
    assert advance(cycle, cache, lambda held: held.retain()) is None
    assert "operator Odd" in cycle.reason and cycle.table(0)["retry_in_s"] > 0

    def build(*args, started, **how):
        def both(pid):
            started(pid)
            seen.append((cycle.stage, cycle.pid))
        return run_build(*args, started=both, **how)
    held = advance(cycle, cache, lambda held: held.retain(), build=build)
    assert held is not None and cycle.stage is Stage.SERVING and orders.builds() == ["fail", "well"]
    assert seen[0][0] is Stage.BUILDING and seen[0][1] > 0


class Lives(RuleBasedStateMachine):
    """Two models on one machine, servers that start and end, versions that change, builders that do anything."""

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.bench = Bench(Path(self.stack.enter_context(tempfile.TemporaryDirectory())), engines=3)
        self.version = {"m": 1, "n": 1}
        self.cycles = {}
        self.served = {}
        self.proven = set()           # keys whose engine answered as it should
        for name in "mn":
            self.start(name)

    def start(self, name):
        self.cycles[name] = Cycle(make_wish(str(self.version[name]), "a" if name == "m" else "b", name))
        if held := self.served.pop(name, None):
            held.release()

    @rule(does=st.sampled_from(["well", "well", "fails", "stopped", "full", "torn"]),
          answers=st.sampled_from(["well", "well", "disagrees", "fails", "dies"]), lasting=st.booleans())
    def something_else_happens(self, does, answers, lasting):
        self.bench.does, self.bench.answers, self.bench.lasting = does, answers, lasting

    @rule(seconds=st.sampled_from([1, 60, 300, 20_000]))
    def time_passes(self, seconds):
        self.bench.now += seconds

    @rule(name=st.sampled_from("mn"))
    def a_server_starts_again(self, name):
        self.start(name)

    @rule(name=st.sampled_from("mn"))
    def the_library_changes(self, name):
        self.version[name] += 1
        self.start(name)

    @rule(name=st.sampled_from("mn"), at=st.integers(0, HEADER + SIZE - 1))
    def a_bit_turns_on_the_disk(self, name, at):
        for digest in sorted(self.bench.cache.sizes()):
            if not any(held.path.stem == digest for held in self.served.values()):
                path = self.bench.cache.folder / f"{digest}.engine"
                data = bytearray(path.read_bytes())
                data[at % len(data)] ^= 1
                path.write_bytes(data)
                return

    @precondition(lambda self: any(c.due(self.bench.now) for c in self.cycles.values()))
    @rule(name=st.sampled_from("mn"))
    def it_goes_on(self, name):
        cycle = self.cycles[name]
        if not cycle.due(self.bench.now):
            return
        before, builds = self.bench.cache.failure(cycle.wish.key), self.bench.builds
        try:
            held = self.bench.advance(cycle)
        except KeyboardInterrupt:
            self.start(name)
            return
        if before and (before.lasting or before.tries >= MAX_TRIES):
            assert self.bench.builds == builds, "a failure that lasts is not tried again"
        if held is not None:
            assert self.bench.answers == "well"
            self.served[name] = held
            self.proven.add(cycle.wish.key.digest)

    @invariant()
    def only_a_proven_engine_serves_and_only_then(self):
        for name, cycle in self.cycles.items():
            assert (cycle.stage is Stage.SERVING) == (name in self.served)
            if name in self.served:
                assert cycle.wish.key.digest in self.proven

    @invariant()
    def what_serves_is_on_the_disk_whole_and_everything_is_within_its_bytes(self):
        sizes = self.bench.cache.sizes()
        for name, held in self.served.items():
            assert self.cycles[name].wish.key.digest in sizes
            with held.bytes() as engine:
                assert len(engine) == SIZE
        assert sum(sizes.values()) <= self.bench.cache.max_bytes
        assert set(sizes) <= self.proven, "nothing unproven is kept under an engine's name"

    @invariant()
    def whoever_does_not_serve_says_why_or_waits_its_turn(self):
        for cycle in self.cycles.values():
            if cycle.stage in (Stage.FAILED, Stage.GIVEN_UP):
                assert cycle.reason and cycle.tries >= 1
            assert cycle.stage not in (Stage.BUILDING, Stage.CHECKING), "no cycle is left half-way"
            assert backoff_s(cycle.tries) >= 60

    def teardown(self):
        for held in self.served.values():
            held.release()
        self.stack.close()


Lives.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLives = Lives.TestCase


def test_a_wish_is_plain_enough_to_be_compared():
    assert make_wish() == make_wish() and replace(make_wish(), precision="int8") != make_wish()
