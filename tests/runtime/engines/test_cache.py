"""The cache finds what it was given, notices every damage, stays within its bytes and never takes what is in use."""

import json
import os
from dataclasses import replace

import pytest
from aisle.runtime.engines.cache import MAX_FAILURES, EngineCache, NoRoom
from aisle.runtime.engines.key import EngineKey, Platform, changes
from aisle.runtime.engines.store import HEADER, write_engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PLATFORM = Platform("tensorrt", "10.3.0", "12.6", "540.4", "sm_87 Orin")


def key(name="m", model="a" * 64, **more):
    return EngineKey(name, model, "", "fp32", replace(PLATFORM, **more))


def put(cache, one, size=1000, accept=True):
    write_engine(cache.candidate(one), one.table(), os.urandom(size))
    if accept:
        cache.accept(one)
    return cache


def have(cache):
    return set(cache.sizes())


def test_what_was_accepted_is_found_and_what_was_not_is_not(cache):
    put(cache, key(), accept=False)
    assert cache.get(key()) is None and cache.get(key(), candidate=True) is not None
    cache.accept(key())
    held = cache.get(key())
    assert held.size == 1000
    with held.bytes() as engine:
        assert len(engine) == 1000
    held.retain().release()
    with held.bytes():
        pass
    held.release()


@pytest.mark.parametrize("field", ["library", "version", "cuda", "driver", "device"])
def test_anything_else_of_the_platform_is_another_engine(cache, field):
    put(cache, key())
    assert cache.get(key(**{field: "other"})) is None
    words = {"library": "the library", "version": "its version", "cuda": "CUDA", "driver": "the driver", "device": "the GPU"}
    assert cache.why_not(key(**{field: "other"})) == f"{words[field]} changed from {getattr(PLATFORM, field)} to other"


def test_two_models_of_one_content_share_an_engine(cache):
    put(cache, key("one"))
    assert cache.get(key("two")).size == 1000


def damage(path, how):
    data = bytearray(path.read_bytes())
    match how:
        case "truncated":
            data = data[:-1]
        case "padded":
            data += b"x"
        case "a bit turned":
            data[HEADER + 500] ^= 1
        case "the header cut":
            data = data[:100]
        case "empty":
            data = bytearray()
        case "no magic":
            data[:8] = b"whatever"
        case "a header of nonsense":
            data[12:40] = b"\xff" * 28
        case "a header too long":
            data[8:12] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "padded", "a bit turned", "the header cut", "empty", "no magic",
                                 "a header of nonsense", "a header too long"])
def test_a_damaged_engine_is_removed_and_said(cache, caplog, how):
    put(cache, key())
    damage(cache.path(key()), how)
    assert cache.get(key()) is None
    assert not cache.path(key()).exists()
    assert "removed and built again" in caplog.text
    assert how != "truncated" or "expected an engine of 1,000 bytes, got 999" in caplog.text


def test_an_engine_of_another_gpu_under_our_name_is_found_out(cache, caplog):
    other = key(device="sm_86 RTX A2000")
    put(cache, other)
    cache.path(other).rename(cache.path(key()))
    assert cache.get(key()) is None
    assert "built for something else: the GPU changed from sm_86 RTX A2000 to sm_87 Orin" in caplog.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, HEADER + 999), to=st.binary(min_size=1, max_size=9))
def test_no_bytes_written_over_an_engine_go_unnoticed(cache, at, to):
    put(cache, key())
    path = cache.path(key())
    before = path.read_bytes()
    data = before[:at] + to + before[at + len(to):]
    path.write_bytes(data)
    held = cache.get(key())
    if held is not None:      # what was written is what was there, or lies where the header's padding is
        end = before.index(b"\0\0\0\0", 20)
        assert data[:end] == before[:end] and data[HEADER:] == before[HEADER:]
        held.release()


