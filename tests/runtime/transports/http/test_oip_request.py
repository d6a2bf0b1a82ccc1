"""Inference requests in every form, and every way to get one wrong, over a real socket."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest

INFER = "/v2/models/{}/infer"
LENGTH = "Inference-Header-Content-Length"


def tensor(name: str = "INPUT0", shape: tuple[int, ...] = (1, 4), datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def ask(server, model: str, inputs: list[Any], **more: Any):
    return server.ask("POST", INFER.format(model), {"inputs": inputs, **more})


def send_binary(server, model: str, document: dict[str, Any], *blocks: bytes, headers: dict[str, str] | None = None,
                length: str | None = None):
    head = json.dumps(document).encode()
    return server.ask("POST", INFER.format(model), head + b"".join(blocks),
                      {LENGTH: str(len(head)) if length is None else length, **(headers or {})})


def blocks_of(answer) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON part and the binary blocks of a response."""
    if LENGTH not in answer.headers:
        return answer.json, []
    n = int(answer.headers[LENGTH])
    document, rest, found = json.loads(answer.body[:n]), answer.body[n:], []
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        found.append(rest[:size])
        rest = rest[size:]
    assert not rest
    return document, found


NUMBERS = [("FP32", "identity", 16), ("UINT8", "identity_uint8", 4), ("INT8", "identity_int8", 4),
           ("UINT64", "identity_uint64", 4), ("INT64", "identity_int64", 4), ("FP64", "identity_float64", 4),
           ("BOOL", "identity_bool", 4), ("FP16", "identity_float16", 4), ("BF16", "bf16", 4)]
DTYPES = {"FP32": "f4", "UINT8": "u1", "INT8": "i1", "UINT64": "u8", "INT64": "i8", "FP64": "f8", "BOOL": "?",
          "FP16": "f2", "BF16": "u2"}


@pytest.mark.parametrize(("wire", "model", "length"), NUMBERS)
def test_binary_tensors_come_back_bit_for_bit(server, wire: str, model: str, length: int) -> None:
    rng = np.random.default_rng(3)
    if wire == "BOOL":
        sent = rng.random((3, length)) < 0.5
    else:
        sent = np.frombuffer(rng.bytes(3 * length * np.dtype(DTYPES[wire]).itemsize), DTYPES[wire]).reshape(3, length)
    raw = sent.tobytes()
    answer = send_binary(server, model, {"id": "42", "inputs": [tensor(shape=(3, length), datatype=wire, parameters={
        "binary_data_size": len(raw)})], "parameters": {"binary_data_output": True}}, raw)
    document, (block,) = blocks_of(answer)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/octet-stream"
    assert block == raw
    assert document == {"id": "42", "model_name": model, "model_version": "1", "outputs": [
        {"name": "OUTPUT0", "datatype": wire, "shape": [3, length], "parameters": {"binary_data_size": len(raw)}}]}


@pytest.mark.parametrize(("wire", "model", "length"), [n for n in NUMBERS if n[0] not in ("FP16", "BF16")])
def test_json_tensors_come_back(server, wire: str, model: str, length: int) -> None:
    facts = np.iinfo(DTYPES[wire]) if wire[0] in "UI" else None
    data: list[Any] = [facts.min, facts.max, 0, 1] if facts else [True, False, True, True] if wire == "BOOL" else [
        0.1, -1e30, 0, 3]
    data += data[:1] * (length - 4)
    answer = ask(server, model, [tensor(shape=(1, length), datatype=wire, data=[data])])
    output = answer.json["outputs"][0]
    assert answer.headers["Content-Type"] == "application/json" and LENGTH not in answer.headers
    assert output["shape"] == [1, length]
    assert output["data"] == (np.array(data, "f4").astype(float).tolist() if wire == "FP32" else data)
    assert "id" not in answer.json and "parameters" not in output


def test_fp32_is_written_as_the_double_it_equals(server) -> None:
    answer = ask(server, "labelled", [tensor(data=[0.1, 0, 0, 0])])
    assert b"0.10000000149011612" in answer.body


