"""Growth of a training step with the number of ranks: `python -m benchmarks.mpi [--ranks 1,2,4] [--json FILE] [--plot
FILE]`.

The networks are 784-width-10 (ReLU, Adam, float32) of three widths, with batches of 1,024 rows that all ranks share.
`mpiexec` is started once per number of ranks. Every rank measures whole steps of `fit` and, separately, their parts:
the gradient of its rows and the update (processor seconds, which are unaffected by other load), and the sum over
ranks; each is the minimum of several rounds, on the slowest rank. A model is fitted to one rank's measurements:

    T(p) = a + b · rows / p + u + S(p)         a, b: of the gradient; u: update
    S(p) = log2 p · (α + n (β + γ))            short gradients: recursive doubling
         = 2 log2 p · α + (p - 1) / p · n (2 β + γ)   long ones: halved in each round, then gathered

with n bytes of gradient, α seconds per message, β and γ seconds per byte sent and added. α and β are measured here
between two ranks (shared memory), and assumed for two kinds of networks. If there are more ranks than processors,
computation takes proportionally longer: this is what 4 ranks on 2 processors measure.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.backends.processors import processors
from dnnkit.bench.machine import describe
from dnnkit.distributed.reduction import HALVED, Reduction

WIDTHS, BATCH, STEPS, ROUNDS, MESSAGES = (128, 512, 2048), 1024, 4, 9, 200
FEATURES, CLASSES = 784, 10
LARGEST = 256
NETWORKS = {
    "this machine's memory": None,
    "10 Gbit/s Ethernet, 30 µs (assumed)": (30e-6, 1 / 1.25e9),
    "100 Gbit/s InfiniBand, 2 µs (assumed)": (2e-6, 1 / 12.5e9),
}


def network(width: int) -> dk.Sequential:
    layers = [dk.Dense(width, activation="relu"), dk.Dense(CLASSES, activation="softmax")]
    net = dk.Sequential(layers, seed=0, num_threads=1, backend="numba")
    net.compile("adam", "sparse_categorical_crossentropy")
    net.build(FEATURES)
    return net


def least(
    work: Callable[[], Any],
    together: Callable[[], Any],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the seconds of `work`, the minimum of several rounds that ranks begin together."""
    found = math.inf
    for _ in range(rounds):
        together()
        start = clock()
        work()
        found = min(found, clock() - start)
    return found


