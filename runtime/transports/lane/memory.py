"""A client's memory: checked so that touching it can never kill the server, then mapped."""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import mmap
import os
import socket
import threading
import weakref
from collections.abc import Callable

import numpy as np

from ...errors import Busy, Invalid
from ...lane_wire import PAGE

# A mapping whose file is made smaller raises SIGBUS where it is touched. A seal against that cannot be taken off.
SEALS = {fcntl.F_SEAL_SHRINK: "F_SEAL_SHRINK", fcntl.F_SEAL_GROW: "F_SEAL_GROW"}
F_SEAL_FUTURE_WRITE = 0x10
WRITE_SEALS = fcntl.F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
TMPFS = 0x01021994            # statfs.f_type of plain memfds
SO_PASSRIGHTS = 83            # not in Python's socket module yet
MAX_DESCRIPTORS = 4           # room for those that a client passes; the kernel closes the rest


def receive(sock: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """(one message of at most `size` bytes, the descriptors that came with it); the caller closes them."""
    room = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
    data, control, _, _ = sock.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, raw in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(raw[:len(raw) - len(raw) % descriptors.itemsize])
    return data, list(descriptors)


def refuse_descriptors(sock: socket.socket) -> None:
    """No more of them on this socket, where the kernel can do that (Linux 6.16); else `recv` drops them."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)


def close_all(descriptors: list[int]) -> None:
    """Close each once; the list is empty then."""
    while descriptors:
        os.close(descriptors.pop())


def check(descriptor: int, slot_bytes: int, slots: int) -> None:
    """Invalid unless the descriptor is a sealed memfd of just that size."""
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        raise Invalid("the descriptor is no memfd; make it with memfd_create and MFD_ALLOW_SEALING") from None
    lacking = [name for seal, name in SEALS.items() if not seals & seal]
    if lacking:
        raise Invalid(f"the memory lacks the seals {' and '.join(lacking)}; add them with fcntl F_ADD_SEALS after setting "
                      "its size: memory that can be cut while it is read would kill its reader")
    if seals & WRITE_SEALS or fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
        raise Invalid("the memory is sealed against writing or was opened for reading only; results are written into it")
    if file_system(descriptor) != TMPFS:
        raise Invalid("the memory is not of plain pages; leave out MFD_HUGETLB: huge pages can run out while it is in use")
    size = os.fstat(descriptor).st_size
    if size != slot_bytes * slots:
        raise Invalid(f"the memory has {size} bytes; {slots} slots of {slot_bytes} bytes are {slot_bytes * slots}")


def file_system(descriptor: int) -> int:
    """f_type of statfs, its first field on every Linux that we run on; Python's statvfs leaves it out."""
    facts = (ctypes.c_long * 64)()
    if ctypes.CDLL(None, use_errno=True).fstatfs(descriptor, facts):
        raise Invalid(f"the memory cannot be examined: {os.strerror(ctypes.get_errno())}")
    return facts[0] & 0xFFFFFFFF


class Memory:
    """Slots that a client shares. It stays mapped until the last array that was made of it is gone."""

    def __init__(self, descriptor: int, slot_bytes: int, slots: int) -> None:
        """Map it and fault every page in now, so that no request pays for that; blocking. Does not keep `descriptor`."""
        check(descriptor, slot_bytes, slots)
        self.slot_bytes = slot_bytes
        self.slots = slots
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        try:
            # Pages that were never touched are taken here, where it may fail with a sentence.
            os.posix_fallocate(descriptor, 0, slot_bytes * slots)
            self._map = mmap.mmap(descriptor, slot_bytes * slots, flags, mmap.PROT_READ | mmap.PROT_WRITE)
        except OSError as error:
            raise Busy(f"the memory cannot be mapped: {error.strerror}") from None

    def array(self, slot: int, dtype: np.dtype[np.generic], shape: tuple[int, ...], offset: int, *,
              writable: bool = False) -> np.ndarray:
        """A view of a slot; the caller has checked that it lies inside."""
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            return np.empty(shape, dtype)
        view = np.frombuffer(self._map, dtype, count, slot * self.slot_bytes + offset).reshape(shape)
        view.flags.writeable = writable
        return view

    def when_unmapped(self, call: Callable[[int], None], size: int) -> None:
        """`call(size)` once nothing refers to the mapping any more."""
        weakref.finalize(self._map, call, size).atexit = False


class Budget:
    """Bytes that all clients together may share; counted until they are unmapped."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self._mutex = threading.Lock()      # the last reference to a mapping may go on any thread

    def take(self, size: int) -> None:
        """Reserve, or Busy with the limit in the sentence."""
        with self._mutex:
            fits = self.used + size <= self.most
            self.used += size if fits else 0
        if not fits:
            raise Busy(f"clients share {self.used >> 20} MiB already and the limit of all together is {self.most >> 20} "
                       f"MiB (lane.max_total_mb); {size >> 20} MiB more do not fit")

    def give(self, size: int) -> None:
        """Release."""
        with self._mutex:
            self.used -= size


def check_layout(slot_bytes: int, slots: int, max_slots: int, max_bytes: int) -> None:
    """Invalid for a ring that is empty, odd or over a limit; before anything is mapped."""
    if not 1 <= slots <= max_slots:
        raise Invalid(f"expected 1 to {max_slots} slots (lane.max_slots), got {slots}")
    if not slot_bytes or slot_bytes % PAGE:
        raise Invalid(f"expected slots of a multiple of {PAGE} bytes, got {slot_bytes}")
    if slot_bytes * slots > max_bytes:
        raise Invalid(f"{slots} slots of {slot_bytes} bytes are more than the {max_bytes >> 20} MiB that one client may "
                      "share (lane.max_client_mb)")
