"""Load, unload, versions, hot reload, atomic switch; a failed load leaves the old one serving and says why."""

import asyncio
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from aisle.edge_devices.profile import load_profile
from aisle.models.bundle import Bundle, TensorSpec, digest
from aisle.models.bundle_file import write_bundle_toml
from aisle.models.make.onnx_models import add_sub, identity
from aisle.runtime.engine import Pool
from aisle.runtime.errors import Busy, Invalid, NotFound
from aisle.runtime.repository import Repository

X = {"INPUT0": np.ones((1, 4), np.float32)}


def triton(root: Path, name: str, version: str = "1", size: int = 4) -> Path:
    folder = root / name / version
    folder.mkdir(parents=True, exist_ok=True)
    identity(folder / "model.onnx", (size,), "float32")
    return folder / "model.onnx"


def null_bundle(root: Path, name: str, version: str = "1", **more) -> Path:
    """An Aisle bundle for the null backend, with a checksum over its one file."""
    folder = root / name / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nothing.bin").write_bytes(b"nothing")
    spec = (TensorSpec("x", "float32", (4,)),)
    out = (TensorSpec("y", "float32", (4,)),)
    bundle = Bundle(name, version, "model", folder, spec, out, {("null", "fp32"): "nothing.bin"}, max_batch=4,
                    sha256={"nothing.bin": digest(folder / "nothing.bin")}, **more)
    write_bundle_toml(bundle, folder)
    return folder


@pytest.fixture
async def repository(tmp_path: Path):
    made = Repository(tmp_path, load_profile("cpu"), Pool(2))
    yield made
    await made.close()
    made.pool.close()


async def settle(repository: Repository) -> None:
    """Two looks: the first notices, the second finds the files unchanged since."""
    await repository.poll()
    await repository.poll()


async def test_a_folder_of_both_layouts_is_served(repository: Repository, tmp_path: Path) -> None:
    triton(tmp_path, "t")
    null_bundle(tmp_path, "n")
    await repository.start()
    assert [s.name for s in repository.served()] == ["n", "t"]
    assert repository.blockers() == []
    got = await repository.get("t").infer(X)
    assert np.array_equal(got["OUTPUT0"], X["INPUT0"])
    got = await repository.get("n").infer({"x": X["INPUT0"]})
    assert np.array_equal(got["y"], X["INPUT0"])


async def test_before_the_start_a_model_is_busy_not_unknown(repository: Repository) -> None:
    with pytest.raises(Busy):
        repository.get("x")
    assert repository.blockers() == ["models are being loaded"]
    await repository.start()
    with pytest.raises(NotFound, match="unknown model: 'x' is not found"):
        repository.get("x")


async def test_the_latest_version_serves_and_an_older_one_is_not_found(repository: Repository, tmp_path: Path) -> None:
    triton(tmp_path, "m", "2")
    triton(tmp_path, "m", "10")
    await repository.start()
    assert repository.get("m").version == "10"
    with pytest.raises(NotFound, match="version 2 is not found"):
        repository.get("m", "2")


async def test_version_policy_all_serves_all(repository: Repository, tmp_path: Path) -> None:
    for version in "12":
        triton(tmp_path, "m", version)
    (tmp_path / "m" / "config.pbtxt").write_text('name: "m"\nversion_policy: { all { } }\n')
    await repository.start()
    assert [s.version for s in repository.served()] == ["1", "2"]


async def test_a_new_version_is_switched_in_and_the_old_one_retired(repository: Repository, tmp_path: Path) -> None:
    triton(tmp_path, "m", "1")
    await repository.start()
    old = repository.get("m")
    triton(tmp_path, "m", "2")
    await settle(repository)
    assert repository.get("m").version == "2"
    await asyncio.sleep(0.05)
    with pytest.raises(Busy, match="unloaded"):
        await old.infer(X)
    assert {i["version"]: i["state"] for i in repository.index()} == {"1": "UNAVAILABLE", "2": "READY"}


async def test_requests_keep_being_answered_while_a_model_is_reloaded(repository: Repository, tmp_path: Path) -> None:
    triton(tmp_path, "m")
    await repository.start()
    stop = False
    answered = 0

    async def client() -> None:
        nonlocal answered
        while not stop:
            await repository.get("m").infer(X)
            answered += 1

    task = asyncio.create_task(client())
    for _ in range(5):
        await repository.load("m")
    stop = True
    await task
    assert answered > 5


