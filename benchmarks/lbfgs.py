"""L-BFGS compared with other implementations: `python -m benchmarks.lbfgs [--rounds N] [--torch PYTHON] [--json
FILE]`.

Each problem has the same start, in float64, a memory of 10, c₁ = 1e-4, c₂ = 0.9 and one thread, and ends when no
element of the gradient is larger than 1e-6, or after 300 iterations. It is solved by dnnkit on two backends; by
SciPy's L-BFGS-B, which gets loss and gradient from a dnnkit network; and by torch.optim.LBFGS, if `--torch` is an
interpreter with PyTorch. Reported are iterations, evaluations, final loss, and processor seconds (unaffected by other
load), the minimum of several rounds in turn, after one that compiles.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dnnkit as dk
from dnnkit.bench.machine import describe

ITERATIONS, TOLERANCE, PAIRS = 300, 1e-6, 10
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Problem:
    """Data and a network: units of its layers, the activation of all but the last, and the loss."""

    x: NDArray[np.float64]
    y: NDArray[Any]
    units: tuple[int, ...]
    is_classes: bool

    def network(self, backend: str) -> dk.Sequential:
        """Return the network, built and compiled, always with the same start."""
        hidden = [dk.Dense(units, activation="tanh") for units in self.units[:-1]]
        last = dk.Dense(self.units[-1], activation="softmax" if self.is_classes else None)
        net = dk.Sequential([*hidden, last], seed=0, backend=backend, dtype="float64", num_threads=1)
        optimizer = dk.LBFGS(history_size=PAIRS, gradient_tolerance=TOLERANCE, change_tolerance=0)
        net.compile(optimizer, "sparse_categorical_crossentropy" if self.is_classes else "mean_squared_error")
        net.build(self.x.shape[1])
        return net


@dataclass(frozen=True)
class Outcome:
    """Result of one run."""

    iterations: int
    evaluations: int
    loss: float
    seconds: float
    ended: str = ""


def problems() -> dict[str, Problem]:
    """Return the problems by name: sizes, then what is fitted."""
    from sklearn.datasets import load_diabetes, load_digits

    images, digits = load_digits(return_X_y=True)
    table, disease = load_diabetes(return_X_y=True, scaled=True)
    line = np.linspace(-3, 3, 200)[:, None]
    t, place = np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 50))
    heat = np.exp(-((np.pi * 0.4) ** 2) * t) * np.sin(np.pi * place) + np.exp(-((np.pi * 1.2) ** 2) * t) * np.sin(
        3 * np.pi * place
    )
    points = np.stack([t.ravel(), place.ravel()], axis=1)
    return {
        "digits, softmax regression (1,797 x 64-10)": Problem(images / 16, digits, (10,), True),
        "sin 2x (200 x 1-20-20-1)": Problem(line, np.sin(2 * line), (20, 20, 1), False),
        "diabetes table (442 x 10-16-1)": Problem(
            table * 21, (disease[:, None] - disease.mean()) / disease.std(), (16, 1), False
        ),
        "surrogate of a heat equation (2,000 x 2-32-32-1)": Problem(points, heat.reshape(-1, 1), (32, 32, 1), False),
        "digits (1,797 x 64-64-10)": Problem(images / 16, digits, (64, 10), True),
    }


def by_dnnkit(problem: Problem, backend: str) -> Outcome:
    """Run `fit` with L-BFGS."""
    net = problem.network(backend)
    start = time.process_time()
    history = net.fit(problem.x, problem.y, epochs=ITERATIONS, verbose=0)
    seconds = time.process_time() - start
    ended = history.ended or f"{ITERATIONS} iterations"
    return Outcome(len(history.epoch), int(history["evaluations"][-1]), history["loss"][-1], seconds, ended)


def by_scipy(problem: Problem, backend: str) -> Outcome:
    """Run `scipy.optimize.minimize` with a network's `get_gradients`."""
    from scipy.optimize import minimize

    net = problem.network(backend)
    shapes = {name: value.shape for name, value in net.parameters.items()}
    ends = np.cumsum([np.prod(shape) for shape in shapes.values()])

    def loss_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parts = np.split(flat, ends[:-1])
        net.set_parameters({name: p.reshape(shape) for (name, shape), p in zip(shapes.items(), parts, strict=True)})
        loss, gradients = net.get_gradients(problem.x, problem.y)
        return loss, np.concatenate([gradients[name].ravel() for name in shapes])

    first = np.concatenate([np.ravel(value) for value in net.parameters.values()])
    options = {"maxiter": ITERATIONS, "maxfun": 10**6, "maxcor": PAIRS, "gtol": TOLERANCE, "ftol": 0.0, "maxls": 25}
    start = time.process_time()
    found = minimize(loss_and_gradient, first, jac=True, method="L-BFGS-B", options=options)
    return Outcome(int(found.nit), int(found.nfev), float(found.fun), time.process_time() - start, str(found.message))


