"""Wires configuration, device, models and transports together; start, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from ..edge_devices.probe import probe
from ..edge_devices.profile import DeviceProfile
from .batcher import Limits
from .config import Config, ConfigError, RepositoryConfig
from .device import bundles_in, choose_device, fits, needs
from .engine import Pool
from .heat import HeatKeeper
from .pictures import PictureLimits, decoder
from .place import KEEPER, Place, place
from .pool_line import parse_reserve
from .pulse import Pulse
from .repository import Repository
from .transports.http.access import read_token
from .transports.http.context import Context
from .transports.http.frame import Frame, Server
from .transports.http.siblings import Siblings
from .transports.lane import Lane
from .workloads import WORKLOADS

log = logging.getLogger("aisle.app")
EXIT_LOST = 75            # EX_TEMPFAIL: another process may succeed
DEVICE_LOOK_S = 0.5


class App:
    """One running server. `start()` listens at once and loads models behind it; `stop()` drains."""

    def __init__(self, config: Config) -> None:
        if not config.repository.path:
            raise ConfigError("repository.path: name the folder with the models (or --models DIR)")
        root = Path(config.repository.path)
        if not root.is_dir():
            raise ConfigError(f"repository.path: {root} is not a folder; make it or name another (--models DIR)")
        self.config = config
        token = read_token(config.server)
        self.place = place()
        device, said = choose_device(config)
        if self.place is not None:
            device = part_of(device, self.place)
        for sentence in said:
            log.info("%s", sentence)
        self._check_memory(device, root)
        self.pool = Pool(max(2, device.threads), config.queue.max_pool, reserve_of(config))
        limits = PictureLimits(max_pixels=int(config.pictures.max_megapixels * 1e6))
        state = Path(config.repository.state) if config.repository.state else root / ".aisle"
        self.repository = Repository(
            root, device, self.pool, decode=decoder(limits),
            limits=Limits(config.queue.max_requests, config.queue.max_mb << 20), required=config.repository.required,
            state=state, engines=config.engines, every=config.device.variants == "all",
            updates=allowed(config.repository))
        self.heat = HeatKeeper(self.repository, device)
        self.context = Context(config, self.repository, self.pool, state, token, heat=self.heat, device_notes=tuple(said))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runner: web.ServerRunner | None = None
        self._siblings: Siblings | None = None
        self.lane: Lane | None = None
        self.port = 0
        self.exit_code = 0

    def _check_memory(self, device: DeviceProfile, root: Path) -> None:
        """Say what the configuration may need; ConfigError where that is more than there is and nobody allowed it."""
        good, sentence = fits(needs(self.config, device, bundles_in(root)), device, probe())
        if good:
            log.info("%s", sentence)
        elif self.config.device.memory_check == "warn":
            log.warning("%s", sentence)
        else:
            raise ConfigError(sentence)

    @property
    def address(self) -> str:
        """The base URL."""
        server = self.config.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        return f"{'https' if server.tls_cert else 'http'}://{host}:{self.port}"

    async def start(self) -> None:
        """Listen; models load in the background (see /healthz). Raises ConfigError where the port is taken."""
        server = self.config.server
        at = self.place
        self._siblings = Siblings(at) if at is not None else None
        frame = Frame(self.context, self._siblings)
        self._runner = web.ServerRunner(Server(self.context, frame))
        await self._runner.setup()
        if at is not None:
            await web.UnixSite(self._runner, str(at.socket(at.number))).start()
        site = web.TCPSite(self._runner, server.host, at.port if at is not None else server.port, ssl_context=self._tls(),
                           backlog=1024, reuse_port=at is not None)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"cannot listen on {server.host}:{server.port}: {error.strerror}; choose another "
                              "server.port (0 takes a free one)") from None
        self.port = at.port if at is not None else self._runner.addresses[0][1]
        if self.config.lane.socket and (at is None or at.number == KEEPER):
            self.lane = Lane(self.config.lane, self.context)
        self._spawn(self._models())
        self._spawn(self.heat.run())
        self._spawn(self.repository.engines.run(self.repository))
        health = self.config.health
        if health.canary_every_s:
            self._spawn(Pulse(self.repository, health.canary_every_s, health.canary_deadline_s,
                              lambda: not self.context.draining).run())
        self._spawn(self._watch_device())

    async def _watch_device(self) -> None:
        """End when the device is lost to this process: only another one, which a supervisor starts, can use it."""
        while not (lost := self.repository.lost()):      # noqa: ASYNC110 - sessions know, on threads of their own
            await asyncio.sleep(DEVICE_LOOK_S)
        log.critical("%s; the server ends, so that its supervisor starts it again", lost)
        self.exit_code = EXIT_LOST
        self.context.stopping.set()

    def _tls(self) -> ssl.SSLContext | None:
        server = self.config.server
        if not server.tls_cert:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(server.tls_cert, server.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"server.tls_cert {server.tls_cert} and server.tls_key {server.tls_key} cannot be used: "
                              f"{error}") from None
        return context

    async def _models(self) -> None:
        started = time.monotonic()
        await self.repository.start()
        log.info("models loaded in %.2f s; %s", time.monotonic() - started,
                 "; ".join(self.repository.blockers()) or "ready")
        while self.config.repository.poll_s:
            await asyncio.sleep(self.config.repository.poll_s)
            try:
                await self.repository.poll()
            except OSError as error:
                log.error("cannot look for changed models in %s: %s", self.repository.root, error)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.critical("a background task failed; the server stops", exc_info=task.exception())
            self.context.stopping.set()

    async def stop(self) -> None:
        """Refuse new work, let running requests finish for `drain_s`, close everything."""
        self.context.draining = True
        self.context.stopping.set()
        for task in self._tasks:
            task.cancel()
        if self.lane is not None:
            self.lane.stop_listening()
        until = time.monotonic() + self.config.server.drain_s
        while self.context.in_flight and time.monotonic() < until:   # noqa: ASYNC110 - seconds, once
            await asyncio.sleep(0.01)
        if self.lane is not None:
            self.lane.close()
        if self._siblings is not None:
            await self._siblings.close()
        if self._runner is not None:
            await self._runner.cleanup()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.5, until - time.monotonic())):
                await self.repository.close()
        self.pool.close()


def part_of(device: DeviceProfile, at: Place) -> DeviceProfile:
    """One worker's share of the device: its threads and its memory are divided, so that together they fit."""
    threads = device.threads or len(os.sched_getaffinity(0))
    return replace(device, threads=max(1, threads // at.count), memory_mb=device.memory_mb // at.count)


def reserve_of(config: Config) -> dict[str, float]:
    """The shares of the pool that jobs have. ConfigError where they are wrong."""
    try:
        return parse_reserve(config.queue.reserve, WORKLOADS)
    except ValueError as error:
        raise ConfigError(f"queue.reserve: {error}") from None


async def serve(config: Config, announce: Callable[[App], None]) -> int:
    """Run until SIGTERM or SIGINT, or until nothing can be served any more; the exit code."""
    app = App(config)
    await app.start()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.context.stopping.set)
    announce(app)
    await app.context.stopping.wait()
    log.info("shutting down; running requests get %g s", config.server.drain_s)
    await app.stop()
    return app.exit_code


def allowed(repository: RepositoryConfig) -> bool:
    """Whether clients may change what a job knows while it serves."""
    return repository.control if repository.updates == "control" else repository.updates == "yes"


def run(config: Config, announce: Callable[[App], None]) -> int:
    """The server as a process; 0 after a clean stop, 2 for a configuration that cannot be served, 75 for a lost device."""
    import uvloop

    logging.basicConfig(level=config.log.level.upper(), stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        return uvloop.run(serve(config, announce))
    except ConfigError as error:
        print(f"aisle: {error}", file=sys.stderr)
        return 2
