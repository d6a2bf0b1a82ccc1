"""The jobs a shop needs. A workload is a module: ROLES, load(bundle), Request, Verdict, run(request, engine)."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

WORKLOADS = {
    "inspect": "aisle.runtime.workloads.inspect",
    "classify": "aisle.runtime.workloads.classify",
    "routes": "aisle.runtime.workloads.route",
    "recommend": "aisle.runtime.workloads.recommend",
    "text": "aisle.runtime.workloads.text",
}


def make_workload(name: str) -> ModuleType:
    """The module of that workload; imported only now."""
    if name not in WORKLOADS:
        raise ValueError(f"workload {name!r} is unknown; the workloads are {', '.join(WORKLOADS)}")
    return import_module(WORKLOADS[name])


# The role a bundle states -> the workload that answers for it.
BUNDLE_ROLES = {"classifier": "classify", "inspector": "inspect", "map": "routes", "recommend": "recommend", "text": "text"}
