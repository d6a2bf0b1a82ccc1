"""The first thing to run (< 10 s): a server starts, answers one model over a real socket, and stops cleanly."""

import asyncio
import json
from pathlib import Path

import aiohttp
import numpy as np
from aisle.models.make.onnx_models import identity
from aisle.runtime.app import App
from aisle.runtime.config import Config, RepositoryConfig, ServerConfig


async def test_one_model_over_one_socket(tmp_path: Path) -> None:
    (tmp_path / "identity" / "1").mkdir(parents=True)
    identity(tmp_path / "identity" / "1" / "model.onnx", (3,), "float32")
    app = App(Config(server=ServerConfig(port=0), repository=RepositoryConfig(path=str(tmp_path), poll_s=0)))
    await app.start()
    try:
        while app.repository.starting:
            await asyncio.sleep(0.01)
        async with aiohttp.ClientSession(app.address) as client:
            async with client.get("/v2/health/ready") as answer:
                assert answer.status == 200
            body = {"inputs": [{"name": "INPUT0", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}
            async with client.post("/v2/models/identity/infer", data=json.dumps(body)) as answer:
                assert (await answer.json())["outputs"][0]["data"] == [1, 2, 3]
            async with client.get("/healthz") as answer:
                assert (await answer.json())["ready"] is True
            async with client.get("/metrics") as answer:
                assert 'nv_inference_request_success{model="identity",version="1"} 1.0' in await answer.text()
        assert np.isfinite(app.repository.get("identity").stats.overhead_ns)
    finally:
        await app.stop()