def measure_rank() -> dict[str, Any]:
    """Return the measurements of this rank."""
    from dnnkit.distributed.mpi import Mpi

    ranks = Mpi()
    together, rng = ranks._world.Barrier, np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, FEATURES)).astype(np.float32)
    y = rng.integers(0, CLASSES, len(x))
    found: dict[str, Any] = {"ranks": ranks.size}
    for width in WIDTHS:
        net = network(width)
        executable = net.executable
        parallel = dk.DataParallel(ranks)
        blocks = parallel.blocks_for(ranks.size)
        whole = min(net.fit(x, y, BATCH, 1, 0, distributed=parallel).seconds[0] for _ in range(ROUNDS))
        data, batch, out = executable.load(x, y, None), np.arange(BATCH), executable.empty_gradient()
        hyper = net.hyperparameters()
        gradients = {}
        for rows in (BATCH, BATCH // 2, BATCH // 4, BATCH // 8, BATCH // 16):
            part = partial(executable.differentiate_part, data, batch[:rows], 0, float(BATCH), out)
            part()
            gradients[rows] = least(part, together, clock=time.thread_time)
        update = least(partial(executable.update_flat, out, hyper), together, clock=time.thread_time)
        sums = Reduction(ranks, ranks.size, partial(np.zeros, len(out), np.float32))
        adding = least(partial(sums.add_up, lambda rank, out: None), together, MESSAGES // 5)
        found[str(width)] = {
            "step": whole / STEPS, "gradient": gradients, "update": update, "sum": adding, "bytes": out.nbytes,
            "blocks": blocks,
        }  # fmt: skip
    if ranks.size == 2:
        found |= link(ranks, together)
    other = np.zeros(1 << 20, np.float32)
    found["gamma"] = least(partial(np.add, other, other, other), together, MESSAGES) / other.nbytes
    return {"all": ranks.all_gather(found)} if ranks.rank == 0 else {"all": ranks.all_gather(found), "silent": True}


def link(ranks: Any, together: Callable[[], Any]) -> dict[str, float]:
    """Return the seconds per message between two ranks, and per byte."""
    seconds = {}
    for length in (1, 1 << 20):
        given, taken = np.zeros(length, np.float32), np.zeros(length, np.float32)
        seconds[length] = least(partial(ranks.exchange, given, 1 - ranks.rank, taken), together, MESSAGES)
    return {"alpha": seconds[1], "beta": (seconds[1 << 20] - seconds[1]) / (4 << 20)}


def slowest(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the times of the slowest rank, for each width."""
    result = {}
    for width in map(str, WIDTHS):
        parts = [each[width] for each in found]
        result[width] = {
            name: max(part[name] for part in parts) for name in ("step", "update", "sum", "bytes", "blocks")
        } | {"gradient": {rows: max(part["gradient"][rows] for part in parts) for rows in parts[0]["gradient"]}}
    return result


def run(ranks: int, mpiexec: str) -> list[dict[str, Any]]:
    """Return the measurements of `ranks` ranks."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "benchmarks.mpi", "--rank", file.name]
        subprocess.run(command, check=True, env=os.environ)
        return list(json.loads(Path(file.name).read_text()))


def adding(ranks: int, size: int, alpha: float, beta: float, gamma: float) -> float:
    """Return S(p)."""
    rounds = math.log2(ranks)
    if size < HALVED:
        return rounds * (alpha + size * (beta + gamma))
    return 2 * rounds * alpha + (ranks - 1) / ranks * size * (2 * beta + gamma)


def model(one: dict[str, Any], alpha: float, beta: float, gamma: float) -> dict[str, Any]:
    """Model the step of 1 ... 256 ranks with its parts, where it is shortest, and where ranks are half idle."""
    rows = np.array([float(count) for count in one["gradient"]])
    b, a = np.polyfit(rows, np.array(list(one["gradient"].values())), 1, w=1 / np.array(list(one["gradient"].values())))
    a, counts = max(a, 0.0), [1 << power for power in range(LARGEST.bit_length())]
    steps = {p: a + b * BATCH / p + one["update"] + adding(p, one["bytes"], alpha, beta, gamma) for p in counts}
    pays = [p for p in counts[1:] if steps[p] < 0.95 * steps[p // 2]]
    efficient = [p for p in counts if steps[1] / (p * steps[p]) >= 0.5]
    return {
        "a": a, "b": b, "u": one["update"], "bytes": one["bytes"], "seconds": steps,
        "pays up to": max(pays, default=1), "half of each rank used up to": max(efficient),
        "speed at best": steps[1] / min(steps.values()),
    }  # fmt: skip


def plot(result: dict[str, Any], path: str) -> None:
    """Plot step time over ranks: measured points, modeled lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    axes = figure.subplots(1, len(WIDTHS))
    about = f"measured, {result['processors']} processors, load {result['machine']['load before']} by other work"
    for axis, width in zip(axes, map(str, WIDTHS), strict=True):
        for (name, lines), color in zip(result["model"].items(), ("#1f6fb4", "#e08214", "#4d9221"), strict=True):
            seconds = lines[width]["seconds"]
            axis.plot([int(p) for p in seconds], [1e3 * s for s in seconds.values()], color=color, label=name)
        measured = {int(p): 1e3 * found[width]["step"] for p, found in result["measured"].items()}
        axis.plot(measured.keys(), measured.values(), "ko", label=about)
        axis.set(xscale="log", yscale="log", title=f"784-{width}-10", xlabel="ranks")
        axis.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
        axis.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel("ms per step of 1,024 rows")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--mpiexec", default=shutil.which("mpiexec") or str(Path(sys.executable).parent / "mpiexec"))
    parser.add_argument("--json")
    parser.add_argument("--plot")
    parser.add_argument("--rank", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        found = measure_rank()
        if "silent" not in found:
            Path(options.rank).write_text(json.dumps(found["all"]))
        return
    runs = {int(count): run(int(count), options.mpiexec) for count in options.ranks.split(",")}
    measured = {count: slowest(found) for count, found in runs.items()}
    alpha = beta = math.nan
    if 2 in runs:
        alpha, beta = (min(each[name] for each in runs[2]) for name in ("alpha", "beta"))
    gamma = min(each["gamma"] for each in runs[1])
    result: dict[str, Any] = {
        "machine": describe(), "processors": processors(), "batch": BATCH, "measured": measured,
        "alpha": alpha, "beta": beta, "gamma": gamma, "model": {},
    }  # fmt: skip
    for name, link_of in NETWORKS.items():
        numbers = link_of or (alpha, beta)
        result["model"][name] = {str(width): model(measured[1][str(width)], *numbers, gamma) for width in WIDTHS}
    report(result)
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    if options.plot:
        plot(json.loads(json.dumps(result)), options.plot)


def report(result: dict[str, Any]) -> None:
    """Print the tables of docs/mpi.md."""
    here = result["model"]["this machine's memory"]
    print(f"message {1e6 * result['alpha']:.1f} µs, {1e-9 / result['beta']:.1f} GB/s\n")
    print("| network | ranks | ms per step | model | gradient of its rows | sum | update |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for width in map(str, WIDTHS):
        for count, found in result["measured"].items():
            part, crowd = found[width], max(1.0, count / result["processors"])
            fit = here[width]
            sums = adding(count, fit["bytes"], result["alpha"], result["beta"], result["gamma"])
            guess = crowd * (fit["a"] + fit["b"] * BATCH / count + fit["u"]) + sums
            gradient = part["gradient"][str(BATCH // count)] if BATCH // count in (1024, 512, 256) else math.nan
            numbers = (part["step"], guess, gradient, part["sum"], part["update"])
            print(f"| 784-{width}-10 | {count} | " + " | ".join(f"{1e3 * number:.2f}" for number in numbers) + " |")
    print("\n| network | link | pays up to | times as fast there | half of each rank used up to |")
    print("| --- | --- | --- | --- | --- |")
    for width in map(str, WIDTHS):
        for name, lines in result["model"].items():
            found = lines[width]
            print(
                f"| 784-{width}-10 | {name} | {found['pays up to']} ranks | {found['speed at best']:.1f} | "
                f"{found['half of each rank used up to']} |"
            )


if __name__ == "__main__":
    main()
