"""A building process that reports, fails, crashes, is killed, eats memory, fills the disk: an engine, or a sentence."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from aisle.runtime.engines import BuildError
from aisle.runtime.engines.build import Limits, Stopped, run_build
from aisle.runtime.engines.cache import EngineCache


@pytest.fixture
def build(wish, cache, orders):
    def run(do="well", told=None, cache=cache, **how):
        orders(do=[do])
        tell = (lambda part, doing: told.append((part, doing))) if told is not None else lambda part, doing: None
        return run_build(wish.place, wish.job, wish.key, cache, tell, **how)
    return run


def parts(cache):
    return [p.name for p in cache.folder.iterdir() if p.suffix in (".part", ".candidate", ".engine")]


def test_a_good_build_lies_in_the_cache_as_a_candidate_and_told_how_far_it_was(build, cache, wish):
    told = []
    built = build(told=told)
    held = cache.get(wish.key, candidate=True)
    assert cache.get(wish.key) is None, "nothing that was not checked is an engine"
    assert built.size == held.size and (0.5, "halfway") in told and told[-1][0] == 1.0
    with held.bytes() as engine:
        assert bytes(engine) == wish.job.model.read_bytes()


@pytest.mark.parametrize(("do", "said"), [
    ("fail", "node 'n1' .operator Odd.: no importer"),
    ("raise", "ended with status 1 and no engine .KeyError: 'a bug of the builder'"),
    ("exit", "ended with status 7"),
    ("exit-0", "ended with status 0 and no engine"),
    ("killed", "was killed, most likely for memory"),
    ("crash", "crashed .SIGSEGV"),
    ("memory-error", "needs more memory than there is"),
    ("disk-full", "cannot be written to .*engines: File too large; make room there"),
])
def test_whatever_becomes_of_the_child_is_a_sentence_and_leaves_nothing(build, cache, do, said):
    with pytest.raises(BuildError, match=said) as caught:
        build(do)
    assert parts(cache) == [] and not caught.value.lasting
    assert "\n" not in str(caught.value)


def test_what_will_be_the_same_next_time_says_so(build):
    with pytest.raises(BuildError) as caught:
        build("fail-lastingly")
    assert caught.value.lasting


def test_a_library_that_prints_into_everything_does_no_harm(build, cache, wish):
    assert build("babble").size == wish.job.model.stat().st_size


def test_memory_beyond_the_cap_ends_it(build, cache):
    with pytest.raises(BuildError, match=r"took \d+ MiB of memory and may take 150; raise engines.memory_mb"):
        build("eat-memory", limits=Limits(memory_mb=150))
    assert parts(cache) == []


def test_time_beyond_the_limit_ends_it(build, cache):
    with pytest.raises(BuildError, match=r"longer than 0.01 minutes"):
        build("for-ever", limits=Limits(minutes=0.01))
    assert parts(cache) == []


def test_an_engine_beyond_the_cache_is_refused_before_it_is_written(build, wish, tmp_path):
    small = EngineCache(tmp_path / "small", 1 << 20)
    with pytest.raises(BuildError, match=r"an engine of 8 MiB does not fit .* it may hold 1 MiB .* raise engines.max_mb"):
        build("too-large", cache=small)
    assert parts(small) == []


def test_a_full_disk_is_said(build, tmp_path):
    """A real one where this machine lets us mount a small one; elsewhere the file size limit stands for it."""
    place = tmp_path / "tiny"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True,
                                      check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(BuildError, match=r"cannot be written to .*: No space left on device; make room there"):
            build("too-large", cache=EngineCache(place, 1 << 30))
        assert parts(EngineCache(place, 1 << 30)) == []
    finally:
        subprocess.run(["umount", place], check=True)


def test_it_can_be_stopped_and_the_child_is_gone(build, cache):
    stop, seen = threading.Event(), []

    def started(pid):
        seen.append(pid)
        threading.Timer(0.5, stop.set).start()
    with pytest.raises(Stopped):
        build("for-ever", stop=stop, started=started)
    assert not Path(f"/proc/{seen[0]}").exists()
    assert parts(cache) == []


PARENT = """
import sys, json
from pathlib import Path
from aisle.runtime.engines.build import run_build
from aisle.runtime.engines.cache import EngineCache
sys.path.insert(0, {here!r})
from conftest import DEVICE, BUILDERS
from aisle.runtime.backends import BACKENDS, TAKES
from aisle.runtime.engine_wish import wish_of
from aisle.models.bundle_file import read_bundle
BACKENDS["fake"], BUILDERS["fake"] = "fake_backend:FakeBackend", "fake_engines:FakeBuilder"
TAKES["fake"] = ("fake", "onnx")
wish = wish_of(read_bundle(Path({bundle!r})), DEVICE)
cache = EngineCache(Path({cache!r}), 1 << 30)
with cache.build_lock() as mine:
    run_build(wish.place, wish.job, wish.key, cache, lambda *_: None, started=lambda pid: print(pid, flush=True))
"""


def test_a_parent_that_is_killed_takes_its_builder_along_and_blocks_nobody(bundle, cache, orders):
    orders(do=["for-ever"])
    code = PARENT.format(here=str(Path(__file__).parent), bundle=str(bundle.root), cache=str(cache.folder))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    while not orders.builds():
        time.sleep(0.02)
    with cache.build_lock() as mine:
        assert not mine, "one builder on a machine at a time"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(200):
        if not Path(f"/proc/{pid}/exe").exists():
            break
        time.sleep(0.02)
    else:
        raise AssertionError("the builder outlived its server")
    with cache.build_lock() as mine:
        assert mine
        cache.sweep()
    assert parts(cache) == []
