"""Each kind of layer: gradients, trajectories and a training step, compared with PyTorch and JAX of another
interpreter.

    python -m benchmarks.layers [--peer PYTHON] [--rounds 5] [--only 'NAME;NAME'] [--json FILE]

For each network and backend: the largest error of its gradients against central differences in float64, relative to
the largest gradient; the largest relative difference of 20 losses from the NumPy backend's in float64; and µs per
training step (float32, Adam, batches of 256, one thread), the median of the rounds, in which all take turns. PyTorch
is compiled with a fused Adam; JAX is one jitted scan over the steps.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

BATCH, STEPS, FEATURES, COLUMNS, CLASSES, WIDTH, UNITS = 256, 40, 32, 8, 10_000, 16, 64
SIZES = dict(batch=BATCH, steps=STEPS, features=FEATURES, columns=COLUMNS, classes=CLASSES, width=WIDTH, units=UNITS)
BACKENDS = "numpy", "numba"
PEERS = {"PyTorch eager": "layers_torch.py", "PyTorch compiled": "layers_torch.py", "JAX": "layers_jax.py"}


def networks(dtype: str, backend: str) -> dict[str, tuple[Any, str]]:
    """Return, by name, the network and the data that it reads."""
    import dnnkit as dk

    activation = "relu" if dtype == "float32" else "tanh"  # finite differences fail at kinks

    def end(h: Any) -> Any:
        return dk.Dense(1)(dk.Dense(UNITS, activation)(h))

    def halves(x: Any, merge: Any) -> Any:
        return end(merge([dk.Dense(UNITS)(x), dk.Dense(UNITS)(x)]))

    made = {
        "Dense alone": lambda x: end(x),
        "BatchNormalization": lambda x: dk.Dense(1)(
            dk.ReLU()(dk.BatchNormalization()(dk.Dense(UNITS, use_bias=False)(x)))
        ),
        "LayerNormalization": lambda x: dk.Dense(1)(dk.ReLU()(dk.LayerNormalization()(dk.Dense(UNITS)(x)))),
        "RMSNormalization": lambda x: dk.Dense(1)(dk.ReLU()(dk.RMSNormalization()(dk.Dense(UNITS)(x)))),
        "PReLU": lambda x: dk.Dense(1)(dk.PReLU()(dk.Dense(UNITS)(x))),
        "Scale": lambda x: end(dk.Scale()(x)),
        "GaussianNoise": lambda x: end(dk.GaussianNoise(0.1)(x)),
        "PeriodicEmbedding": lambda x: end(dk.Flatten()(dk.PeriodicEmbedding(16, 8)(x))),
        "Add": lambda x: halves(x, dk.Add()),
        "Multiply": lambda x: halves(x, dk.Multiply()),
        "Concatenate": lambda x: halves(x, dk.Concatenate()),
        "NTK": lambda x: dk.Dense(1, parametrization="ntk")(dk.Dense(UNITS, "relu", parametrization="ntk")(x)),
        "l2": lambda x: dk.Dense(1)(dk.Dense(UNITS, "relu", kernel_regularizer="l2")(x)),
        "Embedding": lambda x: end(dk.Flatten()(dk.Embedding(CLASSES, WIDTH)(x))),
        "OneHot, 100 classes": lambda x: end(dk.OneHot(100)(x)),
    }
    given = {"Embedding": "classes", "OneHot, 100 classes": "few"}
    nets = {}
    for name, write in made.items():
        x = dk.Input((COLUMNS if name in given else FEATURES,))
        net = dk.Model(x, write(x), seed=0, backend=backend, num_threads=1, dtype=dtype)
        net.compile(dk.Adam(1e-3), "mean_squared_error")
        nets[name] = net, given.get(name, "x")
    return nets


def data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, CLASSES, (BATCH * STEPS, COLUMNS))
    x, y = rng.normal(size=(BATCH * STEPS, FEATURES)).astype("float32"), rng.normal(size=(BATCH * STEPS, 1))
    return {"x": x, "y": y.astype("float32"), "classes": classes, "few": classes % 100}


def exactness(given: dict[str, Any], only: list[str] | None = None) -> dict[str, dict[str, dict[str, float]]]:
    """Return errors of gradients and differences of losses, by network and backend."""
    import dnnkit as dk

    found: dict[str, dict[str, dict[str, float]]] = {}
    losses: dict[str, list[float]] = {}
    for backend in BACKENDS:
        for name, (net, which) in networks("float64", backend).items():
            if only is not None and name not in only:
                continue
            x, y = given[which][: BATCH * 20], given["y"][: BATCH * 20]
            error = dk.check_gradients(net, x[:32], y[:32], samples=40).largest
            steps = [net.train_step(x[s : s + BATCH], y[s : s + BATCH]) for s in range(0, len(x), BATCH)]
            expected = losses.setdefault(name, steps)
            difference = max(abs(a / b - 1) for a, b in zip(steps, expected, strict=True))
            found.setdefault(name, {})[backend] = {"gradient_error": error, "loss_difference": difference}
    return found


def timed(net: Any, x: Any, y: Any) -> float:
    """Return the seconds per step."""
    executable = net.executable
    executable.begin_epoch(executable.load(x.astype("float32"), y, None), np.arange(len(x)), BATCH)
    hyperparameters = net.optimizer.hyperparameters(executable.state.step, STEPS)
    start = perf_counter()
    executable.run_steps(0, STEPS, hyperparameters)
    return (perf_counter() - start) / STEPS


def peers(python: str) -> dict[str, "subprocess.Popen[str]"]:
    here = Path(__file__).parent
    return {
        who: subprocess.Popen(
            [python, here / script, json.dumps(SIZES), who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for who, script in PEERS.items()
    }


def asked(peer: "subprocess.Popen[str]", name: str) -> float | None:
    """Return the seconds per step of the peer's network with that name, or None."""
    assert peer.stdin is not None
    assert peer.stdout is not None
    peer.stdin.write(f"{name}\n")
    peer.stdin.flush()
    return json.loads(peer.stdout.readline())


