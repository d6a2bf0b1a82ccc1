"""What clients of the lane may do to it: the server lives, other clients notice nothing, nothing is left behind."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
from aisle.runtime import lane_wire as wire
from aisle.runtime.client import Client
from aisle.runtime.errors import AisleError, Busy, Failed

GOOD = np.arange(32, dtype=np.float32).reshape(2, 16)
ROOM = (4096, 8192)


@pytest.fixture(autouse=True)
def unharmed(lane_server):
    """Before and after each attack another client gets right answers; in the end no client's memory is mapped."""
    descriptors, _ = lane_server.holds()
    with Client(lane_server.path) as bystander:
        np.testing.assert_array_equal(bystander.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)
        yield bystander
        np.testing.assert_array_equal(bystander.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)
    lane_server.settles((descriptors, 0))


def tensor(**changes) -> wire.Tensor:
    """The input of `identity`, 2 rows at the slot's beginning, but for `changes`."""
    return wire.Tensor(0, wire.NUMBERS["FP32"], 0, 0, 128, (2, 16))._replace(**changes)


def call(handle: int = 0, slot: int = 0, tensors=None, room=ROOM, **how) -> bytes:
    return wire.pack_call(1, handle, slot, [tensor()] if tensors is None else tensors, room, **how)


# ---- memory

@pytest.mark.parametrize("seals, words", [
    (0, "lacks the seals F_SEAL_SHRINK and F_SEAL_GROW"), (fcntl.F_SEAL_SHRINK, "lacks the seals F_SEAL_GROW"),
    (fcntl.F_SEAL_GROW, "lacks the seals F_SEAL_SHRINK"),
    (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE, "sealed against writing"),
])
def test_memory_that_could_be_cut_is_refused(lane_server, make_memory, seals, words):
    with lane_server.raw() as raw:
        answer = raw.hello([make_memory(4 << 16, seals)])
        assert answer.status == 1 and words in answer.tail.decode()
        assert raw.sock.recv(10) == b""       # and the connection has ended


@pytest.mark.parametrize("slot_bytes, slots, words", [
    (1 << 16, 5, "has 262144 bytes; 5 slots of 65536 bytes are 327680"), (1 << 16, 3, "3 slots of 65536 bytes are 196608"),
    (1 << 16, 0, "expected 1 to 64 slots"), (1 << 16, 65, "expected 1 to 64 slots"), (1 << 16, 0xFFFFFFFF, "1 to 64 slots"),
    (0, 4, "a multiple of 4096"), (100, 4, "a multiple of 4096"), ((1 << 64) - 4096, 4, "more than the 32 MiB"),
    (1 << 24, 4, "more than the 32 MiB"),
])
def test_lies_about_the_memorys_size_are_refused(lane_server, make_memory, slot_bytes, slots, words):
    with lane_server.raw() as raw:
        answer = raw.hello([make_memory(4 << 16)], slot_bytes, slots)
        assert answer.status == 1 and words in answer.tail.decode()


def test_other_descriptors_than_a_sealed_memfd_are_refused(lane_server, make_memory, tmp_path):
    def read_only() -> int:
        writable = make_memory(4 << 16)
        try:
            return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(writable)

    (tmp_path / "file").write_bytes(bytes(4 << 16))
    reader, writer = os.pipe()
    os.close(writer)
    for descriptor, words in ((os.open(tmp_path / "file", os.O_RDWR), "SEAL"), (reader, "no memfd"),
                              (os.open("/dev/zero", os.O_RDWR), "no memfd"), (os.open("/dev/shm", os.O_RDONLY), "no memfd"),
                              (read_only(), "for reading only")):
        with lane_server.raw() as raw:
            answer = raw.hello([descriptor])
            assert answer.status == 1 and words in answer.tail.decode(), answer.tail


def test_memory_of_huge_pages_is_refused(lane_server, make_memory):
    size = 2 << 20
    with lane_server.raw() as raw:
        answer = raw.hello([make_memory(size, flags=os.MFD_ALLOW_SEALING | os.MFD_HUGETLB)], size, 1)
        assert answer.status == 1 and b"leave out MFD_HUGETLB" in answer.tail


@pytest.mark.parametrize("count", [0, 2, 4, 9])
def test_hello_takes_one_descriptor(lane_server, make_memory, count):
    with lane_server.raw() as raw:
        answer = raw.hello([make_memory(4 << 16) for _ in range(count)])
        assert answer.status == 1 and b"expected one descriptor" in answer.tail


