"""Stations taught by JPEGs decode them no larger than they need, in teaching and in work alike, and say so."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from aisle.models.bundle_file import read_bundle
from aisle.models.inspect import select, teach
from aisle.models.inspect.recipe import Recipe
from aisle.models.make import parts
from aisle.runtime.codec import Payload, make_codec
from aisle.runtime.codec.inspect import CODEC
from aisle.runtime.errors import Busy, Invalid
from aisle.runtime.pictures import PictureLimits, decoder, encode_jpeg, encode_png
from aisle.runtime.served import Served
from aisle.runtime.teaching import Taught, read_all, teach_station
from aisle.runtime.workloads import inspect

LIMITS = PictureLimits()
SIZE, SMALL = (480, 640), (240, 320)


def files(folder: Path, count: int, suffix: str = ".jpg", options: tuple[int, ...] = ()) -> list[Path]:
    folder.mkdir(exist_ok=True)
    made = [folder / f"{seed}{suffix}" for seed in range(count)]
    for seed, path in enumerate(made):
        path.write_bytes(bytes(cv2.imencode(suffix, parts.good(seed), list(options))[1]))
    return made


@pytest.fixture(scope="module", autouse=True)
def coarse() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teach, "CELLS", 256)
        patch.setattr(select, "SPOILED", 12)
        yield


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> tuple[Taught, Recipe]:
    folder = tmp_path_factory.mktemp("reduced")
    taught = teach_station("flange", files(folder / "good", 6, options=(cv2.IMWRITE_JPEG_QUALITY, 95)), [], folder / "models",
                           reduced=True)
    return taught, inspect.load(read_bundle(Path(taught.path)))


def test_jpegs_of_one_kind_are_decoded_smaller_and_others_whole(tmp_path: Path) -> None:
    ticks: list[int] = []
    jpegs = files(tmp_path / "a", 3)
    shown = read_all(jpegs, LIMITS, lambda: ticks.append(1), reduced=True)
    assert shown.sent == SIZE and {image.shape[:2] for image in shown.images} == {SMALL} and len(ticks) == 3
    for others in (files(tmp_path / "b", 2, ".png"), [*jpegs, *files(tmp_path / "c", 1, ".png")],
                   [*jpegs, *files(tmp_path / "d", 1, options=(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111))]):
        whole = read_all(others, LIMITS, lambda: None, reduced=True)
        assert whole.sent is None and {image.shape[:2] for image in whole.images} == {SIZE}
    assert read_all(jpegs, LIMITS, lambda: None).sent is None, "only where it is asked for"


def test_another_size_or_a_broken_file_is_named(tmp_path: Path) -> None:
    jpegs = files(tmp_path, 2)
    odd = tmp_path / "odd.jpg"
    odd.write_bytes(encode_jpeg(parts.good(1)[:400]))
    with pytest.raises(Invalid, match=r"picture odd\.jpg is 640 x 400 but 0\.jpg is 640 x 480; expected pictures of one size"):
        read_all([*jpegs, odd], LIMITS, lambda: None)
    odd.write_bytes(b"GIF89a")
    for order in ([*jpegs, odd], [odd, *jpegs]):
        with pytest.raises(Invalid, match=r"picture odd\.jpg: the picture is GIF"):
            read_all(order, LIMITS, lambda: None)


def test_a_recipe_says_that_it_was_taught_on_smaller_pictures(station: tuple[Taught, Recipe]) -> None:
    _, recipe = station
    assert recipe.reduced and recipe.size == SIZE and recipe.picture.shape[:2] != SIZE
    assert inspect.covers(recipe) == (recipe.work[0] * 3 // 2, recipe.work[1] * 3 // 2)
    assert recipe.takes(SIZE) and recipe.takes(recipe.picture.shape[:2]) and not recipe.takes((60, 80))
    whole = replace(recipe, reduced=False)
    assert inspect.covers(whole) is None and whole.takes(SIZE) and not whole.takes(recipe.picture.shape[:2])
    inspect.canary(recipe)


class Engine:
    """Runs everything where it is called."""

    def __init__(self, asset: Recipe) -> None:
        self.asset = asset

    async def offload(self, fn: Any, *args: Any) -> Any:
        return fn(*args)


def served(recipe: Recipe) -> Any:
    stats = SimpleNamespace()
    bundle = SimpleNamespace(name="flange", version="1", config={}, max_batch=0)
    return Served(bundle, backend="", precision="", batcher=None, engine=Engine(recipe), stats=stats,  # type: ignore[arg-type]
                  job="inspect", workload=inspect, decode=decoder(LIMITS))


def ask(recipe: Recipe, body: bytes, **options: str) -> tuple[inspect.Request, inspect.Verdict]:
    request = CODEC.request(Payload(body, "image/jpeg", options), served(recipe).decode)
    return request, asyncio.run(inspect.run(request, Engine(recipe)))  # type: ignore[arg-type]


def test_work_decodes_as_teaching_did_and_answers_in_pixels_of_the_whole_picture(station: tuple[Taught, Recipe]) -> None:
    _, recipe = station
    image, mask = parts.defective(2000, "crack")
    body = encode_jpeg(image, 95)
    request, verdict = ask(recipe, body)
    assert request.image.shape == recipe.picture.shape and request.size == SIZE and request.whole is None
    assert verdict.verdict == "reject" and verdict.regions
    x, y, w, h = verdict.regions[0].box
    rows, columns = np.nonzero(mask)
    assert x < columns.max() and x + w > columns.min() and y < rows.max() and y + h > rows.min()
    again, drawn = ask(recipe, body, overlay="1")
    assert drawn.score == verdict.score and drawn.regions == verdict.regions
    assert drawn.overlay is not None and drawn.overlay.shape == image.shape and again.whole is not None


def test_old_recipes_decode_whole(station: tuple[Taught, Recipe]) -> None:
    whole = replace(station[1], reduced=False)
    request, verdict = ask(whole, encode_jpeg(parts.good(50), 95))
    assert request.image.shape[:2] == SIZE and request.size == SIZE and verdict.verdict == "pass"


def test_a_png_or_raw_frame_of_the_whole_size_gets_nearly_the_same_score(station: tuple[Taught, Recipe]) -> None:
    _, recipe = station
    image = parts.good(51)
    smaller, whole = ask(recipe, encode_jpeg(image, 97))[1], ask(recipe, encode_png(image))[1]
    raw = CODEC.request(Payload(image.tobytes(), "", {"width": "640", "height": "480"}), served(recipe).decode)
    frame = asyncio.run(inspect.run(raw, Engine(recipe)))  # type: ignore[arg-type]
    assert frame.score == whole.score == pytest.approx(smaller.score, rel=0.15)


def test_a_picture_that_was_sent_at_the_smaller_size_is_refused(station: tuple[Taught, Recipe]) -> None:
    _, recipe = station
    small = cv2.resize(parts.good(1), recipe.picture.shape[1::-1])
    for body in (encode_png(small), encode_jpeg(small)):
        with pytest.raises(Invalid, match=r"expected a picture of 640 x 480 .* got \d+ x \d+; use the camera settings"):
            ask(recipe, body)
    tensors = inspect.from_tensors({"PIXELS": small}, decoder(LIMITS))
    with pytest.raises(Invalid, match="expected a picture of 640 x 480"):
        asyncio.run(inspect.run(tensors, Engine(recipe)))  # type: ignore[arg-type]


def test_a_picture_decoded_for_the_recipe_before_is_asked_for_again(station: tuple[Taught, Recipe]) -> None:
    _, recipe = station
    request = CODEC.request(Payload(encode_jpeg(parts.good(1)), "image/jpeg"), served(recipe).decode)
    with pytest.raises(Busy, match="taught anew while this picture was on its way; send it again"):
        asyncio.run(inspect.run(request, Engine(replace(recipe, reduced=False))))  # type: ignore[arg-type]


def test_tensors_of_encoded_pictures_are_decoded_smaller_too(station: tuple[Taught, Recipe]) -> None:
    _, recipe = station
    image = {"IMAGE": np.array([encode_jpeg(parts.good(1))], object)}
    request = inspect.from_tensors(image, served(recipe).decode)
    assert request.size == SIZE and request.image.shape == recipe.picture.shape


def test_no_picture_is_decoded_on_the_event_loop() -> None:
    for job in ("inspect", "classify"):
        assert make_codec(job).light_bytes == 0, "bodies above that are read by a thread of the pool"
