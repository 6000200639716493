"""Training on data that are not in memory: speed relative to memory, memory growth, and quality of the mixing.

    python -m benchmarks.streams [--gigabytes 1] [--epochs 3] [--rounds 3] [--folder DIR] [--json FILE]

A .npy file of float32 rows of 784 numbers, and labels, is written to the folder. 784-128-10 and 784-512-512-10 are
trained on it with Adam in batches of 32 and 128: in memory, as a memory map, from the file, from shards, by a
generator that slices a memory map, and, if pyarrow is installed, from Parquet. Each has its own process, in turn.
Seconds per epoch are those of the History, the fastest epoch after the first. Memory is the growth of RssAnon in
/proc/self/status from before the fit to its maximum, polled every 5 ms; it excludes the page cache and memory maps.
The files are in the page cache unless the machine has too little memory, in which case disk reads are included in the
time.

Mixing: for the labels of a sorted file of ten classes, in batches of 32, the variance of a class's count per batch,
divided by that of rows drawn from all. 1 is a perfect shuffle, 32 is none.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dnnkit as dk
from benchmarks.trajectories.environment import environment
from dnnkit.streams.order import EpochOrder

FEATURES, CLASSES, SHARDS = 784, 10, 8
WORKS = {"784-128-10": ((128,), 32), "784-512-512-10": ((512, 512), 128)}
"""Hidden units, and rows per batch."""
WAYS = ("memory", "map", "npy", "shards", "generator", "parquet")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.streams", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--folder", type=Path, help="folder for the files; default: a temporary one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "WORK"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measured(*options.one, options.folder, options.epochs, options.backend)))
        return 0
    with tempfile.TemporaryDirectory(prefix="dnnkit-streams-") as temporary:
        folder = options.folder or Path(temporary)
        rows = write(folder, int(options.gigabytes * 1e9), "parquet" in options.ways)
        results = {work: in_turn(work, folder, options) for work in options.works.split(",")}
    mixing = {f"{block >> 10} KiB blocks": mixed(block) for block in (1 << 14, 1 << 17, 1 << 20)}
    print(table(results, mixing))
    if options.json is not None:
        settings = {name: str(value) for name, value in vars(options).items() if name not in ("json", "one", "folder")}
        found = {"environment": environment(), **settings, "rows": rows, "results": results, "mixing": mixing}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def write(folder: Path, size: int, has_parquet: bool) -> int:
    """Write missing files; return the number of rows of each."""
    rows = size // (4 * FEATURES)
    folder.mkdir(parents=True, exist_ok=True)
    rng, step = np.random.default_rng(0), 1 << 14
    if not (folder / "y.npy").exists():
        x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (rows, FEATURES))
        for first in range(0, rows, step):
            x[first : first + step] = rng.normal(size=(min(step, rows - first), FEATURES))
        x.flush()
        np.save(folder / "y.npy", rng.integers(0, CLASSES, rows))
    x, y = np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy")
    if not (folder / "shards").exists():
        (folder / "shards").mkdir()
        for number, part in enumerate(np.array_split(np.arange(rows), SHARDS)):
            np.save(folder / "shards" / f"x-{number}.npy", x[part[0] : part[-1] + 1])
            np.save(folder / "shards" / f"y-{number}.npy", y[part[0] : part[-1] + 1])
    if has_parquet and find_spec("pyarrow") is not None and not (folder / "x.parquet").exists():
        import pyarrow as pa
        from pyarrow import parquet

        names = [f"x{column}" for column in range(FEATURES)]
        with parquet.ParquetWriter(
            folder / "x.parquet", pa.schema([*((name, pa.float32()) for name in names), ("label", pa.int64())]),
            compression="none", use_dictionary=False,
        ) as file:  # fmt: skip
            for first in range(0, rows, step):
                part = x[first : first + step]
                columns = [*(np.ascontiguousarray(part[:, each]) for each in range(FEATURES)), y[first : first + step]]
                file.write_table(pa.table(dict(zip([*names, "label"], columns, strict=True))))
    return rows


def in_turn(work: str, folder: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return for each way the fastest epoch of all rounds in seconds, and the largest growth in MB."""
    found: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for way in options.ways.split(","):
            if way == "parquet" and not (folder / "x.parquet").exists():
                continue
            command = [sys.executable, "-m", "benchmarks.streams", "--one", way, work, "--folder", str(folder)]
            command += ["--epochs", str(options.epochs), "--backend", options.backend]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            one = json.loads(ran.stdout.splitlines()[-1])
            kept = found.setdefault(way, one)
            found[way] = {"seconds": min(kept["seconds"], one["seconds"]), "MB": max(kept["MB"], one["MB"])}
    return found