def test_descriptors_with_later_messages_are_dropped(lane_server, make_memory):
    with lane_server.raw().share() as raw:
        held = lane_server.holds()
        for _ in range(50):
            descriptor = make_memory(4096)
            try:
                socket.send_fds(raw.sock, [wire.HEAD.pack(wire.READY, 0, 1)], [descriptor] * 8)
                assert raw.answer().status == wire.OK
            except PermissionError:           # newer kernels do not even send them
                assert raw.ask(wire.HEAD.pack(wire.READY, 0, 1)).status == wire.OK
            finally:
                os.close(descriptor)
        assert lane_server.holds() == held


def test_a_socket_that_lingers_does_not_hold_the_server_up(lane_server, unharmed):
    """The last close of a connection with unsent data may wait for as long as its owner chose."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as one, \
            lane_server.raw() as raw:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, wire.struct.pack("ii", 1, 2))
        one.setblocking(False)
        try:
            while one.send(bytes(1 << 20)):
                pass
        except BlockingIOError:
            pass
        one.setblocking(True)
        message = wire.HELLO_BYTES.pack(wire.HELLO, wire.PROTOCOL, wire.MAGIC, 4096, 1, 0)
        socket.send_fds(raw.sock, [message], [one.fileno()])
        one.close()
        begin = time.perf_counter()
        np.testing.assert_array_equal(unharmed.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)
        assert time.perf_counter() - begin < 1
        assert raw.answer().status == 1


def test_sealed_memory_cannot_be_cut_while_it_is_used(lane_server, make_memory):
    descriptor = make_memory(4 << 16)
    with lane_server.raw() as raw:
        assert raw.hello([descriptor], keep=True).status == wire.OK
        raw.open("identity")
        for size in (0, 4096, 8 << 16):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, size)
        assert raw.ask(call()).status == wire.OK
    os.close(descriptor)


def test_holes_in_the_memory_read_as_zeros(lane_server, make_memory):
    """A hole is no cut: its pages come back empty when they are touched."""
    descriptor = make_memory(4 << 16)
    with lane_server.raw() as raw, mmap.mmap(descriptor, 4 << 16) as mapped:
        assert raw.hello([descriptor], keep=True).status == wire.OK
        raw.open("identity")
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate.argtypes = [ctypes.c_int] * 2 + [ctypes.c_long] * 2
        mapped[:128] = GOOD.tobytes()
        for _ in range(20):
            assert libc.fallocate(descriptor, 0x3, 0, 4 << 16) == 0      # KEEP_SIZE | PUNCH_HOLE
            assert raw.ask(call()).status == wire.OK
            assert mapped[4096:4096 + 128] == bytes(128)
    os.close(descriptor)


def test_all_clients_together_share_no_more_than_the_limit(lane_server):
    with ExitStack() as stack:
        for _ in range(3):      # 32 MiB each, and the bystander's 16: 112 of 128
            stack.enter_context(lane_server.raw().share(1 << 25, 1))
        with pytest.raises(Busy, match="the limit of all together is 128 MiB"):
            Client(lane_server.path, slots=1, slot_mb=32)
    for _ in range(100):        # and all of it comes back
        try:
            Client(lane_server.path, slots=1, slot_mb=32).close()
            break
        except Busy:
            time.sleep(0.02)
    else:
        raise AssertionError("the memory of clients that left still counts")


# ---- messages

LIES = {
    "offset beyond the slot": [tensor(offset=1 << 16)], "end beyond the slot": [tensor(offset=(1 << 16) - 64)],
    "offset that wraps": [tensor(offset=(1 << 64) - 64)], "odd offset": [tensor(offset=4)],
    "size too small": [tensor(size=64)], "size too large": [tensor(size=256)], "huge size": [tensor(size=(1 << 64) - 1)],
    "negative dimension": [tensor(dims=(-2, -16))], "dimensions that wrap": [tensor(dims=(1 << 62, 4), size=0)],
    "empty but huge": [tensor(dims=(0, 1 << 62), size=0)], "wrong rank": [tensor(dims=(32,))],
    "rank 0": [tensor(dims=(), size=4)],
    "another type of the size": [tensor(dtype=wire.NUMBERS["INT32"])], "strings": [tensor(dtype=wire.NUMBERS["BYTES"])],
    "type 0": [tensor(dtype=0)], "type 99": [tensor(dtype=99)], "too many rows": [tensor(dims=(100, 16), size=6400)],
    "twice": [tensor(), tensor()], "no such input": [tensor(place=1)], "place 65535": [tensor(place=65535)], "none": [],
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_about_tensors_are_refused_with_a_sentence(lane_server, lie):
    with lane_server.raw().share() as raw:
        raw.open("identity")
        for _ in range(2):
            answer = raw.ask(call(tensors=LIES[lie]))
            assert answer.status == 1 and answer.number in (0, 1) and len(answer.tail) > 20
        assert raw.ask(call()).status == wire.OK and raw.memory[4096:4224] == bytes(128)


@pytest.mark.parametrize("how, words", [
    ({"slot": 4}, "slot 4 of 4"), ({"slot": 0xFFFFFFFF}, "slot 4294967295"), ({"handle": 7}, "send OPEN first"),
    ({"wanted": 2}, "wants output 1"), ({"wanted": 1 << 63}, "wants output 63"), ({"room": (0, 1 << 17)}, "room for results"),
    ({"room": (1, 64)}, "multiple of 64"), ({"room": ((1 << 64) - 64, 128)}, "the room for results"),
    ({"room": (4096, 64)}, "need more than the 64 bytes"), ({"room": (4096, 0)}, "need more than the 0 bytes"),
])
def test_lies_about_places_are_refused_with_a_sentence(lane_server, how, words):
    with lane_server.raw().share() as raw:
        raw.open("identity")
        answer = raw.ask(call(**how))
        assert answer.status != wire.OK and words in answer.tail.decode()


def test_strings_that_lie_about_their_lengths_are_refused(lane_server):
    with lane_server.raw().share() as raw:
        handle = raw.open("one_text")
        for data in (b"\xff\xff\xff\xff", b"\x05\0\0\0abc", b"\0\0\0", b"\x01\0\0\0ab", b"", b"\0\0\0\0\0\0\0\0"):
            raw.memory[:len(data)] = data
            one = wire.Tensor(0, wire.NUMBERS["BYTES"], 0, 0, len(data), (1,))
            answer = raw.ask(call(handle, tensors=[one]))
            assert answer.status == 1 and (b"BYTES" in answer.tail or b"string elements" in answer.tail)


def test_messages_that_end_anywhere_are_refused(lane_server):
    whole = call()
    with lane_server.raw().share() as raw:
        raw.open("identity")
        for size in range(1, len(whole)):
            assert raw.ask(whole[:size]).status != wire.OK
        assert raw.ask(whole + b"\0").status == 1
        assert raw.ask(whole + bytes(wire.MAX_MESSAGE)).status == 1
        assert raw.ask(whole).status == wire.OK


def test_half_a_hello_ends_the_connection(lane_server, make_memory):
    for size in (1, 8, wire.HELLO_BYTES.size - 1):
        with lane_server.raw() as raw:
            descriptor = make_memory(4096)
            message = wire.HELLO_BYTES.pack(wire.HELLO, wire.PROTOCOL, wire.MAGIC, 4096, 1, 0)[:size]
            socket.send_fds(raw.sock, [message], [descriptor])
            os.close(descriptor)
            assert raw.answer().status == 1 and raw.sock.recv(10) == b""


def test_noise_is_answered_with_sentences(lane_server, unharmed):
    rng = np.random.default_rng(11)
    good = call()
    with lane_server.raw().share() as raw:
        raw.open("identity")
        for i in range(3000):
            noise = bytearray(good if i % 3 else rng.bytes(int(rng.integers(1, 300))))
            for _ in range(int(rng.integers(1, 6))):
                noise[int(rng.integers(len(noise)))] = int(rng.integers(256))
            raw.ask(bytes(noise))
            if i % 300 == 0:
                np.testing.assert_array_equal(unharmed.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)


# ---- behaviour

def test_a_flood_of_connections_leaves_others_alone(lane_server, unharmed):
    held = []
    try:
        for _ in range(300):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.setblocking(False)
            try:
                sock.connect(lane_server.path)
            except BlockingIOError:         # the backlog is full
                sock.close()
                continue
            held.append(sock)
        begin = time.perf_counter()
        np.testing.assert_array_equal(unharmed.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)
        assert time.perf_counter() - begin < 1
    finally:
        for sock in held:
            sock.close()


def test_the_dead_leave_their_slots_and_memory(lane_server):
    """Killed while the model reads its slot: the place in the queue, the descriptors and the mapping come back."""
    program = (f"import sys, numpy as np\nfrom aisle.runtime.client import Client\nc = Client({lane_server.path!r})\n"
               "print('ready', flush=True)\nc.infer('slow', {'INPUT0': np.zeros((1, 1), np.int32)})\n")
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.1)                       # the model takes 300 ms
        child.send_signal(signal.SIGKILL)
        child.wait()


def test_a_connection_that_ends_in_the_middle_of_a_request_frees_its_place(lane_server, unharmed):
    with lane_server.raw().share() as raw:
        handle = raw.open("slow")
        one = wire.Tensor(0, wire.NUMBERS["INT32"], 0, 0, 4, (1, 1))
        for slot in range(3):                 # one runs, two wait: the model's line is full
            raw.sock.send(call(handle, slot, [one]))
            time.sleep(0.05)
        with pytest.raises(Busy):
            unharmed.infer("slow", {"INPUT0": np.zeros((1, 1), np.int32)})
    time.sleep(0.05)
    assert unharmed.infer("slow", {"INPUT0": np.full((1, 1), 3, np.int32)})["OUTPUT0"] == 3


def test_a_full_queue_is_said_and_other_models_answer(lane_server, unharmed):
    with lane_server.raw().share(1 << 16, 16) as raw:
        handle = raw.open("slow")
        one = wire.Tensor(0, wire.NUMBERS["INT32"], 0, 0, 4, (1, 1))
        for slot in range(16):
            raw.sock.send(call(handle, slot, [one]))
        begin = time.perf_counter()
        np.testing.assert_array_equal(unharmed.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)
        assert time.perf_counter() - begin < 0.2
        answers = [raw.answer() for _ in range(16)]
        full = [answer for answer in answers if answer.status == 5]
        # One is taken at once or a moment later.
        assert len(full) in (13, 14) and all(b"Exceeds maximum queue size: 2" in answer.tail for answer in full)


def test_a_slot_serves_one_call_at_a_time(lane_server):
    with lane_server.raw().share() as raw:
        handle = raw.open("slow")
        one = wire.Tensor(0, wire.NUMBERS["INT32"], 0, 0, 4, (1, 1))
        raw.sock.send(call(handle, 0, [one]))
        assert b"slot 0 is in use" in raw.ask(call(handle, 0, [one])).tail
        assert raw.answer().status == wire.OK
        assert raw.ask(call(handle, 0, [one])).status == wire.OK


def test_a_client_that_does_not_read_is_not_read_from(lane_server, unharmed):
    with lane_server.raw().share() as raw:
        raw.sock.setblocking(False)
        message, sent = wire.HEAD.pack(wire.MODELS, 0, 5), 0
        deadline = time.monotonic() + 20
        quiet = 0
        while quiet < 20 and time.monotonic() < deadline:
            try:
                raw.sock.send(message)
                sent, quiet = sent + 1, 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.01)
        assert quiet == 20                    # the server has stopped taking more
        np.testing.assert_array_equal(unharmed.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)
        raw.sock.settimeout(10)
        assert all(raw.answer().number == 5 for _ in range(sent))
        assert raw.ask(wire.HEAD.pack(wire.READY, 0, 6)).number == 6


def test_data_that_changes_while_it_is_read_harms_nobody(lane_server, unharmed, pictures):
    """The verdict may be anything; the server must not."""
    import cv2
    image = cv2.imread(str(pictures.good[0]))
    encoded = pictures.good[0].read_bytes()
    with lane_server.raw().share(1 << 19, 1) as raw:
        stop = threading.Event()
        rng = np.random.default_rng(3)

        def change() -> None:
            memory = np.frombuffer(raw.memory, np.uint8)
            while not stop.is_set():
                memory[:image.nbytes:int(rng.integers(1, 50))] = rng.integers(256)

        changer = threading.Thread(target=change)
        handle, text, free = raw.open("flange"), raw.open("text"), raw.open("free")
        changer.start()
        try:
            for i in range(12):
                raw.memory[:image.nbytes] = image.tobytes()
                pixels = wire.Tensor(1, wire.NUMBERS["UINT8"], 0, 0, image.nbytes, image.shape)
                answer = raw.ask(call(handle, 0, [pixels], (1 << 18, 1 << 18)))
                assert answer.status == wire.OK
                raw.memory[:len(encoded) + 4] = wire.struct.pack("<I", len(encoded)) + encoded
                raw.ask(call(handle, 0, [wire.Tensor(0, wire.NUMBERS["BYTES"], 0, 0, len(encoded) + 4, (1,))],
                             (1 << 18, 1 << 18)))
                raw.ask(call(text, 0, [wire.Tensor(0, wire.NUMBERS["BYTES"], 0, 0, 4096, (1, 4))], (1 << 18, 1 << 18)))
                raw.ask(call(free, 0, [wire.Tensor(0, wire.NUMBERS["FP32"], 0, 0, 1 << 17, (1 << 14, 2))], (1 << 18, 1 << 18)))
                if i % 4 == 0:
                    np.testing.assert_array_equal(unharmed.infer("identity", {"INPUT0": GOOD})["OUTPUT0"], GOOD)
        finally:
            stop.set()
            changer.join()


def test_clients_that_come_and_go_leave_nothing(lane_server):
    for i in range(60):
        client = Client(lane_server.path, slot_mb=0.1)
        client.infer("identity", {"INPUT0": GOOD})
        if i % 2:
            client.infer("conv", {"image": np.zeros((1, 3, 64, 64), np.float32)}) if i % 10 == 1 else None
        client.close()
        with pytest.raises((Failed, AisleError)):
            client.infer("identity", {"INPUT0": GOOD})