def test_nan_and_infinity_go_both_ways(server) -> None:
    body = b'{"inputs":[{"name":"INPUT0","shape":[1,4],"datatype":"FP32","data":[NaN,Infinity,-Infinity,1]}]}'
    answer = server.ask("POST", INFER.format("labelled"), body)
    assert b"[NaN,Infinity,-Infinity,1.0]" in answer.body, answer.body


@pytest.mark.parametrize(("wire", "model"), [("FP16", "identity_float16"), ("BF16", "bf16")])
def test_half_floats_are_refused_in_json(server, wire: str, model: str) -> None:
    answer = ask(server, model, [tensor(datatype=wire, data=[1, 2, 3, 4])], parameters={"binary_data_output": True})
    assert answer.error == (f"receiving {wire} data via JSON is not supported. Please use the binary data format for "
                            "input INPUT0")
    item = tensor(datatype=wire, parameters={"binary_data_size": 8})
    answer = send_binary(server, model, {"inputs": [item]}, bytes(8))
    assert answer.status == 400 and answer.error.startswith(f"sending {wire} data via JSON is not supported. Please use "
                                                            "the binary data format for output")


def test_strings_in_json_and_binary(server) -> None:
    words = ["a", "żółw", "", "大"]
    answer = ask(server, "text", [tensor(datatype="BYTES", data=words)])
    assert answer.json["outputs"][0]["data"] == words
    raw = b"".join(struct.pack("<I", len(w.encode())) + w.encode() for w in words)
    answer = send_binary(server, "text", {"inputs": [tensor(datatype="BYTES", parameters={
        "binary_data_size": len(raw)})], "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]}, raw)
    assert blocks_of(answer)[1] == [raw]


def test_a_scalar_is_one_element(server) -> None:
    answer = ask(server, "scalar", [tensor(shape=(), datatype="INT32", data=[7])])
    assert answer.json["outputs"][0] == {"name": "OUTPUT0", "datatype": "INT32", "shape": [], "data": [7]}
    item = tensor(shape=(), datatype="INT32", parameters={"binary_data_size": 4})
    answer = send_binary(server, "scalar", {"inputs": [item], "parameters": {"binary_data_output": True}},
                         struct.pack("<i", -5))
    assert blocks_of(answer)[1] == [struct.pack("<i", -5)]


def test_an_empty_dimension_carries_nothing(server) -> None:
    item = tensor(shape=(0, 2), parameters={"binary_data_size": 0})
    answer = send_binary(server, "free", {"inputs": [item], "parameters": {"binary_data_output": True}})
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json" and LENGTH not in answer.headers
    assert answer.json["outputs"] == [{"name": "OUTPUT0", "datatype": "FP32", "shape": [0, 2],
                                       "parameters": {"binary_data_size": 0}}]


def test_json_and_binary_inputs_mix_and_outputs_are_chosen(server) -> None:
    a, b = np.arange(16, dtype="i4"), np.full(16, 5, "i4")
    items = [tensor("INPUT1", (1, 16), "INT32", parameters={"binary_data_size": 64}),
             tensor("INPUT0", (1, 16), "INT32", data=a.tolist())]
    answer = send_binary(server, "simple", {"inputs": items, "outputs": [
        {"name": "OUTPUT1", "parameters": {"binary_data": False}}, {"name": "OUTPUT0"}],
        "parameters": {"binary_data_output": True}}, b.tobytes())
    document, found = blocks_of(answer)
    assert [o["name"] for o in document["outputs"]] == ["OUTPUT1", "OUTPUT0"]
    assert document["outputs"][0]["data"] == (a - b).tolist()
    assert found[1] == (a + b).tobytes(), "binary_data_output holds for listed outputs that say nothing"


def test_two_blocks_lie_in_json_order(server) -> None:
    a, b = np.arange(16, dtype="i4"), np.full(16, 5, "i4")
    size = {"binary_data_size": 64}
    items = [tensor("INPUT1", (1, 16), "INT32", parameters=size), tensor("INPUT0", (1, 16), "INT32", parameters=size)]
    answer = send_binary(server, "simple", {"inputs": items, "parameters": {"binary_data_output": True}},
                         b.tobytes(), a.tobytes())
    assert blocks_of(answer)[1] == [(a + b).tobytes(), (a - b).tobytes()]


def test_large_tensors_survive(server) -> None:
    raw = np.random.default_rng(1).random((100_000, 2)).astype("f4")
    item = tensor(shape=raw.shape, parameters={"binary_data_size": raw.nbytes})
    answer = send_binary(server, "free", {"inputs": [item], "parameters": {"binary_data_output": True}}, raw.tobytes())
    assert blocks_of(answer)[1] == [raw.tobytes()]
    answer = ask(server, "free", [tensor(shape=raw.shape, data=raw[:, :].tolist())])
    assert np.array_equal(np.array(answer.json["outputs"][0]["data"], "f4"), raw.ravel())


@pytest.mark.parametrize("model", ["identity", "one_text", "free"])
def test_raw_binary_requests(server, model: str) -> None:
    raw = np.arange(16, dtype="f4").tobytes()
    answer = server.ask("POST", INFER.format(model), raw, {LENGTH: "0"})
    document, (block,) = blocks_of(answer)
    assert block == (struct.pack("<I", 64) + raw if model == "one_text" else raw)
    assert document["outputs"][0]["shape"] == {"identity": [1, 16], "one_text": [1], "free": [8, 2]}[model]


@pytest.mark.parametrize(("model", "raw", "text"), [
    ("simple", b"", "is for models with one input; 'simple' has 2"),
    ("identity", b"123", "input byte size mismatch for input 'INPUT0' for model 'identity'. Expected 64, got 3"),
    ("free", b"123", "multiple of 8 bytes"), ("text", b"x", "one BYTES element"),
])
def test_raw_binary_requests_that_do_not_fit(server, model: str, raw: bytes, text: str) -> None:
    answer = server.ask("POST", INFER.format(model), raw, {LENGTH: "0"})
    assert answer.status == 400 and text in answer.error


ONES = [1.0] * 4
BAD_REQUESTS: list[tuple[Any, str]] = [
    (b"", "failed to parse the request JSON buffer"),
    (b"{", "failed to parse the request JSON buffer"),
    (b"[1]", "expected an object"),
    (b"\xff\xfe", "failed to parse"),
    (b'{"inputs": NaN}', "expected 'inputs' to be an array"),
    (b'{"id":"\\ud800","inputs":[],"x":NaN}', "failed to parse"),
    (b"[" * 100_000, "failed to parse"),
    (b'{"x":NaN,"y":' + b"[" * 100_000, "failed to parse"),
    ({}, "expected 'inputs' to be an array"),
    ({"inputs": {}}, "expected 'inputs' to be an array"),
    ({"inputs": [1]}, "expected every input to be an object with a 'name'"),
    ({"inputs": []}, "expected 1 inputs but got 0 inputs for model 'labelled'. Got input(s) [], but missing required "
                     "input(s) ['INPUT0']. Please provide all required input(s)."),
    ({"inputs": [tensor("X", data=ONES)]}, "unexpected inference input 'X' for model 'labelled'"),
    ({"inputs": [tensor(data=ONES), tensor(data=ONES)]}, "input 'INPUT0' already exists in request"),
    ({"inputs": [tensor(datatype="INT8", data=ONES)]},
     "inference input 'INPUT0' data-type is 'INT8', but model 'labelled' expects 'FP32'"),
    ({"inputs": [tensor(datatype=7, data=ONES)]}, "data-type is '7'"),
    ({"inputs": [tensor(shape=(1, 5), data=[1] * 5)]},
     "unexpected shape for input 'INPUT0' for model 'labelled'. Expected [-1,4], got [1,5]. "),
    ({"inputs": [tensor(shape=(5, 4), data=[1] * 20)]},
     "inference request batch-size must be <= 4 for 'labelled'"),
    ({"inputs": [tensor(shape=(1, -4), data=ONES)]}, "expected an array of non-negative integers"),
    ({"inputs": [tensor(shape=(1, True), data=ONES)]}, "expected an array of non-negative integers"),
    ({"inputs": [tensor(shape=(2**40, 2**40), data=ONES)]}, "Shape does not match"),
    ({"inputs": [tensor(shape=(1,) * 100 + (4,), data=ONES)]}, "at most 32 dimensions"),
    ({"inputs": [tensor(shape=(0, 2**62, 2**62), data=[])]}, "dimensions of a sensible size"),
    ({"inputs": [{"name": "INPUT0", "datatype": "FP32", "data": ONES}]}, "'shape' of input 'INPUT0'"),
    ({"inputs": [tensor()]}, "Input must set only one of the following fields: 'data', 'binary_data_size' in "
                             "'parameters', 'shared_memory_region' in 'parameters'. But no field is set"),
    ({"inputs": [tensor(data=ONES, parameters={"binary_data_size": 16})]}, "But set 'data' 'binary_data_size'"),
    ({"inputs": [tensor(data=ONES, parameters=[1])]}, "expected 'parameters' of input 'INPUT0' to be an object"),
    ({"inputs": [tensor(data=[1, 2, 3])]}, "Shape does not match true shape of 'data' field"),
    ({"inputs": [tensor(data=["a"] * 4)]}, "expected a number for FP32, got 'a'"),
    ({"inputs": [tensor(data=None)]}, "got 1"),
    ({"inputs": [tensor(parameters={"binary_data_size": 16})]},
     "unexpected size for input 'INPUT0', expecting 16 additional bytes for model 'labelled'"),
    ({"inputs": [tensor(parameters={"binary_data_size": -1})]}, "non-negative integer"),
    ({"inputs": [tensor(parameters={"binary_data_size": "16"})]}, "non-negative integer"),
    ({"inputs": [tensor(data=ONES)], "outputs": [{"name": "Y"}]}, "unexpected inference output 'Y' for model 'labelled'"),
    ({"inputs": [tensor(data=ONES)], "outputs": [{"name": "OUTPUT0"}] * 2}, "asked for twice"),
    ({"inputs": [tensor(data=ONES)], "outputs": 5}, "expected 'outputs' to be an array"),
    ({"inputs": [tensor(data=ONES)], "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": 1}}]}, "true or false"),
    ({"inputs": [tensor(data=ONES)], "id": 7}, "'id' a string"),
    ({"inputs": [tensor(data=ONES)], "parameters": 7}, "expected 'parameters' to be an object"),
    ({"inputs": [tensor(data=ONES)], "parameters": {"triton_x": 1}}, "parameter keys starting with 'triton_' are reserved "
                                                                     "for Triton usage and should not be specified."),
    ({"inputs": [tensor(data=ONES)], "parameters": {"timeout": -1}}, "'timeout'"),
    ({"inputs": [tensor(data=ONES)], "parameters": {"priority": 1.5}}, "'priority'"),
    ({"inputs": [tensor(data=ONES)], "parameters": {"sequence_id": -1}}, "'sequence_id'"),
    ({"inputs": [tensor(data=ONES)], "parameters": {"sequence_id": 1, "sequence_start": 1}}, "'sequence_start'"),
    ({"inputs": [tensor(data=ONES)], "parameters": {"x": []}}, "parameter 'x'"),
    ({"inputs": [tensor(data=ONES)], "parameters": {"binary_data_output": "yes"}}, "true or false"),
]


