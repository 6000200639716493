"""One neuron, trained by the delta rule: three inputs, four rows, no bias."""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.errors import TrainingWarning
from tests.notes.figure import figure

X = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], np.float64)
FIRST_COLUMN = np.array([[0, 1, 1, 0]], np.float64).T
SECOND_COLUMN = np.array([[0, 1, 0, 1]], np.float64).T
NEW_ROW = np.array([[1, 0, 1]], np.float64)
DRAWS = 20

ELSEWHERE = """
import sys
sys.modules["dnnkit"] = None  # as where it is not installed: to import it is an error
from runpy import run_path
import numpy as np
np.save("predictions.npy", run_path("neuron.py")["predict"](np.load("samples.npy")))
"""

Run = tuple[dk.Sequential, np.ndarray]
"""A trained network, and its predictions before the last update."""


def uniform(seed: int, units: int = 1) -> np.ndarray:
    """Draw numbers (3, units) from 0 to 1, as the notes do."""
    return np.random.RandomState(seed).random_sample((3, units))


def neuron(weights: np.ndarray, activation: str = "sigmoid") -> dk.Sequential:
    """Return a neuron with these weights; several in parallel if there are several columns."""
    net = dk.Sequential([dk.Dense(weights.shape[1], activation=activation, use_bias=False)], dtype="float64")
    net.build(3)
    net.parameters["dense/kernel"] = weights
    net.compile(dk.SGD(1.0), "sum_squared_error")
    return net


def train(net: dk.Sequential, y: np.ndarray, iterations: int) -> Run:
    def fit(steps: int) -> None:
        net.fit(X, y, batch_size=4, steps=steps, steps_per_epoch=steps, shuffle=False, verbose=0)

    if iterations > 1:
        fit(iterations - 1)
    before = net.predict(X)
    fit(1)
    return net, before


def once_a_backend(compute: Callable[[], Any]) -> Callable[[], Any]:
    """Results that several figures share are computed once per backend."""
    of_backend = cache(lambda backend: compute())
    return lambda: of_backend(dk.get_backend().name)


def weights_of(net: dk.Sequential) -> np.ndarray:
    return net.parameters["dense/kernel"]


def to_numpy(array: Any) -> np.ndarray:
    return dk.get_backend().to_numpy(array)


# -- the delta rule --------------------------------------------------------------------------------------------------


@once_a_backend
def one_iteration() -> Run:
    return train(neuron(2 * uniform(1) - 1), FIRST_COLUMN, 1)


@once_a_backend
def ten_thousand() -> Run:
    return train(neuron(2 * uniform(1) - 1), FIRST_COLUMN, 10_000)


@once_a_backend
def nine_thousand_from_many_draws() -> Run:
    return train(neuron(2 * uniform(0, DRAWS) - 1), np.repeat(FIRST_COLUMN, DRAWS, axis=1), 9_000)


@figure("weights before training", (-0.16595599, 0.44064899, -0.99977125), 1e-8)
def initial_weights():
    return weights_of(neuron(2 * uniform(1) - 1))


@figure("predictions before the first update", (0.2689864, 0.3262757, 0.23762817, 0.36375058), 1e-8)
def first_predictions():
    return one_iteration()[1]


@figure("weights after 1 iteration", (0.12025406, 0.50456196, -0.85063774), 1e-8)
def weights_after_one():
    return weights_of(one_iteration()[0])


@figure("weights after 10,000 iterations", (9.67299303, -0.20784350, -4.62963669), 1e-8)
def weights_after_ten_thousand():
    return weights_of(ten_thousand()[0])


@figure("predictions before the last of 10,000 updates", (0.00966449, 0.99211957, 0.99358898, 0.00786506), 1e-8)
def predictions_after_ten_thousand():
    return ten_thousand()[1]


@figure("weights after 21 runs of 10,000 iterations", (12.75534063, -0.20389065, -6.17401716), 2e-5, long=True)
def weights_after_21_runs():
    return weights_of(train(neuron(2 * uniform(1) - 1), FIRST_COLUMN, 21 * 10_000)[0])


