"""What setup.py decides: when CUDA kernels are built again, for which devices, and what a wheel holds."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
from setuptools import Distribution

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_of_the_wheel", ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def built(tmp_path: Path, recipe: ModuleType) -> tuple[Path, Path, list[str]]:
    """A fatbin that was just made, its source, and the command."""
    folder = tmp_path / "kernels" / "op"
    folder.mkdir(parents=True)
    for path in (folder / "fast.cu", folder / "core.h", folder.parent / "both.h", folder / "fast.pyx"):
        path.touch()
        os.utime(path, (1000, 1000))
    made, source = folder / "fast.fatbin", folder / "fast.cu"
    wanted = recipe.command("nvcc", [80, 90], source, made)
    made.touch()
    os.utime(made, (2000, 2000))
    recipe.stamp(made).write_text(" ".join(wanted))
    return made, source, wanted


def test_a_fresh_fatbin_is_left_alone(recipe: ModuleType, built: tuple[Path, Path, list[str]]) -> None:
    made, source, wanted = built
    assert recipe.stale(made, source, wanted) is None
    assert recipe.stale(made, source, None) is None


@pytest.mark.parametrize(("name", "again"), [("fast.cu", True), ("core.h", True), ("../both.h", True), ("fast.pyx", False)])
def test_a_newer_source_or_header_makes_it_stale(recipe: ModuleType, built: tuple[Path, Path, list[str]], name: str,
                                                 again: bool) -> None:
    made, source, wanted = built
    os.utime(made.parent / name, (3000, 3000))
    assert (recipe.stale(made, source, wanted) or "").endswith("is newer") == again


def test_another_wish_or_compiler_makes_it_stale(recipe: ModuleType, built: tuple[Path, Path, list[str]]) -> None:
    made, source, _ = built
    for compiler, numbers in (("nvcc", [80]), ("nvcc", []), ("nvcc", [80, 90, 100]), ("/elsewhere/nvcc", [80, 90])):
        why = recipe.stale(made, source, recipe.command(compiler, numbers, source, made))
        assert why is not None and "AISLE_CUDA" in why
    recipe.stamp(made).unlink()
    assert recipe.stale(made, source, recipe.command("nvcc", [80, 90], source, made)) is not None
    made.unlink()
    assert recipe.stale(made, source, None) == "it is not there"


def test_a_changed_wish_reaches_the_compiler(recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "kernels" / "op" / "fast.cu"
    source.parent.mkdir(parents=True)
    source.touch()
    os.utime(source, (1000, 1000))
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> None:
        calls.append(command)
        source.with_suffix(".fatbin").touch()
    monkeypatch.setattr(recipe, "ROOT", tmp_path)
    monkeypatch.setattr(recipe.subprocess, "run", run)
    monkeypatch.setattr(recipe, "nvcc", lambda: "nvcc")
    monkeypatch.setattr(recipe.build_ext, "run", lambda self: None)
    build = recipe.Build(Distribution())
    build.inplace, build.force = True, False
    for wish, ran in (("80", 1), ("80", 1), ("80,90", 2), ("80,90", 2), ("ptx", 3), ("none", 3), ("80", 4)):
        monkeypatch.setenv("AISLE_CUDA", wish)
        build.run()
        assert len(calls) == ran and source.with_suffix(".fatbin").exists() == (wish != "none"), wish
    os.utime(source)
    os.utime(source.with_suffix(".fatbin"), (2000, 2000))
    monkeypatch.setattr(recipe, "nvcc", lambda: None)
    build.run()
    assert not source.with_suffix(".fatbin").exists(), "an old one that cannot be made again here would be run as if new"


def test_devices_by_wish(recipe: ModuleType) -> None:
    assert recipe.architectures("nvcc", "87") == [87] and recipe.architectures("nvcc", "80,90") == [80, 90]
    assert recipe.architectures("nvcc", "ptx") == []
    assert "code=compute_75" in " ".join(recipe.command("nvcc", [], Path("a/b/fast.cu"), Path("x")))
    assert "code=sm_87" in " ".join(recipe.command("nvcc", [80, 87], Path("a/b/fast.cu"), Path("x")))


def test_a_wheel_holds_no_tests(recipe: ModuleType) -> None:
    modules = recipe.Modules(Distribution({"packages": recipe.packages(), "package_dir": {"aisle": str(ROOT)},
                                           "script_name": str(ROOT / "setup.py")}))
    modules.ensure_finalized()
    names = {".".join(found[:2]) for found in modules.find_all_modules()}
    assert {"aisle.bench.gpu", "aisle.kernels._cuda", "aisle.runtime.app"} <= names
    assert [name for name in names if name.rpartition(".")[2].startswith("test_") or name.startswith("aisle.tests")] == []
    assert "aisle.setup" not in names