@pytest.mark.parametrize(("body", "text"), BAD_REQUESTS, ids=range(len(BAD_REQUESTS)))
def test_wrong_requests_get_a_sentence_and_the_connection_lives(server, body: Any, text: str) -> None:
    connection = server.connect()
    answer = server.ask("POST", INFER.format("labelled"), body, connection=connection)
    assert answer.status == 400 and text in answer.error, answer.body
    again = server.ask("POST", INFER.format("labelled"), {"inputs": [tensor(data=ONES)]}, connection=connection)
    assert again.status == 200, "the same connection must serve the next request"
    connection.close()


@pytest.mark.parametrize(("length", "text"), [
    ("abc", "Unable to parse Inference-Header-Content-Length, got: abc"), ("1.5", "got: 1.5"), ("", "Unable to parse"),
    ("-1", "inference header size should be in range (0, {n}), got: -1"),
    ("99999", "inference header size should be in range (0, {n}), got: 99999"), ("9" * 30, "Unable to parse"),
    ("3", "failed to parse the request JSON buffer"),
])
def test_wrong_header_lengths(server, length: str, text: str) -> None:
    document = {"inputs": [tensor(data=ONES)]}
    answer = send_binary(server, "labelled", document, length=length)
    assert answer.status == 400 and text.format(n=len(json.dumps(document))) in answer.error