def by_torch(problem: Problem, python: str, rounds: int) -> list[Outcome]:
    """Run `torch.optim.LBFGS` in a separate process; return one outcome per round, after a warm-up."""
    net = problem.network("numpy")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "problem.npz"
        parameters = {f"parameter_{place}": value for place, value in enumerate(net.parameters.values())}
        np.savez(file, x=problem.x, y=problem.y, classes=problem.is_classes, **parameters)
        numbers = [str(number) for number in (ITERATIONS, TOLERANCE, PAIRS, rounds)]
        command = [python, str(HERE / "lbfgs_torch.py"), str(file), *numbers]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [Outcome(**each) for each in json.loads(done.stdout)]


def measured(rounds: int, python: str | None) -> dict[str, dict[str, Outcome]]:
    """Return outcomes by problem and implementation."""
    ways: dict[str, Callable[[Problem], Outcome]] = {
        "dnnkit, numba": lambda problem: by_dnnkit(problem, "numba"),
        "dnnkit, numpy": lambda problem: by_dnnkit(problem, "numpy"),
        "SciPy, gradients by numba": lambda problem: by_scipy(problem, "numba"),
    }
    found: dict[str, dict[str, Outcome]] = {}
    for name, problem in problems().items():
        outcomes: dict[str, list[Outcome]] = {way: [] for way in ways}
        if python is not None:
            outcomes["PyTorch"] = by_torch(problem, python, rounds)
        for number in range(rounds + 1):
            for way, solve in ways.items():
                outcome = solve(problem)
                if number:  # the first compiles
                    outcomes[way].append(outcome)
        found[name] = {way: min(each, key=lambda outcome: outcome.seconds) for way, each in outcomes.items()}
        print_problem(name, found[name])
    return found


class Looks(dk.Callback):
    """Callback that observes each iteration."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        pass


def cost_of_python(calls: int = 3000) -> dict[str, float]:
    """Return the microseconds of a network so small that its computation is negligible."""
    x = np.linspace(-3, 3, 16)[:, None]
    problem = Problem(x, np.sin(2 * x), (3, 1), False)
    executable = problem.network("numba").executable
    inner, data = executable.within, executable.load(problem.x, problem.y, None)
    numbers = inner.read_trained()

    def asked_for() -> float:
        inner.differentiate_all(data, numbers, 100, lambda: True)
        start = time.process_time()
        for _ in range(calls):
            inner.differentiate_all(data, numbers, 100, lambda: True)
        return (time.process_time() - start) / calls * 1e6

    def fitted(epochs: int, *callbacks: dk.Callback) -> tuple[float, int]:
        net = problem.network("numba")
        start = time.process_time()
        history = net.fit(problem.x, problem.y, epochs=epochs, callbacks=callbacks, verbose=0)
        return (time.process_time() - start) * 1e6, int(history["evaluations"][-1])

    def between(few: int, many: int, *callbacks: dk.Callback) -> tuple[float, float, float]:
        """Return the time per iteration, its evaluations, and the time outside iterations."""
        short, long = (min(fitted(epochs, *callbacks) for _ in range(7)) for epochs in (few, many))
        each = (long[0] - short[0]) / (many - few)
        return each, (long[1] - short[1]) / (many - few), short[0] - few * each

    (alone, evaluations, besides), (seen, *_) = between(10, 1000), between(10, 200, Looks())
    return {
        "an evaluation in fit, all in all": alone / evaluations,
        "an iteration of fit": alone,
        "evaluations in it": evaluations,
        "an iteration that a callback sees": seen,
        "a fit, before its first iteration and after its last": besides,
        "an evaluation that Python asks for": asked_for(),
    }


def print_problem(name: str, outcomes: dict[str, Outcome]) -> None:
    """Print one table."""
    print(
        f"\n{name}\n{'':28}{'iterations':>11}{'evaluations':>12}{'seconds':>9}{'µs/evaluation':>14}{'final loss':>12}"
    )
    for way, one in outcomes.items():
        each = one.seconds / one.evaluations * 1e6
        print(f"{way:28}{one.iterations:11}{one.evaluations:12}{one.seconds:9.3f}{each:14.0f}{one.loss:12.3g}")


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lbfgs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch", help="a Python interpreter with PyTorch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found, python = measured(options.rounds, options.torch), cost_of_python()
    print("\nmicroseconds of a network that hardly computes anything, Numba backend")
    for name, each in python.items():
        print(f"{each:10.1f}  {name}")
    if options.json:
        as_json = {name: {way: asdict(one) for way, one in ways.items()} for name, ways in found.items()}
        about = {"rounds": options.rounds, "python": sys.version.split()[0], "machine": describe()}
        text = json.dumps({**about, "problems": as_json, "microseconds of a small network": python}, indent=1)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
