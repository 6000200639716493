"""Measure examples/serve.py under uvicorn, with and without batching: `python -m benchmarks.serving`.

Clients are connections of one other process; each sends its next row after receiving the answer to the last. Rounds
of both modes take turns. The figures are those of docs/serving.md.
"""

import argparse
import asyncio
import importlib.util
import json
import multiprocessing
import statistics
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import uvicorn

import dnnkit as dk

NETWORKS = {"64-128-10": (64, 128, 10), "784-2048-2048-10": (784, 2048, 2048, 10)}
WAYS = {"one by one": 1, "batches": 256}


def example() -> Any:
    """Return the example's `application`."""
    spec = importlib.util.spec_from_file_location("serve", Path(__file__).parents[1] / "examples" / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.application


async def client(port: int, request: bytes, end: float, times: list[float]) -> None:
    """Send a request repeatedly over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while perf_counter() < end:
        start = perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        if b"transfer-encoding: chunked" in head.lower():
            await reader.readuntil(b"0\r\n\r\n")
        else:
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        times.append(perf_counter() - start)
    writer.close()


def clients(port: int, features: int, count: int, seconds: float, result: Any) -> None:
    """Run clients in a process: requests per second, and the median and 99th percentile of their milliseconds."""
    row = np.random.default_rng(0).random((1, features)).round(4).tolist()
    body = json.dumps({"x": row}).encode()
    request = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    times: list[float] = []

    async def all_of_them() -> None:
        end = perf_counter() + seconds
        await asyncio.gather(*(client(port, request, end, times) for _ in range(count)))

    start = perf_counter()
    asyncio.run(all_of_them())
    rate = len(times) / (perf_counter() - start)
    result.put((rate, 1e3 * statistics.median(times), 1e3 * statistics.quantiles(times, n=100)[-1]))


def measured(app: Any, features: int, count: int, seconds: float) -> tuple[float, float, float]:
    """Serve the application, and run clients."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    process = context.Process(target=clients, args=(port, features, count, seconds, result))
    process.start()
    found = result.get(timeout=60 + seconds)
    process.join()
    server.should_exit = True
    thread.join()
    return found


def main(seconds: float, rounds: int, path: Path | None) -> None:
    """Measure and print both modes, for each network and number of clients."""
    application, rows = example(), []
    for name, (features, *hidden, classes) in NETWORKS.items():
        layers = [dk.Dense(units, activation="relu") for units in hidden]
        net = dk.Sequential([*layers, dk.Dense(classes, activation="softmax")], seed=0)
        net.build((features,))
        net.predict(np.zeros((256, features), "float32"))
        for count in (1, 16, 64):
            found: dict[str, list[Any]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way, most in WAYS.items():
                    found[way].append(measured(application(net, most), features, count, seconds))
            for way, samples in found.items():
                rate, middle, slow = (statistics.median(one) for one in zip(*samples, strict=True))
                rows.append({"network": name, "clients": count, "way": way, "samples": samples})
                print(f"| {name} | {count} | {way} | {rate:,.0f} | {middle:.2f} | {slow:.2f} |", flush=True)
    if path is not None:
        path.write_text(json.dumps({"seconds": seconds, "rounds": rounds, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    main(given.seconds, given.rounds, given.json)
