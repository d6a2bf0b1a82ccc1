"""Imports point down: the house of ARCHITECTURE.md, checked on the source."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PEERS = ("kernels", "models", "edge_devices", "runtime.errors", "runtime.stats", "runtime.config")
# Longest prefix wins. Numbers are the layers of ARCHITECTURE.md.
LAYERS = {
    "kernels": 0, "models": 0, "edge_devices": 0, "runtime.errors": 0, "runtime.stats": 0, "runtime.config": 0,
    "runtime.backends": 1, "runtime.engines": 1,
    "runtime": 2,
    "runtime.workloads": 3,
    "runtime.transports": 4, "runtime.codec": 4, "runtime.metrics": 4, "runtime.teaching": 4, "runtime.web": 4,
    "runtime.quantizing": 4, "runtime.examples": 4,
    "runtime.app": 5, "runtime.supervisor": 5, "runtime.cli": 5, "runtime.__main__": 5,
    "bench": 6,
}
# Said with its reason: loading looks up a bundle's job in the table of workloads, and knows nothing else of them.
ALLOWED = {("runtime.loading", "runtime.workloads"), ("models", "kernels"), ("runtime.config", "edge_devices")}


def layer_name(module: str) -> str:
    parts = module.split(".")
    for n in range(len(parts), 0, -1):
        if ".".join(parts[:n]) in LAYERS:
            return ".".join(parts[:n])
    return ""


def imports(path: Path, module: str) -> set[str]:
    """Modules of ours that a file imports, as dotted names below the package."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[:len(package) - node.level + 1]
            name = [*base, *(node.module or "").split(".")] if node.module else base
            found.add(".".join(p for p in name if p))
            if not node.module:
                found |= {".".join([*base, alias.name]) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "aisle":
            found.add(node.module.removeprefix("aisle").lstrip("."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("aisle.") for a in node.names if a.name.split(".")[0] == "aisle"}
            bare = {a.name for a in node.names if a.name.split(".")[0] in {"kernels", "models", "runtime"}}
            assert not bare, f"{path}: imports {bare} by its bare name"
    return {name for name in found if layer_name(name)}


def faults(path: Path, module: str) -> list[str]:
    here = layer_name(module)
    found = []
    for name in imports(path, module):
        there = layer_name(name)
        if (module, there) in ALLOWED or (here, there) in ALLOWED or here == there:
            continue
        if LAYERS[there] > LAYERS[here]:
            found.append(f"{module} (layer {LAYERS[here]}) imports {name} (layer {LAYERS[there]})")
        elif LAYERS[there] == LAYERS[here] == 0:
            found.append(f"{module} imports its peer {name}")
    return found


def sources() -> list[tuple[Path, str]]:
    files = [p for top in ("kernels", "models", "edge_devices", "runtime", "bench") for p in (ROOT / top).rglob("*.py")]
    return [(p, ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")) for p in files]


def test_imports_point_down() -> None:
    assert len(sources()) > 20
    assert [fault for path, module in sources() for fault in faults(path, module)] == []


@pytest.mark.parametrize(("module", "line"), [
    ("kernels.bad", "from ..runtime import engine"),
    ("kernels.bad", "from ..models.bundle import Bundle"),
    ("models.bad", "from ..edge_devices import probe"),
    ("models.bad", "from ..runtime.errors import Invalid"),
    ("runtime.backends.bad", "from ..engine import Engine"),
    ("runtime.engine", "from .transports.http.frame import Frame"),
    ("runtime.workloads.bad", "from ..codec import decode"),
    ("runtime.transports.http.bad", "from ...app import App"),
    ("runtime.app", "from ..bench.report import Row"),
])
def test_a_planted_fault_is_caught(tmp_path: Path, module: str, line: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(line + "\n")
    assert faults(path, module), f"{line!r} in {module} was not caught"


def test_nothing_is_loaded_under_a_bare_name() -> None:
    import aisle.runtime.served  # noqa: F401
    assert not {"kernels", "models", "runtime", "edge_devices", "bench"} & sys.modules.keys()


HTTP_ONLY = ("aiohttp",)
HARDWARE = ("pycuda", "tensorrt", "onnxruntime", "openvino")


def test_libraries_stay_in_their_rooms() -> None:
    """Only transports/http (and the app that starts it) import aiohttp; only backends import engines."""
    wrong = []
    for path, module in sources():
        tree = ast.parse(path.read_text("utf-8"))
        names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module.split(".")[0] for n in ast.walk(tree)
                  if isinstance(n, ast.ImportFrom) and n.module and not n.level}
        http = module.startswith(("runtime.transports.http", "runtime.app", "runtime.cli", "bench"))
        if names & set(HTTP_ONLY) and not http:
            wrong.append(f"{module} imports {names & set(HTTP_ONLY)}")
        engines = module.startswith(("runtime.backends", "bench")) or module == "kernels._cuda"
        if names & set(HARDWARE) and not engines:
            wrong.append(f"{module} imports {names & set(HARDWARE)}")
    assert wrong == []
