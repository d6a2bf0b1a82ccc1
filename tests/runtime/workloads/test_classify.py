"""A JPEG in, the best classes out: what a classifier says over HTTP, as tensors and in process, and what it refuses."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from aisle.models.bundle import Bundle, BundleError, TensorSpec
from aisle.models.inspect.publish import publish
from aisle.models.make import nets
from aisle.runtime.app import App
from aisle.runtime.config import Config, RepositoryConfig, ServerConfig
from aisle.runtime.examples import make_example
from aisle.runtime.workloads.classify import best, covers, load
from hypothesis import given
from hypothesis import strategies as st

SIDE = 96
Told = tuple[int, dict]


def make_classifier(root: Path) -> Bundle:
    """A bundle that tells drawn textures apart, as a classifier of pictures."""
    made = make_example(root / "source", "textures", "residual", SIDE, width=8, learnt=12)

    def write(folder: Path) -> tuple[str, ...]:
        (folder / "model.onnx").write_bytes(made.path("model.onnx").read_bytes())
        return ("model.onnx",)
    served = Bundle("textures", "1", "classifier", root, made.inputs, made.outputs, made.files, max_batch=made.max_batch,
                    params=made.params, licence=made.licence)
    return publish(served, write, root / "models")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_classifier(tmp_path_factory.mktemp("classify"))


@pytest.fixture(scope="module")
def ask(bundle: Bundle) -> Iterator:
    """POST to a server in this process: (path, body, headers) -> (status, answer)."""
    loop = asyncio.new_event_loop()
    app = App(Config(server=ServerConfig(port=0), repository=RepositoryConfig(path=str(bundle.root.parents[1]), poll_s=0)))

    async def start() -> None:
        await app.start()
        while app.repository.starting:
            await asyncio.sleep(0.01)
    loop.run_until_complete(start())

    def post(path: str, body: bytes, headers: dict | None = None) -> Told:
        def call() -> Told:
            request = urllib.request.Request(f"http://127.0.0.1:{app.port}{path}", body, headers or {})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    assert answer.headers["Aisle-Variant"] == "onnx fp32", "of every answer of a network, also as tensors"
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)
        return loop.run_until_complete(loop.run_in_executor(None, call))
    yield post
    loop.run_until_complete(app.stop())
    loop.close()


def jpeg(kind: str, seed: int, size: int) -> bytes:
    return cv2.imencode(".jpg", nets.texture(kind, seed, size))[1].tobytes()


@pytest.mark.parametrize("kind", ["checks", "rings", "plain"])
def test_a_picture_gets_its_class(ask, kind: str) -> None:
    status, told = ask("/v1/classify/textures", jpeg(kind, 2000, 256), {"Content-Type": "image/jpeg"})
    assert status == 200 and told["classes"][0]["label"] == kind and len(told["classes"]) == 5
    scores = [c["score"] for c in told["classes"]]
    assert scores == sorted(scores, reverse=True)
    assert {"decode", "model", "total"} <= told["timings_ms"].keys() and told["variant"] == "onnx fp32"


def test_the_only_classifier_needs_no_name_and_says_as_many_as_asked(ask) -> None:
    for count in (1, 8, 900):
        status, told = ask(f"/v1/classify?best={count}", jpeg("dots", 2001, 256))
        assert status == 200 and len(told["classes"]) == min(count, len(nets.TEXTURES))


@pytest.mark.parametrize("best", ["0", "-1", "x", "1001", "9" * 12, "٣"])
def test_a_wrong_count_is_refused(ask, best: str) -> None:
    status, told = ask(f"/v1/classify/textures?best={urllib.request.quote(best)}", jpeg("dots", 1, 128))
    assert status == 400 and "from 1 to 1000" in told["error"]


@pytest.mark.parametrize("body", [b"", b"no picture", jpeg("dots", 1, 128)[:500]])
def test_what_is_no_picture_is_refused(ask, body: bytes) -> None:
    status, told = ask("/v1/classify/textures", body)
    assert status == 400 and told["error"]


def test_raw_pixels_and_tensors_say_the_same_as_a_png(ask) -> None:
    image = nets.texture("weave", 2002, SIDE)
    _, by_png = ask("/v1/classify/textures", cv2.imencode(".png", image)[1].tobytes())
    status, raw = ask(f"/v1/classify/textures?width={SIDE}&height={SIDE}&format=bgr8", image.tobytes(),
                      {"Content-Type": "application/x-raw-frame"})
    assert status == 200 and raw["classes"] == by_png["classes"]
    document = {"inputs": [{"name": "PIXELS", "shape": list(image.shape), "datatype": "UINT8", "data": image.ravel().tolist()}]}
    status, oip = ask("/v2/models/textures/infer", json.dumps(document).encode())
    assert status == 200
    found = {o["name"]: o["data"] for o in oip["outputs"]}
    assert found["INDEX"] == [c["index"] for c in by_png["classes"]]
    assert found["LABEL"] == [c["label"] for c in by_png["classes"]]


def test_a_large_jpeg_is_decoded_no_larger_than_needed_and_says_the_same(ask, bundle: Bundle) -> None:
    assert covers(load(bundle)) == (SIDE, SIDE)
    status, told = ask("/v1/classify/textures", jpeg("plain", 2003, 1600))
    assert status == 200
    whole = cv2.imdecode(np.frombuffer(jpeg("plain", 2003, 1600), np.uint8), cv2.IMREAD_COLOR)
    _, other = ask("/v1/classify/textures", cv2.imencode(".png", whole)[1].tobytes())
    assert told["classes"][0]["label"] == other["classes"][0]["label"]
    assert told["classes"][0]["score"] == pytest.approx(other["classes"][0]["score"], abs=0.1)


def test_a_classifier_is_not_taught(ask) -> None:
    status, told = ask("/v1/classify/other/teach", b"", {"Content-Type": "multipart/form-data; boundary=x"})
    assert status == 501 and "bundle of the role classifier" in told["error"]


def test_a_bundle_that_says_too_little_is_refused(tmp_path: Path) -> None:
    image, scores = TensorSpec("image", "float32", (3, 8, 8)), TensorSpec("scores", "float32", (4,))
    good = {"input": "image", "height": 8, "width": 8, "scale": [1.0] * 3, "bias": [0.0] * 3}
    for params, outputs, says in ((None, (scores,), "add the table `picture`"),
                                  (good | {"height": 9}, (scores,), "describes input 'image'"),
                                  (good, (TensorSpec("map", "float32", (4, 4, 4)),), "no output that is a row of scores")):
        with pytest.raises(BundleError, match=says):
            load(Bundle("c", "1", "classifier", tmp_path, (image,), outputs, max_batch=1,
                        params={"picture": params} if params else {}))


@given(st.lists(st.one_of(st.floats(width=32), st.just(1.0)), min_size=1, max_size=40), st.integers(1, 50))
def test_the_best_are_in_order_ties_by_index_nan_last(values: list[float], count: int) -> None:
    found = best(np.array(values, np.float32), ("a", "b"), count)
    keys = [-np.inf if np.isnan(v) else np.float32(v) for v in values]
    assert [c.index for c in found] == sorted(range(len(values)), key=lambda i: (-keys[i], i))[:count]
    assert all(c.label == ("a", "b")[c.index] if c.index < 2 else c.label == "" for c in found)