def test_a_header_length_of_the_whole_body_is_fine(server) -> None:
    assert send_binary(server, "labelled", {"inputs": [tensor(data=ONES)]}).status == 200


def test_blocks_of_the_wrong_size(server) -> None:
    item = tensor(parameters={"binary_data_size": 16})
    answer = send_binary(server, "labelled", {"inputs": [item]}, bytes(12))
    assert answer.error == "unexpected size for input 'INPUT0', expecting 4 additional bytes for model 'labelled'"
    answer = send_binary(server, "labelled", {"inputs": [item]}, bytes(17))
    assert "unexpected additional input data for model 'labelled'" in answer.error
    item = tensor(parameters={"binary_data_size": 12})
    answer = send_binary(server, "labelled", {"inputs": [item]}, bytes(12))
    assert answer.error == ("[request id: <id_unknown>] input byte size mismatch for input 'INPUT0' for model 'labelled'. "
                            "Expected 16, got 12")
    answer = send_binary(server, "labelled", {"id": "seven", "inputs": [item]}, bytes(12))
    assert answer.error.startswith("[request id: seven] ")


def test_integers_out_of_range_are_refused(server) -> None:
    for data in ([300, 0, 0, 0], [-1, 0, 0, 0], [1.5, 0, 0, 0], [2**70, 0, 0, 0]):
        answer = ask(server, "identity_uint8", [tensor(datatype="UINT8", data=data)])
        assert answer.status == 400 and "UINT8" in answer.error