async def test_a_broken_new_file_leaves_the_old_one_serving_and_says_why(repository: Repository,
                                                                        tmp_path: Path) -> None:
    path = triton(tmp_path, "m")
    await repository.start()
    path.write_bytes(b"\x08\x07 this is no model")
    with pytest.raises(Invalid, match="failed to load 'm'"):
        await repository.load("m")
    assert np.array_equal((await repository.get("m").infer(X))["OUTPUT0"], X["INPUT0"])
    (item,) = repository.index()
    assert item["state"] == "READY" and "the previous ones serve" in item["reason"]
    identity(path, (4,), "float32")
    await settle(repository)
    assert "reason" not in repository.index()[0]


async def test_a_wrong_checksum_never_loads(repository: Repository, tmp_path: Path) -> None:
    folder = null_bundle(tmp_path, "n")
    (folder / "nothing.bin").write_bytes(b"changed")
    await repository.start()
    assert repository.served() == []
    (item,) = repository.index()
    assert item["state"] == "UNAVAILABLE" and "sha256" in item["reason"]
    assert "model 'n' does not serve" in repository.blockers()[0]


async def test_a_model_that_does_not_answer_its_canary_is_not_put_into_service(repository: Repository,
                                                                              tmp_path: Path) -> None:
    folder = null_bundle(tmp_path, "n")
    await repository.start()
    np.savez(folder / "canary.npz", **{"in:x": np.ones(4, np.float32), "out:y": np.full(4, 2, np.float32)})
    bundle = Bundle("n", "1", "model", folder, (TensorSpec("x", "float32", (4,)),),
                    (TensorSpec("y", "float32", (4,)),), {("null", "fp32"): "nothing.bin"}, max_batch=4,
                    canary="canary.npz", sha256={n: digest(folder / n) for n in ("nothing.bin", "canary.npz")})
    write_bundle_toml(bundle, folder)
    old = repository.get("n")
    with pytest.raises(Invalid, match="does not answer its canary"):
        await repository.load("n")
    assert repository.get("n") is old


async def test_unload_and_load_again(repository: Repository, tmp_path: Path) -> None:
    triton(tmp_path, "m")
    await repository.start()
    await repository.unload("m")
    with pytest.raises(NotFound, match="no available versions"):
        repository.get("m")
    await settle(repository)
    assert repository.served() == [], "polling must not undo an unload"
    assert repository.blockers() == [], "what was unloaded on purpose blocks nothing"
    await repository.load("m")
    assert repository.get("m").version == "1"


async def test_unknown_names(repository: Repository) -> None:
    await repository.start()
    with pytest.raises(NotFound):
        await repository.load("none")
    with pytest.raises(NotFound):
        await repository.unload("none")


async def test_models_come_and_go_with_their_folders(repository: Repository, tmp_path: Path) -> None:
    await repository.start()
    triton(tmp_path, "m")
    await repository.poll()
    assert repository.served() == [], "a file that was not there at the last look may still be on its way"
    await repository.poll()
    assert [s.name for s in repository.served()] == ["m"]
    shutil.rmtree(tmp_path / "m")
    await repository.poll()
    assert repository.served() == [] and repository.index() == []


async def test_a_touched_file_is_loaded_again(repository: Repository, tmp_path: Path) -> None:
    path = triton(tmp_path, "m")
    await repository.start()
    old = repository.get("m")
    await settle(repository)
    assert repository.get("m") is old
    add_sub(path)
    os.utime(path, ns=(1, 1))
    await settle(repository)
    assert len(repository.get("m").inputs) == 2


async def test_required_models_decide_about_readiness(tmp_path: Path) -> None:
    (tmp_path / "bad" / "1").mkdir(parents=True)
    (tmp_path / "bad" / "1" / "model.onnx").write_bytes(b"no")
    triton(tmp_path, "good")
    for required, count in ((("*",), 1), (("good",), 0), (("good", "absent"), 1), ((), 0)):
        repository = Repository(tmp_path, load_profile("cpu"), Pool(2), required=required)
        await repository.start()
        assert len(repository.blockers()) == count, (required, repository.blockers())
        await repository.close()


async def test_a_hundred_reloads_leave_no_thread_behind(repository: Repository, tmp_path: Path) -> None:
    import threading
    triton(tmp_path, "m")
    await repository.start()
    before = threading.active_count()
    for _ in range(100):
        await repository.load("m")
    await asyncio.gather(*repository._closing)
    assert threading.active_count() <= before + 1
