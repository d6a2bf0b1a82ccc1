"""No server at all: the calls that every peer makes, in a loop. Lines `name seconds` in, `calls cpu_seconds` out."""

import sys
import time

import numpy as np
from peer_models import _SIDE, CALLS

with open(sys.argv[1], "rb") as file:
    BODIES = {"identity": bytes(64), "net": np.zeros(3 * _SIDE * _SIDE, np.float32).tobytes(), "image": file.read()}

print("ready", flush=True)
for line in sys.stdin:
    name, seconds = line.split()
    call, body, count = CALLS[name], BODIES[name], 0
    cpu, end = time.process_time(), time.perf_counter() + float(seconds)
    begin = time.perf_counter()
    while time.perf_counter() < end:
        call(body)
        count += 1
    print(count / (time.perf_counter() - begin), (time.process_time() - cpu) / count, flush=True)
