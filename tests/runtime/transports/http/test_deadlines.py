"""The header Aisle-Deadline-Ms: kept in the queue, refused when hopeless, read on the short way and the long one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

BODY = {"inputs": [{"name": "INPUT0", "shape": [1, 1], "datatype": "INT32", "data": [7]}]}
LONG_WAY = {"Accept-Encoding": "gzip, deflate, br"}      # a header that the short way leaves to aiohttp


@pytest.fixture(scope="module")
def slow(launch, null_model, tmp_path_factory):
    models: Path = tmp_path_factory.mktemp("slow-models")
    null_model(models, "slow", "int32", (1,), max_batch=1, sleep_ms=200)
    return launch(models)


def infer(server, **headers: str):
    return server.ask("POST", "/v2/models/slow/infer", BODY, headers)


@pytest.mark.parametrize("way", [{}, LONG_WAY], ids=["short", "long"])
@pytest.mark.parametrize("text", ["soon", "-5", "0"])
def test_a_wrong_header_is_a_sentence(slow, way: dict[str, str], text: str) -> None:
    answer = infer(slow, **{"Aisle-Deadline-Ms": text}, **way)
    assert answer.status == 400 and "expected milliseconds from now" in answer.error


@pytest.mark.parametrize("way", [{}, LONG_WAY], ids=["short", "long"])
def test_an_answer_says_where_its_time_went(slow, way: dict[str, str]) -> None:
    told = infer(slow, **way).headers["Server-Timing"]
    spent = {name: float(value) for name, value in (part.split(";dur=") for part in told.split(", "))}
    assert set(spent) == {"queue", "fill", "run", "read", "total"}
    assert 200 <= spent["run"] <= spent["total"]


@pytest.mark.parametrize("way", [{}, LONG_WAY], ids=["short", "long"])
def test_enough_time_is_enough(slow, way: dict[str, str]) -> None:
    assert infer(slow, **{"Aisle-Deadline-Ms": "5000"}, **way).status == 200


def test_once_the_cost_is_known_what_cannot_be_met_is_refused_at_once(slow) -> None:
    for _ in range(4):
        assert infer(slow).status == 200
    answer = infer(slow, **{"Aisle-Deadline-Ms": "50"})
    assert answer.status == 503 and "could not answer within the deadline of" in answer.error
    assert int(answer.headers["Retry-After"]) >= 1


def test_behind_a_queue_the_predicted_wait_is_told(slow) -> None:
    threads = [threading.Thread(target=infer, args=(slow,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    # The three hold the model for some 600 ms; a request with 250 ms would have met its deadline alone.
    while "nv_inference_pending_request_count" not in (text := slow.ask("GET", "/metrics").body.decode()) \
            or 'nv_inference_pending_request_count{model="slow",version="1"} 3.0' not in text:
        assert any(thread.is_alive() for thread in threads)
    answer = infer(slow, **{"Aisle-Deadline-Ms": "250"})
    assert answer.status == 503 and "of waiting" in answer.error
    for thread in threads:
        thread.join()


def test_the_requests_own_timeout_and_the_header_count_whichever_is_nearer(slow) -> None:
    for _ in range(4):
        infer(slow)
    body = {**BODY, "parameters": {"timeout": 50_000}}
    assert slow.ask("POST", "/v2/models/slow/infer", body, {"Aisle-Deadline-Ms": "60000"}).status == 503
    body = {**BODY, "parameters": {"timeout": 60_000_000}}
    assert slow.ask("POST", "/v2/models/slow/infer", body, {"Aisle-Deadline-Ms": "50"}).status == 503