def table(found: dict[str, dict[str, Any]], who: list[str]) -> str:
    lines = ["| layer | gradient error, NumPy and Numba | losses, Numba to NumPy | " + " | ".join(who) + " |"]
    lines.append("| --- | ---: | ---: |" + " ---: |" * len(who))
    for name, each in found.items():
        errors = " ".join(f"{each[backend]['gradient_error']:.0e}" for backend in BACKENDS)
        cells = [f"{each['us_per_step'][one]:.0f}" if one in each["us_per_step"] else "" for one in who]
        lines.append(f"| {name} | {errors} | {each['numba']['loss_difference']:.0e} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="a Python interpreter with PyTorch and JAX", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="names of networks, separated by semicolons", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    given = data()
    only = options.only.split(";") if options.only else None
    found: dict[str, dict[str, Any]] = dict(exactness(given, only))
    ours = {backend: networks("float32", backend) for backend in BACKENDS}
    others = peers(options.peer) if options.peer else {}
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in found}
    for round_number in range(options.rounds + 1):
        for name in found:
            taken: dict[str, float | None] = {}
            for backend, nets in ours.items():
                net, which = nets[name]
                if round_number == 0:
                    net.fit(given[which], given["y"], batch_size=BATCH, verbose=0)
                taken[backend] = timed(net, given[which], given["y"])
            for who, peer in others.items():
                taken[who] = asked(peer, name)
            if round_number:  # the first is a warm-up
                for who, one in taken.items():
                    if one is not None:
                        seconds[name].setdefault(who, []).append(one)
    for peer in others.values():
        peer.terminate()
    for name, by in seconds.items():
        found[name]["us_per_step"] = {who: 1e6 * median(each) for who, each in by.items()}
    print(table(found, ["numba", "numpy", *others]))
    if options.json:
        options.json.write_text(
            json.dumps({"sizes": SIZES, "rounds": options.rounds, "layers": found}, indent=1) + "\n"
        )


if __name__ == "__main__":
    sys.exit(main())
