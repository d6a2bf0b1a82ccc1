"""A bundle on disk becomes something that answers: check, open, warm up, ask the canary. Runs off the loop."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError, verify
from .backends import Backend, FreeSession, Session, make_backend
from .backends.tensors import zero
from .served import is_free
from .workloads import BUNDLE_ROLES, make_workload

log = logging.getLogger("aisle.loading")


@dataclass
class Opened:
    """What loading made; the repository puts one queue in front of the sessions."""

    bundle: Bundle
    backend: str
    precision: str
    sessions: tuple[Session | FreeSession, ...] = ()     # one an instance
    job: str | None = None
    workload: ModuleType | None = None
    asset: Any = None

    def close(self) -> None:
        """Give the sessions' memory back."""
        for session in self.sessions:
            session.close()


def choose(bundle: Bundle, device: DeviceProfile) -> tuple[str, str]:
    """The first (backend, precision) in the device's order that the bundle has and this machine can run."""
    reasons = []
    order = [*device.backends, *(b for b, _ in bundle.files if b not in device.backends)]
    for backend in dict.fromkeys(order):
        have = [p for b, p in bundle.files if b == backend]
        if not have:
            continue
        missing = make_backend(backend).missing()
        if missing:
            reasons.append(missing)
            continue
        precision = next((p for p in device.precisions if p in have), have[0])
        return backend, precision
    raise BundleError(f"no file of bundle '{bundle.name}' can run on this machine: it has "
                      f"{sorted(bundle.files) or 'no files'}; {' '.join(reasons) or 'no backend for them is known'}")


def open_bundle(bundle: Bundle, device: DeviceProfile, state: Path | None = None) -> Opened:
    """Load one bundle to the point where it has answered. Raises BundleError with a sentence.

    `state` is the folder where a job that remembers (a workload with `restore`) finds and keeps what it was told.
    """
    verify(bundle)
    job = BUNDLE_ROLES.get(bundle.role)
    opened = Opened(bundle, "", "")
    if bundle.files:
        name, precision = choose(bundle, device)
        backend = make_backend(name)
        chosen = backend.describe(narrowed(bundle, name, precision))
        opened = Opened(chosen, name, precision, open_sessions(backend, chosen, device))
    elif job is None:
        raise BundleError(f"bundle '{bundle.name}' names no model file and its role '{bundle.role}' is no job; "
                          f"expected [[files]] or one of the roles {sorted(BUNDLE_ROLES)}")
    try:
        for session in opened.sessions:
            warm_up(session, opened.bundle)
        if job is not None:
            opened.job, opened.workload = job, make_workload(job)
            opened.asset = opened.workload.load(opened.bundle)
            opened.workload.canary(opened.asset)
            if state is not None and hasattr(opened.workload, "restore"):
                opened.workload.restore(opened.asset, state)
    except (ValueError, KeyError) as error:
        opened.close()
        raise error if isinstance(error, BundleError) else BundleError(
            f"bundle '{bundle.name}' version {bundle.version}: {error}") from error
    except BaseException:
        opened.close()
        raise
    return opened


def narrowed(bundle: Bundle, backend: str, precision: str) -> Bundle:
    """The bundle with only the chosen file."""
    return replace(bundle, files={(backend, precision): bundle.files[backend, precision]})


def open_sessions(backend: Backend, bundle: Bundle, device: DeviceProfile) -> tuple[Session | FreeSession, ...]:
    """The bundle's instances; they divide the device's threads, so that together they do not oversubscribe it."""
    count = bundle.queue.instances
    total = device.threads or len(os.sched_getaffinity(0))
    each = replace(device, threads=max(1, total // count))
    opened: list[Session | FreeSession] = []
    try:
        for _ in range(count):
            opened.append(backend.open(bundle, each))
    except BaseException:
        for session in opened:
            session.close()
        raise
    return tuple(opened)


def warm_up(session: Session | FreeSession, bundle: Bundle) -> None:
    """Run once on zeros, so that the first request is not the slow one, and then the bundle's canary."""
    if isinstance(session, Session) and not is_free(session):
        for array in session.rows(0, 1).values():
            array[...] = 0
        run: Callable[[], Any] = lambda: session.run(1)  # noqa: E731
    else:
        zeros = {spec.name: zero(spec) for spec in session.inputs if not spec.optional}
        run = lambda: session.run(zeros, [s.name for s in session.outputs])  # type: ignore[call-arg, arg-type]  # noqa: E731
    try:
        run()
    except Exception as error:  # noqa: BLE001 - zeros need not be legal input; only a canary is binding
        log.warning("model '%s' version %s could not be warmed up with zeros: %s", bundle.name, bundle.version, error)
    if bundle.canary and bundle.role not in BUNDLE_ROLES:
        ask_canary(session, bundle, bundle.path(bundle.canary))


def ask_canary(session: Session | FreeSession, bundle: Bundle, path: Path) -> None:
    """Stored inputs must give the stored outputs (npz: `in:NAME` and `out:NAME`; one row where static)."""
    with np.load(path, allow_pickle=False) as stored:
        inputs = {k[3:]: stored[k] for k in stored.files if k.startswith("in:")}
        wanted = {k[4:]: stored[k] for k in stored.files if k.startswith("out:")}
    if isinstance(session, Session) and not is_free(session):
        row = session.row(0)
        for name, array in inputs.items():
            row[name][...] = array
        session.run(1)
        got = {name: row[name] for name in wanted}
    else:
        got = session.run(inputs, list(wanted))  # type: ignore[call-arg, arg-type, assignment]
    rtol = float(bundle.params.get("canary_tolerance", 1e-3))
    for name, expected in wanted.items():
        if expected.shape != np.shape(got[name]) or not np.allclose(got[name], expected, rtol=rtol, atol=rtol):
            raise BundleError(f"model '{bundle.name}' version {bundle.version} does not answer its canary: output "
                              f"'{name}' differs from the stored one by more than {rtol}; it is not put into service")
