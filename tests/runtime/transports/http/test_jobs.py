"""The inspection job over HTTP: verdicts, pictures, history, and what wrong requests get."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path))


def verdict(server, body: bytes, query: str = "", **headers: str) -> dict:
    reply = server.ask(f"/v1/inspect/flange{query}", body, headers)
    assert reply.status == 200, reply.body
    return reply.json


def error(server, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    reply = server.ask(path, body, headers)
    assert set(reply.json) == {"error"}
    return reply.status, reply.json["error"]


def test_a_good_part_passes_and_says_everything(station_server, pictures):
    told = verdict(station_server, pictures.good[0].read_bytes())
    assert set(told) == {"verdict", "score", "threshold", "regions", "timings_ms", "model", "version", "id"}
    assert told["verdict"] == "pass" and told["score"] <= told["threshold"]
    assert told["model"] == "flange" and told["version"] == "1"
    assert {"decode", "encode", "total"} <= set(told["timings_ms"])


def test_most_defects_are_rejected_with_a_region_in_the_picture(station_server, pictures):
    told = [verdict(station_server, path.read_bytes()) for path in pictures.bad]
    rejected = [t for t in told if t["verdict"] == "reject"]
    assert len(rejected) >= len(pictures.bad) - 1
    for one in rejected:
        assert one["score"] > one["threshold"]
        for region in one["regions"]:
            x, y, w, h = region["box"]
            assert 0 <= x < x + w <= 320 and 0 <= y < y + h <= 240 and region["area"] > 0


def test_the_format_of_the_picture_does_not_matter(station_server, pictures):
    image = read(pictures.good[1])
    scores = []
    for suffix in (".png", ".bmp"):
        scores.append(verdict(station_server, cv2.imencode(suffix, image)[1].tobytes())["score"])
    scores.append(verdict(station_server, image.tobytes(), "?width=320&height=240&format=bgr8")["score"])
    scores.append(verdict(station_server, image[..., ::-1].tobytes(), "?width=320&height=240&format=rgb8")["score"])
    assert len(set(scores)) == 1
    for suffix, quality in ((".jpg", cv2.IMWRITE_JPEG_QUALITY), (".webp", cv2.IMWRITE_WEBP_QUALITY)):
        body = cv2.imencode(suffix, image, [quality, 97])[1].tobytes()
        # What is lost in the file must not count as a fault. The verdict may differ where the score is at the threshold.
        assert verdict(station_server, body)["score"] == pytest.approx(scores[0], rel=0.05)


def test_a_grey_frame_is_taken_as_a_picture(station_server, pictures):
    grey = cv2.cvtColor(read(pictures.good[1]), cv2.COLOR_BGR2GRAY)
    told = verdict(station_server, grey.tobytes(), "?width=320&height=240&format=gray8")
    encoded = cv2.imencode(".png", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))[1].tobytes()
    assert told["score"] == verdict(station_server, encoded)["score"]


@pytest.mark.parametrize("query, words", [
    ("?width=320&height=240&format=bgr9", "format='bgr9'"),
    ("?width=320&height=241&format=bgr8", "231360 bytes, got 230400"),
    ("?width=320&format=bgr8", "height=''"),
    ("?width=0&height=240&format=bgr8", "width='0'"),
    ("?width=-320&height=240", "width='-320'"),
    ("?width=99999999999999999999&height=240", "expected a whole number"),
    ("?width=%D9%A3&height=240", "expected a whole number"),
    ("?width=65535&height=65535", "has 12884508675 bytes"),
])
def test_wrong_raw_frames_are_told_what_is_wrong(station_server, query, words):
    status, sentence = error(station_server, f"/v1/inspect/flange{query}", bytes(320 * 240 * 3))
    assert status in (400, 413) and words in sentence


def test_overlay_returns_a_picture_and_the_verdict_in_a_header(station_server, pictures):
    body = pictures.bad[0].read_bytes()
    plain = verdict(station_server, body)
    for accept, kind, magic in (("image/jpeg", "image/jpeg", b"\xff\xd8"), ("image/png", "image/png", b"\x89PNG"),
                                ("*/*", "image/jpeg", b"\xff\xd8")):
        reply = station_server.ask("/v1/inspect/flange?overlay=1", body, {"Accept": accept})
        assert reply.status == 200 and reply.headers["Content-Type"] == kind and reply.body.startswith(magic)
        told = json.loads(reply.headers["Aisle-Verdict"])
        assert (told["verdict"], told["score"]) == (plain["verdict"], plain["score"])
        drawn = cv2.imdecode(np.frombuffer(reply.body, np.uint8), cv2.IMREAD_COLOR)
        assert drawn.shape == (240, 320, 3)


def test_the_callers_id_comes_back(station_server, pictures):
    body = pictures.good[0].read_bytes()
    reply = station_server.ask("/v1/inspect/flange", body, {"X-Request-Id": "belt-7/0042"})
    assert reply.json["id"] == reply.headers["X-Request-Id"] == "belt-7/0042"
    assert verdict(station_server, body, "?id=abc")["id"] == "abc"
    first, second = (verdict(station_server, body)["id"] for _ in range(2))
    assert first != second
    status, sentence = error(station_server, "/v1/inspect/flange", body, {"X-Request-Id": "x" * 129})
    assert status == 400 and "128" in sentence


@pytest.mark.parametrize("body, kind, words", [
    (b"", "image/png", "the body is empty"),
    (b"hello", "image/jpeg", ""),
    (b"\xff\xd8\xff\xe0" + bytes(200), "image/jpeg", ""),
    (b'{"image": "..."}', "application/json", "whole body"),
    (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", "--data-binary"),
])
def test_what_is_no_picture_gets_a_sentence(station_server, body, kind, words):
    status, sentence = error(station_server, "/v1/inspect/flange", body, {"Content-Type": kind})
    assert status == 400 and words in sentence and len(sentence) > 20


def test_a_truncated_picture_gets_a_sentence(station_server, pictures):
    body = pictures.good[0].read_bytes()
    status, sentence = error(station_server, "/v1/inspect/flange", body[:len(body) // 2])
    assert status == 400 and len(sentence) > 20


def test_unknown_stations_and_jobs_are_not_found_and_the_known_ones_named(station_server, pictures):
    for path in ("/v1/inspect/nowhere", "/v1/inspect/..%2f..%2fetc"):
        status, sentence = error(station_server, path, pictures.good[0].read_bytes())
        assert status == 404 and "flange" in sentence
    assert error(station_server, "/v1/inspect/nowhere/recent")[0] == 404
    status, sentence = error(station_server, "/v1/dance/flange", b"x")
    assert status == 404 and "inspect" in sentence


def test_recent_verdicts_come_newest_first_with_small_pictures(station_server, pictures):
    for n, path in enumerate((*pictures.good, pictures.bad[0])):
        verdict(station_server, path.read_bytes(), f"?id=recent-{n}")
    recent = station_server.ask("/v1/inspect/flange/recent?limit=3").json["recent"]
    assert [entry["id"] for entry in recent] == ["recent-3", "recent-2", "recent-1"]
    small = base64.b64decode(recent[0]["thumbnail"].removeprefix("data:image/jpeg;base64,"))
    assert max(cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape) == 160 and len(small) < 16384
    for limit in ("0", "101", "x", "-1", "9" * 40):
        assert error(station_server, f"/v1/inspect/flange/recent?limit={limit}")[0] == 400


def test_stations_tell_what_they_promise(station_server):
    (one,) = station_server.ask("/v1/inspect").json["stations"]
    assert one["name"] == "flange" and one["good"] == 8
    assert one["promise_average"] == pytest.approx(1 / 9) and one["promise_bound"] == pytest.approx(1 - 0.05 ** (1 / 8))
    assert station_server.ask("/v1/inspect/flange").json["name"] == "flange"
    assert station_server.ask("/v1").json["jobs"][0] == {"name": "inspect", "stations": ["flange"]}


def test_verdicts_are_counted_like_any_inference(station_server, pictures):
    before = station_server.ask("/v2/models/flange/stats").json["model_stats"][0]["inference_count"]
    verdict(station_server, pictures.good[0].read_bytes())
    after = station_server.ask("/v2/models/flange/stats").json["model_stats"][0]["inference_count"]
    assert after == before + 1


def test_a_client_that_leaves_in_the_middle_harms_nobody(station_server, pictures):
    where = urlsplit(station_server.address)
    for _ in range(5):
        with socket.create_connection((where.hostname, where.port)) as connection:
            connection.sendall(b"POST /v1/inspect/flange HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc")
    assert verdict(station_server, pictures.good[0].read_bytes())["verdict"] == "pass"
