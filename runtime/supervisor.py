"""The parent of several workers: one port, each in a process of its own; who dies is started again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .config import Config, ConfigError
from .place import VARIABLE, Place
from .pulse import Systemd

log = logging.getLogger("aisle.supervisor")
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STEADY_S = 60.0            # a worker that lived this long is started again at once
LOOK_S = 1.0
WRONG_CONFIG = 2


class Supervisor:
    """Runs `config.server.workers` processes of `command` until it is told to stop or the configuration proves wrong."""

    def __init__(self, config: Config, command: Sequence[str], announce: Callable[[str], None]) -> None:
        self.config = config
        self.command = tuple(command)
        self.announce = announce
        self.stopping = asyncio.Event()
        self.code = 0
        self._folder = Path(tempfile.mkdtemp(prefix="aisle-"))        # 0700: only this user's processes may ask
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._systemd = Systemd()
        self._socket, self.port = reserve(config)

    async def run(self) -> int:
        """The exit code: 0 after a clean stop, 2 where the workers refuse the configuration."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        try:
            async with asyncio.TaskGroup() as group:
                keepers = [group.create_task(self._keep(n)) for n in range(self.config.server.workers)]
                watch = group.create_task(self._watch())
                await self.stopping.wait()
                await self._end()
                for task in (*keepers, watch):
                    task.cancel()
        finally:
            self._socket.close()
            shutil.rmtree(self._folder, ignore_errors=True)
        return self.code

    async def _keep(self, number: int) -> None:
        """One worker, over and over."""
        wait = FIRST_WAIT_S
        while not self.stopping.is_set():
            begin = time.monotonic()
            code = await (await self._start(number)).wait()
            if self.stopping.is_set():
                return
            lived = time.monotonic() - begin
            if code == WRONG_CONFIG and lived < STEADY_S:
                self.code = code             # it said why; the others would say the same
                self.stopping.set()
                return
            wait = FIRST_WAIT_S if lived > STEADY_S else wait
            log.critical("worker %d ended after %.1f s (%s); it is started again in %g s", number, lived, how(code), wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self.stopping.wait()
            wait = min(2 * wait, LONGEST_WAIT_S)

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        place = Place(number, self.config.server.workers, self.port, self._folder)
        place.socket(number).unlink(missing_ok=True)
        environment = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
        process = await asyncio.create_subprocess_exec(*self.command, env=environment | {VARIABLE: place.text()})
        self._processes[number] = process
        return process

    async def _end(self) -> None:
        """Ask every worker to finish; kill what has not after its time to drain."""
        alive = [p for p in self._processes.values() if p.returncode is None]
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        try:
            async with asyncio.timeout(self.config.server.drain_s + 10):
                await asyncio.gather(*(process.wait() for process in alive))
        except TimeoutError:
            for process in alive:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _watch(self) -> None:
        """Say once that all listen, and tell systemd how they are."""
        told = False
        while True:
            await asyncio.sleep(0.05 if not told else LOOK_S)
            states = await asyncio.gather(*(self._state(n) for n in range(self.config.server.workers)))
            if all(state is not None for state in states) and not told:
                told = True
                self.announce(self._address())
            self._systemd.tell(ready=all(states), alive=all(state is not None for state in states))

    async def _state(self, number: int) -> bool | None:
        """Whether a worker is ready; None where it does not answer."""
        place = Place(number, self.config.server.workers, self.port, self._folder)
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_unix_connection(str(place.socket(number)))
                with contextlib.closing(writer):
                    writer.write(b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    return b" 200 " in await reader.readline()
        except (OSError, TimeoutError):
            return None

    def _address(self) -> str:
        server = self.config.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        return f"{'https' if server.tls_cert else 'http'}://{host}:{self.port}"


def reserve(config: Config) -> tuple[socket.socket, int]:
    """A socket that holds the port for the workers without listening itself, and the port. ConfigError where it is taken."""
    server = config.server
    made = socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        with contextlib.closing(socket.socket(made.family)) as other:      # SO_REUSEPORT would share another server's port
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((server.host, server.port))
        made.bind((server.host, server.port))
    except OSError as error:
        made.close()
        raise ConfigError(f"cannot listen on {server.host}:{server.port}: {error.strerror}; choose another server.port "
                          "(0 takes a free one)") from None
    return made, int(made.getsockname()[1])


def how(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def supervise(config: Config, arguments: Sequence[str], announce: Callable[[str], None]) -> int:
    """Run the workers, each as this command with `arguments`. 2 with a sentence for a configuration that cannot be served."""
    logging.basicConfig(level=config.log.level.upper(), stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    async def main() -> int:
        return await Supervisor(config, [sys.executable, "-m", "aisle.runtime", *arguments], announce).run()
    try:
        return asyncio.run(main())
    except ConfigError as error:
        print(f"aisle: {error}", file=sys.stderr)
        return WRONG_CONFIG