def test_bytes_that_are_no_text_need_binary(server) -> None:
    raw = struct.pack("<I", 1) + b"\xff"
    item = tensor(shape=(1,), datatype="BYTES", parameters={"binary_data_size": 5})
    answer = send_binary(server, "one_text", {"inputs": [item]}, raw)
    assert answer.status == 400 and "not UTF-8" in answer.error
    answer = send_binary(server, "one_text", {"inputs": [item], "parameters": {"binary_data_output": True}}, raw)
    assert blocks_of(answer)[1] == [raw]


def test_unknown_models_and_versions(server) -> None:
    assert ask(server, "nobody", []).error == "Request for unknown model: 'nobody' is not found"
    answer = server.ask("POST", "/v2/models/labelled/versions/9/infer", {"inputs": []})
    assert answer.status == 404 and "version 9 is not found" in answer.error
    assert server.ask("POST", "/v2/models/labelled/versions/v1/infer", {"inputs": []}).status == 404
    answer = server.ask("POST", "/v2/models/labelled/versions/1/infer?a=b", {"inputs": [tensor(data=ONES)]})
    assert answer.status == 200 and answer.json["model_version"] == "1"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compression_both_ways(server, encoding: str) -> None:
    pack, unpack = (gzip.compress, gzip.decompress) if encoding == "gzip" else (zlib.compress, zlib.decompress)
    raw = np.arange(16, dtype="f4").tobytes()
    head = json.dumps({"inputs": [tensor(shape=(1, 16), parameters={"binary_data_size": 64})],
                       "parameters": {"binary_data_output": True}}).encode()
    answer = server.ask("POST", INFER.format("identity"), pack(head + raw),
                        {LENGTH: str(len(head)), "Content-Encoding": encoding, "Accept-Encoding": encoding})
    assert answer.status == 200 and answer.headers["Content-Encoding"] == encoding
    plain = unpack(answer.body)
    n = int(answer.headers[LENGTH])
    assert plain[n:] == raw and json.loads(plain[:n])["model_name"] == "identity"


def test_a_browser_like_wish_compresses_nothing(server) -> None:
    answer = server.ask("POST", INFER.format("labelled"), {"inputs": [tensor(data=ONES)]},
                        {"Accept-Encoding": "gzip, deflate, br"})
    assert answer.status == 200 and "Content-Encoding" not in answer.headers


def test_unknown_and_broken_compression(server) -> None:
    answer = server.ask("POST", INFER.format("labelled"), b"x", {"Content-Encoding": "br"})
    assert answer.status == 501 and answer.headers["Accept-Encoding"] == "gzip, deflate" and "'br'" in answer.error
    answer = server.ask("POST", INFER.format("labelled"), b"not gzip", {"Content-Encoding": "gzip"})
    assert answer.status == 400 and "gzip" in answer.error
    answer = server.ask("POST", INFER.format("labelled"), gzip.compress(b"{}" * 999)[:-9], {"Content-Encoding": "gzip"})
    assert answer.status == 400