def network(work: str, backend: str) -> Any:
    hidden, _ = WORKS[work]
    layers = [dk.Dense(units, activation="relu") for units in hidden]
    net = dk.Sequential([*layers, dk.Dense(CLASSES, activation="softmax")], seed=0, backend=backend)
    net.compile(dk.Adam(1e-3), "sparse_categorical_crossentropy")
    return net


def measured(way: str, work: str, folder: Path, epochs: int, backend: str) -> dict[str, float]:
    """Return the seconds of the fastest epoch after the first, and the growth of anonymous memory in MB."""
    batch, net = WORKS[work][1], network(work, backend)
    small = np.random.default_rng(0).normal(size=(4 * batch, FEATURES)).astype(np.float32)
    net.fit(small, np.zeros(len(small), np.int64), batch_size=batch, epochs=1, verbose=0)  # what is compiled once
    net = network(work, backend)

    def fit() -> Any:
        options: dict[str, Any] = {"epochs": epochs, "verbose": 0}
        if way != "generator":
            options["batch_size"] = batch
        if way == "memory":
            return net.fit(np.load(folder / "x.npy"), np.load(folder / "y.npy"), **options)
        if way == "map":
            return net.fit(np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy"), **options)
        if way == "npy":
            return net.fit(folder / "x.npy", folder / "y.npy", **options)
        if way == "shards":
            return net.fit(folder / "shards" / "x-*.npy", folder / "shards" / "y-*.npy", **options)
        if way == "parquet":
            return net.fit(folder / "x.parquet", "label", **options)
        x, y = np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy", mmap_mode="r")
        return net.fit(slices(x, y, batch), steps_per_epoch=len(x) // batch, **options)

    history, growth = watched(fit)
    return {"seconds": min(history.seconds[1:] or history.seconds), "MB": growth / 1e6}


def slices(x: NDArray[Any], y: NDArray[Any], batch: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield batches endlessly."""
    while True:
        for first in range(0, len(x) - batch + 1, batch):
            yield x[first : first + batch], y[first : first + batch]


def watched(work: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result of `work`, and the maximum growth of anonymous memory in bytes."""
    start, most, ended = anonymous(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.005):
            most = max(most, anonymous())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    result = work()
    ended.set()
    watcher.join()
    return result, max(most, anonymous()) - start


def anonymous() -> int:
    """Return the bytes of anonymous resident memory."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise OSError("this system does not report anonymous memory")


def mixed(block: int, batch: int = 32, buffer: int = 64 << 20, row: int = 4 * FEATURES, chunks: int = 16) -> float:
    """Return the variance of a class's count in batches of a sorted file, relative to a perfect shuffle."""
    size = buffer // row // batch * batch
    rows = chunks * size
    labels = np.arange(rows) * CLASSES // rows
    order = EpochOrder(rows, None, max(1, block // row), rows, True, 0, 0)
    counts = list[NDArray[np.int64]]()
    for chunk in range(chunks):
        spans = order.spans(chunk * size, (chunk + 1) * size)
        read = np.concatenate([np.arange(first, first + count) for first, count in spans])
        shown = labels[read[order.mixed(chunk, size, batch)]].reshape(-1, batch)
        counts += [(shown == label).sum(axis=1) for label in range(CLASSES)]
    share = 1 / CLASSES
    return float(((np.concatenate(counts) - batch * share) ** 2).mean() / (batch * share * (1 - share)))


def table(results: dict[str, dict[str, dict[str, float]]], mixing: dict[str, float]) -> str:
    lines = [f"{'':16}{'':12}{'s/epoch':>9}{'speed':>8}{'MB more':>9}"]
    for work, ways in results.items():
        memory = ways.get("memory", {}).get("seconds", float("nan"))
        for way, one in ways.items():
            lines.append(f"{work:16}{way:12}{one['seconds']:9.2f}{memory / one['seconds']:8.2f}{one['MB']:9.0f}")
    lines += [f"variance of class counts, {name}: {value:.3f}" for name, value in mixing.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
