"""The lane's socket: who may connect, and how many."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import socket
import stat
import struct
from collections import Counter
from pathlib import Path

from ...config import ConfigError, LaneConfig
from ...errors import Busy, Invalid
from ...lane_wire import pack_error
from .connection import Connection
from .memory import Budget
from .talk import Host

log = logging.getLogger("aisle.lane")

PEER = struct.Struct("3i")       # pid, uid, gid of SO_PEERCRED
LONGEST_PATH = 107               # what a Unix socket's address holds
ACCEPTS = 16                     # connections taken in one turn of the loop


class Lane:
    """Listens; owns every connection. Made on the event loop."""

    def __init__(self, settings: LaneConfig, host: Host) -> None:
        self.settings = settings
        self.host = host
        self.path = Path(settings.socket)
        self.uids = allowed(settings.users)
        self.budget = Budget(settings.max_total_mb << 20)
        self.connections: dict[Connection, int] = {}      # and the process at its other end
        self.processes: Counter[int] = Counter()
        self._loop = asyncio.get_running_loop()
        self._sock = self._listen()
        self._loop.add_reader(self._sock, self._accept)

    def _listen(self) -> socket.socket:
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            raise ConfigError(f"lane.socket: {self.path} is longer than the {LONGEST_PATH} bytes that a Unix socket's path has")
        clear(self.path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            sock.bind(os.fspath(self.path))
            # Nobody can connect before `listen`, so there is no moment with looser rights.
            self.path.chmod(0o666 if self.settings.users else 0o600)
            sock.listen(128)
        except OSError as error:
            sock.close()
            raise ConfigError(f"lane.socket: cannot listen on {self.path}: {error.strerror}") from None
        return sock

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, _ = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:              # out of descriptors: the next turn tries again
                log.error("the lane cannot accept a connection: %s", error)
                return
            sock.setblocking(False)
            try:
                self._admit(sock)
            except (Busy, Invalid) as error:
                log.info("a client of the lane was refused: %s", error)
                with contextlib.suppress(OSError):
                    sock.send(pack_error(0, error))
                sock.close()

    def _admit(self, sock: socket.socket) -> None:
        """A connection for this client, or Busy or Invalid. One process may hold half of the places."""
        pid, uid, _ = PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        if uid not in self.uids:
            raise Invalid(f"user {uid} may not use this lane; the server's own may, and those of lane.users")
        most = self.settings.max_connections
        if len(self.connections) >= most:
            raise Busy(f"the lane holds {most} connections, its limit (lane.max_connections)")
        if self.processes[pid] >= max(1, most // 2):
            raise Busy(f"process {pid} holds {self.processes[pid]} connections, half of lane.max_connections: the most for one")
        connection = Connection(sock, self.host, self.settings, self.budget, self._gone)
        self.connections[connection] = pid
        self.processes[pid] += 1

    def _gone(self, connection: Connection) -> None:
        pid = self.connections.pop(connection, None)
        if pid is not None:
            self.processes[pid] -= 1
            if not self.processes[pid]:
                del self.processes[pid]

    def stop_listening(self) -> None:
        """No new clients; those that are connected stay."""
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let every client go."""
        for connection in list(self.connections):
            connection.close()


def allowed(users: tuple[str, ...]) -> set[int]:
    """The user ids that may connect: ours, and these by name or number."""
    found = {os.geteuid()}
    for user in users:
        try:
            found.add(int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid)
        except KeyError:
            raise ConfigError(f"lane.users: there is no user {user!r} on this machine") from None
    return found


def clear(path: Path) -> None:
    """Remove the socket of a server that is gone. ConfigError where one answers, or where something else is there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"lane.socket: {path} exists and is no socket; name another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ConfigError(f"lane.socket: another server listens on {path}; name another path")