def test_it_stays_within_its_bytes_and_the_least_recently_used_goes_first(tmp_path):
    cache = EngineCache(tmp_path, 3 * (HEADER + 1000))
    keys = [key(model=letter * 64) for letter in "abcd"]
    for one in keys[:3]:
        put(cache, one)
    cache.get(keys[0]).release()
    put(cache, keys[3])
    assert have(cache) == {keys[i].digest for i in (0, 2, 3)}


def test_what_is_in_use_is_never_evicted_and_no_room_is_a_sentence(tmp_path):
    cache = EngineCache(tmp_path, 2 * (HEADER + 1000))
    first, second = key(model="a" * 64), key(model="b" * 64)
    for one in (first, second):
        put(cache, one)
    held = [cache.get(first), cache.get(second)]
    with pytest.raises(NoRoom, match=r"does not fit into .* raise engines.max_mb or serve fewer models"):
        EngineCache(tmp_path, cache.max_bytes).make_room(1000)
    assert have(cache) == {first.digest, second.digest}
    held[1].release()
    cache.make_room(1000)
    assert have(cache) == {first.digest}


def test_the_last_good_one_of_a_model_goes_after_all_others(tmp_path):
    cache = EngineCache(tmp_path, 3 * (HEADER + 1000))
    old, new, other = key(model="a" * 64), key(model="b" * 64), key("n", model="c" * 64)
    put(cache, other)                # the least recently used, but the only one of its model
    put(cache, old)
    put(cache, new)
    cache.make_room(1000)
    assert have(cache) == {new.digest, other.digest}


def test_a_good_engine_stays_while_the_next_one_is_built_and_refused(cache):
    put(cache, key())
    newer = key(version="10.16")
    put(cache, newer, accept=False)
    cache.reject(newer)
    assert have(cache) == {key().digest} and cache.get(newer) is None


def test_failures_add_up_and_are_forgiven_and_bounded(cache):
    assert cache.failure(key()) is None
    cache.fail(key(), "first")
    assert cache.fail(key(), "second", lasting=True).tries == 2
    assert (cache.failure(key()).reason, cache.failure(key()).lasting) == ("second", True)
    cache.forgive(key())
    assert cache.failure(key()) is None
    for i in range(MAX_FAILURES + 5):
        cache.fail(key(model=f"{i:064x}"), "x" * 5000)
    assert len(json.loads((cache.folder / "index.json").read_text())["failed"]) == MAX_FAILURES


@pytest.mark.parametrize("text", ["", "[]", "{", '{"clock": "x"}', '{"clock": 1, "used": [], "good": {}, "failed": {}}',
                                  '{"clock": 1, "used": {}, "good": {}, "failed": {"zz": {}}}', "\0" * 5000])
def test_a_damaged_index_loses_no_engine(cache, text):
    put(cache, key())
    (cache.folder / "index.json").write_text(text)
    assert cache.get(key()).size == 1000
    cache.make_room(0)
    assert json.loads((cache.folder / "index.json").read_text())["clock"] >= 1


def test_a_disk_that_fills_in_the_middle_leaves_no_file(cache):
    class Full:
        def __init__(self, file):
            self.file, self.written = file, 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.written += len(data)
            if self.written > HEADER:
                raise OSError(28, "No space left on device")
            return self.file.write(data)

    with pytest.raises(OSError, match="No space"):
        write_engine(cache.candidate(key()), key().table(), bytes(1000), opened=lambda path: Full(path.open("wb")))
    assert not cache.candidate(key()).exists()


def test_who_builds_is_alone_and_what_killed_builders_left_is_swept(cache):
    put(cache, key(), accept=False)
    with cache.build_lock() as mine:
        assert mine
        with EngineCache(cache.folder, 1).build_lock() as also:
            assert not also
        cache.sweep()
    assert not cache.candidate(key()).exists()
    with cache.build_lock() as mine:
        assert mine


def test_changes_are_told_in_words():
    one, two = key().table(), key(version="11.4", cuda="13.0").table()
    assert changes(one, two) == "its version changed from 10.3.0 to 11.4, CUDA changed from 12.6 to 13.0"
    assert changes(one, key(model="f" * 64).table()) == "the model file changed"
    assert changes(one, key("other name").table()) == ""