def test_a_zip_bomb_is_refused(server) -> None:
    bomb = gzip.compress(b" " * (65 << 20), 9)
    answer = server.ask("POST", INFER.format("labelled"), bomb, {"Content-Encoding": "gzip"})
    assert answer.status == 413 and "decompressed" in answer.error


def test_json_is_bounded_and_binary_is_not(server) -> None:
    answer = server.ask("POST", INFER.format("labelled"), b" " * ((64 << 20) + 1))
    assert answer.status == 413 and "JSON part" in answer.error


def test_a_sequence_reaches_the_model(server) -> None:
    item = tensor("INPUT", (1, 1), "INT32", data=[100])
    def out(**parameters: Any) -> int:
        return int(ask(server, "sequence", [item], parameters=parameters).json["outputs"][0]["data"][0])
    assert out(sequence_id=1000, sequence_start=True, sequence_end=False) == 1101
    assert out(sequence_id=1000, sequence_start=False, sequence_end=True) == 1110
    assert out(sequence_id="line-7", sequence_start=True, sequence_end=True) == 111
    assert out() == 100


@pytest.mark.parametrize("batch", [1, 3])
def test_classification(server, batch: int) -> None:
    item = tensor(shape=(batch, 4), data=[3.3, 0, 9, -1] * batch)
    wish = {"name": "OUTPUT0", "parameters": {"classification": 2, "binary_data": True}}
    document, (block,) = blocks_of(ask(server, "labelled", [item], outputs=[wish]))
    assert document["outputs"][0]["datatype"] == "BYTES" and document["outputs"][0]["shape"] == [batch, 2]
    assert block == batch * b"".join(struct.pack("<I", len(t)) + t for t in (b"9.000000:2:cat", b"3.300000:0:ant"))
    wish["parameters"] = {"classification": 99}
    answer = ask(server, "labelled", [item], outputs=[wish])
    assert answer.json["outputs"][0]["data"][:4] == ["9.000000:2:cat", "3.300000:0:ant", "0.000000:1:bee",
                                                     "-1.000000:3:dog"]


def test_classification_of_integers_and_what_has_no_order(server) -> None:
    wish = {"name": "OUTPUT0", "parameters": {"classification": 2}}
    answer = ask(server, "identity_uint64", [tensor(datatype="UINT64", data=[5, 2**64 - 1, 0, 7])], outputs=[wish])
    assert answer.json["outputs"][0]["data"] == [f"{2**64 - 1}:1", "7:3"]
    for model, wire, data in (("identity_bool", "BOOL", [True] * 4), ("text", "BYTES", ["a"] * 4)):
        answer = ask(server, model, [tensor(datatype=wire, data=data)], outputs=[wish])
        assert answer.status == 400 and f"classification is not supported for output 'OUTPUT0' of datatype {wire}" in \
            answer.error
    answer = ask(server, "labelled", [tensor(data=ONES)],
                 outputs=[{"name": "OUTPUT0", "parameters": {"classification": -1}}])
    assert answer.status == 400


def test_a_failing_model_is_a_500_with_a_sentence(server) -> None:
    answer = ask(server, "failing", [tensor(shape=(1, 1), datatype="INT32", data=[1])])
    assert answer.status == 500 and "fail" in answer.error


def test_a_timeout_in_the_queue_is_a_504(server) -> None:
    from concurrent.futures import ThreadPoolExecutor
    item = tensor(shape=(1, 1), datatype="INT32", data=[1])
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: ask(server, "slow", [item], parameters={"timeout": 1000} if i else {}),
                                   range(8)))
    codes = sorted(a.status for a in answers)
    assert codes[0] == 200 and set(codes) <= {200, 503, 504} and codes[-1] in (503, 504)
    full = [a for a in answers if a.status == 503]
    late = [a for a in answers if a.status == 504]
    refused = "Exceeds maximum queue size", "could not answer within the deadline"
    assert all(a.headers["Retry-After"] and any(text in a.error for text in refused) for a in full)
    assert full or late
    assert all("Request timeout expired" in a.error for a in late)
