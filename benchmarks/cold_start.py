"""Time of a process that has compiled nothing yet, from its start to the end of its first epoch.

    python -m benchmarks.cold_start [--rounds 1] [--package FOLDER] [--json FILE]

The workloads use digits, each in its own process: the first training with an empty cache, in float32 and in float64;
then another kind of network (GELU, tanh, dropout, RMSprop); the first prediction of many rows without a training; a
second process that trains again. If JAX is installed, a JAX process trains the first network too. Before them, the
processor time of imports and of `dnnkit --help` is measured: minimum and median over interleaved processes, compared
with NumPy's import. `--package` is the folder of another copy of dnnkit to compare with. Only runs that are
interleaved can be compared.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.trajectories.environment import code, environment

HERE = Path(__file__).parents[1]

DNNKIT = """
import sys
import dnnkit as dk
from dnnkit.datasets import digits
kind, dtype = sys.argv[1:]
(x, y), _ = digits.load_data()
first = [dk.Dense(128, activation="relu"), dk.Dense(10, activation="softmax")]
other = [dk.Dense(64, activation="gelu"), dk.Dropout(0.2), dk.Dense(32, activation="tanh"), first[-1]]
net = dk.Sequential([dk.Flatten(), *(other if kind == "other" else first)], backend="numba", dtype=dtype, seed=0)
if kind == "predict":
    net.build(x.shape[1:])
    net.predict(x)
else:
    net.compile("rmsprop" if kind == "other" else "adam", "sparse_categorical_crossentropy", ["accuracy"])
    net.fit(x, y, epochs=1, verbose=0)
"""

PROGRAMS = {
    "import numpy": [sys.executable, "-c", "import numpy"],
    "import dnnkit; dnnkit.Sequential": [sys.executable, "-c", "import dnnkit; dnnkit.Sequential"],
    "import dnnkit": [sys.executable, "-c", "import dnnkit"],
    "dnnkit --help": [sys.executable, "-m", "dnnkit", "--help"],
}
STARTS = 15
"""Processes per program; minimum and median are reported."""

JAX = """
import jax, jax.numpy as jnp
import numpy as np
from dnnkit.datasets import digits
(x, y), _ = digits.load_data()
x, rng = x.reshape(len(x), -1).astype(np.float32), np.random.default_rng(0)
p = [rng.normal(0, 0.1, shape).astype(np.float32) for shape in [(64, 128), (128,), (128, 10), (10,)]]

def loss(p, x, y):
    scores = jax.nn.log_softmax(jax.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3])
    return -jnp.take_along_axis(scores, y[:, None], 1).mean()

def step(state, rows):
    p, m, v, t = state
    g = jax.grad(loss)(p, jnp.asarray(x)[rows], jnp.asarray(y)[rows])
    m = [0.9 * a + 0.1 * b for a, b in zip(m, g)]
    v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g)]
    rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return ([a - rate * b / (jnp.sqrt(c) + 1e-7) for a, b, c in zip(p, m, v)], m, v, t + 1), 0.0

rows = rng.permutation(len(x))[: len(x) // 32 * 32].reshape(-1, 32)
zeros = [jnp.zeros_like(a) for a in p]
epoch = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows)[0])
jax.block_until_ready(epoch((p, zeros, zeros, 1.0), rows))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cold_start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--package", type=Path, default=HERE)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    starts = start_costs(options.package.resolve())
    for program, times in starts.items():
        print(f"{min(times) * 1e3:7.0f} ms, {statistics.median(times) * 1e3:.0f} ms  {program}")
    rounds = [measure(options.package.resolve()) for _ in range(options.rounds)]
    seconds = {work: [each[work] for each in rounds] for work in rounds[0]}
    for work, times in seconds.items():
        print(f"{statistics.median(times):7.2f} s  {work}")
    if options.json:
        kept = {"code": code(), "environment": environment(), "seconds": seconds, "starts": starts}
        options.json.write_text(json.dumps(kept, indent=1) + "\n")


def measure(package: Path) -> dict[str, float]:
    """Return the seconds of each workload, each in a new process."""
    seconds = {}
    with tempfile.TemporaryDirectory() as cache:
        for dtype in ("float32", "float64"):
            seconds[f"first training, {dtype}"] = run(DNNKIT, package, cache, "train", dtype)
        seconds["another network"] = run(DNNKIT, package, cache, "other", "float32")
        seconds["second process"] = run(DNNKIT, package, cache, "train", "float32")
    with tempfile.TemporaryDirectory() as cache:
        seconds["first prediction"] = run(DNNKIT, package, cache, "predict", "float32")
    if importlib.util.find_spec("jax") is not None:
        seconds["first training, JAX"] = run(JAX, package, tempfile.gettempdir())
    return seconds


def start_costs(package: Path) -> dict[str, list[float]]:
    """Return the processor seconds of each process, by program."""
    rounds = [
        {program: processor_time(command, package) for program, command in PROGRAMS.items()} for _ in range(STARTS + 1)
    ]
    return {program: [each[program] for each in rounds[1:]] for program in PROGRAMS}  # the first writes bytecode


def processor_time(command: list[str], package: Path) -> float:
    """Return the seconds of processor time of a process."""

    def total() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = total()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(package)}
    subprocess.run(command, env=environment, cwd=tempfile.gettempdir(), check=True, stdout=subprocess.DEVNULL)
    return total() - before


def run(source: str, package: Path, cache: str, *arguments: str) -> float:
    """Return the seconds of a Python process, up to its last line."""
    from time import perf_counter

    settings: dict[str, Any] = {"PYTHONPATH": str(package), "XDG_CACHE_HOME": cache, "DNNKIT_CACHE_DIR": ""}
    start = perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", source + "\nprint('done', flush=True)", *arguments],
        env={**os.environ, **settings},
        cwd=cache,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        seconds = perf_counter() - start
        _, errors = process.communicate()
    if said != "done\n":
        raise RuntimeError(errors)
    return seconds


if __name__ == "__main__":
    main()
