"""Every odd or hostile picture gets an answer or a clean refusal, and the server keeps neither it nor its memory."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[5] / "shared" / "data"))
ARCHIVES = sorted((DATA / "images_odd").glob("*.zip"))


def resident(pid: int) -> int:
    """Bytes of memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) << 10


@pytest.mark.skipif(not ARCHIVES, reason="no odd pictures here: ../shared/data/images_odd or $AISLE_DATA")
def test_every_odd_picture_gets_an_answer_and_memory_stays(station_server, pictures):
    odd = [(name, archive.read(name)) for archive in map(zipfile.ZipFile, ARCHIVES)
           for name in archive.namelist() if not name.endswith("/")]
    sizes = []
    for _ in range(2):
        for name, body in odd:
            reply = station_server.ask("/v1/inspect/flange", body)
            if reply.status != 200:
                assert 400 <= reply.status < 500, (name, reply)
                assert set(reply.json) == {"error"} and len(reply.json["error"]) > 20, (name, reply)
        sizes.append(resident(station_server.process.pid))
    assert station_server.process.poll() is None
    assert sizes[1] < sizes[0] + (32 << 20)    # the second round finds all buffers made
    assert station_server.ask("/v1/inspect/flange", pictures.good[0].read_bytes()).json["verdict"] == "pass"