@figure("largest error after 9,000 iterations from 20 draws", 0.02, relation="<=")
def error_from_any_draw():
    return np.abs(nine_thousand_from_many_draws()[0].predict(X) - FIRST_COLUMN).max()


@figure("prediction for the new row [1, 0, 1], least of 20 draws", 0.99, relation=">=")
def new_row():
    return nine_thousand_from_many_draws()[0].predict(NEW_ROW).min()


@figure("prediction for the new row [1, 0, 1] after 10,000 iterations", 0.99, relation=">=")
def new_row_after_ten_thousand():
    return ten_thousand()[0].predict(NEW_ROW)


@figure("predictions after 9,000 iterations without the inputs in the update", (0.362, 0.638, 0.425, 0.575), 5e-4)
def without_inputs():
    weights = 2 * uniform(1) - 1
    for _ in range(9_000):
        p = to_numpy(dk.ops.sigmoid(X @ weights))
        weights = weights + ((FIRST_COLUMN - p) * to_numpy(dk.ops.sigmoid_grad_from_output(p))).sum()
    return to_numpy(dk.ops.sigmoid(X @ weights))


@figure("targets (0, 1, 0, 1): least sure prediction after 300 iterations from 20 draws", 0.93, relation=">=")
def other_targets():
    net, _ = train(neuron(2 * uniform(0, DRAWS) - 1), np.repeat(SECOND_COLUMN, DRAWS, axis=1), 300)
    return 1 - np.abs(net.predict(X) - SECOND_COLUMN).max()


# -- other activations -----------------------------------------------------------------------------------------------


@once_a_backend
def tanh() -> Run:
    return train(neuron(2 * uniform(5) - 1, "tanh"), FIRST_COLUMN, 300)


@figure("tanh: weights after 300 iterations", (2.70951758, 0.18477801, 0.32502783), 1e-8)
def tanh_weights():
    return weights_of(tanh()[0])


@figure("tanh: predictions before the last of 300 updates", (-0.31320288, 0.97585834, 0.98313877, -0.46634753), 1e-8)
def tanh_predictions():
    return tanh()[1]


@figure(
    "ReLU, then softmax over the batch: weights after 2,000 iterations", (2001.04892878, 7.6022605, 2000.41343831), 1e-7
)
def relu_and_softmax():
    weights = 2 * uniform(5)
    for _ in range(2_000):
        p = to_numpy(dk.ops.softmax(dk.ops.relu(X @ weights), axis=0))
        weights = weights + X.T @ ((FIRST_COLUMN - p) * to_numpy(dk.ops.step(p)))
    return weights


@once_a_backend
def step() -> tuple[int, float]:
    """Return the warnings when a neuron with the step function is compiled, and its largest gradient."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = neuron(2 * uniform(1) - 1, "step")
    _, gradients = net.get_gradients(X, FIRST_COLUMN)
    return sum(w.category is TrainingWarning for w in caught), np.abs(gradients["dense/kernel"]).max()


@figure("step function: warnings at compile", 1)
def step_warns():
    return step()[0]


@figure("step function: largest gradient", 0)
def step_gradient():
    return step()[1]


# -- other places ----------------------------------------------------------------------------------------------------


@once_a_backend
def script() -> tuple[int, float]:
    """Return the lines of the script for NumPy alone, and the largest difference of its predictions from the
    network's."""
    net, _ = ten_thousand()
    with tempfile.TemporaryDirectory() as folder:
        path = net.to_numpy_source(Path(folder) / "neuron.py")
        np.save(path.with_name("samples.npy"), X)
        subprocess.run([sys.executable, "-I", "-c", ELSEWHERE], cwd=folder, check=True)
        predictions = np.load(path.with_name("predictions.npy"))
        return len(path.read_text().splitlines()), np.abs(predictions - net.predict(X)).max()


@figure("lines of the trained network as a script", 40, relation="<=")
def script_lines():
    return script()[0]


@figure("difference of the script's predictions", 0, 1e-15)
def script_predictions():
    return script()[1]
