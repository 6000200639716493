"""The backend that `DNNKIT_BACKEND` names: sigmoid, softmax cross-entropy, weight updates and whole steps.

Each is run fused, as the backend does it, and unfused: by the kernel's formula, one array operation after another in
the backend's array library. Results are compared before anything is timed. Names of tests do not include the backend,
so that saved runs of two backends can be compared row by row; docs/benchmarking.md shows the commands.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnnkit.backends import Backend, get_backend
from dnnkit.backends.measures import Loss
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Program
from dnnkit.bench.peers.works import NETWORKS
from dnnkit.bench.steps import make
from dnnkit.bench.timing import waits_for
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES

SIZES = {"16 thousand": 1 << 14, "4 million": 1 << 22}
"""Numbers in an array: within a processor's caches, and beyond them."""
CLASSES, STEPS = 10, 20
TOLERANCE = 2e-5


class Unfused:
    """Mixin that removes a backend's kernels: every operation is computed by its formula."""

    activation = Operations.activation
    activation_backward = Operations.activation_backward
    dense = Operations.dense
    dense_backward = Operations.dense_backward
    loss = Operations.loss
    metric = Operations.metric
    update = Operations.update

    def unsupported_reason(self, program: Program) -> str:
        return "one array operation after another, to compare with"


@pytest.fixture(scope="module")
def fused() -> Backend:
    return get_backend()


@pytest.fixture(params=["fused", "unfused"])
def chosen(request: pytest.FixtureRequest, fused: Backend) -> Backend:
    """Return the current backend, with and without its kernels."""
    if request.param == "fused":
        return fused
    kind = type(f"Unfused{type(fused).__name__}", (Unfused, type(fused)), {})
    unfused: Backend = kind(fused.address.partition(":")[2] or None)
    return unfused


def measure(benchmark: Any, backend: Backend, group: str, call: Callable[[], Any], expected: Any) -> None:
    """Time a call whose first result is as expected, up to rounding."""
    finish = waits_for(backend)

    def run() -> Any:
        result = call()
        finish()
        return result

    benchmark.group = group
    with backend.on_device(), np.errstate(all="ignore"):
        found = backend.to_numpy(run())
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
        benchmark(run)


def numbers(size: int, seed: int) -> np.ndarray:
    return np.resize(np.random.default_rng(seed).normal(size=4099).astype(np.float32), size)


@pytest.mark.parametrize("size", SIZES)
def test_sigmoid(benchmark: Any, chosen: Backend, size: str) -> None:
    x = numbers(SIZES[size], 0).reshape(-1, 128)
    given, out = chosen.asarray(x), chosen.buffer(x.shape, chosen.dtype("float32"))
    sigmoid = registry.activation("sigmoid")
    expected = 1 / (1 + np.exp(-x))
    measure(benchmark, chosen, f"sigmoid, {size}", lambda: chosen.activation(sigmoid, given, out=out), expected)


@pytest.mark.parametrize("size", SIZES)
def test_softmax_cross_entropy(benchmark: Any, chosen: Backend, size: str) -> None:
    """Compare and time the summed loss and its gradient."""
    rows = SIZES[size] // CLASSES
    scores, labels = numbers(rows * CLASSES, 1).reshape(rows, CLASSES), np.arange(rows) % CLASSES
    given, targets = chosen.asarray(scores), chosen.asarray(labels)
    out = chosen.buffer(scores.shape, chosen.dtype("float32"))
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(CLASSES)[labels]
    loss = Loss("softmax_cross_entropy", "labels", "sum")

    def call() -> Any:
        return chosen.loss(loss, given, targets, None, 1.0, out=out)[1]

    measure(benchmark, chosen, f"softmax cross-entropy of {CLASSES} classes, {size}", call, expected)


@pytest.mark.parametrize("size", SIZES)
def test_weight_update(benchmark: Any, chosen: Backend, size: str) -> None:
    """Time Adam's update, with a learning rate of 0 so that parameters do not change."""
    parameter, gradient = numbers(SIZES[size], 2), numbers(SIZES[size], 3)
    rule, constants = RULES["adam"], (0.9, 0.999, 1e-7)
    slots = [np.zeros_like(parameter) for _ in rule.slots]
    moved, _ = chosen.update(
        rule,
        1,
        *(chosen.asarray(a.copy()) for a in (parameter, gradient)),
        [chosen.asarray(a) for a in slots],
        1e-3,
        *constants,
    )
    np.testing.assert_allclose(chosen.to_numpy(moved), parameter - 1e-3 * np.sign(gradient), atol=TOLERANCE)
    held, slope, *kept = (chosen.asarray(a.copy()) for a in (parameter, gradient, *slots))

    def call() -> Any:
        return chosen.update(rule, 2, held, slope, kept, 0.0, *constants)[0]

    measure(benchmark, chosen, f"weight update by Adam, {size}", call, parameter)


@pytest.mark.parametrize("name", [name for name, recipe in NETWORKS.items() if len(recipe.widths) == 3])
def test_steps(benchmark: Any, chosen: Backend, fused: Backend, name: str) -> None:
    """Time whole training steps; fused as `fit` runs them on the backend."""
    recipe = NETWORKS[name]
    trained, other = (make(recipe, backend, STEPS) for backend in (chosen, fused))
    run, run_other = (each.epoch(recipe.batch_size, STEPS) for each in (trained, other))
    run()
    run_other()
    assert trained.loss == pytest.approx(other.loss, rel=1e-3)
    finish = waits_for(chosen)

    def steps() -> None:
        run()
        finish()

    benchmark.group = f"{STEPS} steps of {name}"
    benchmark.extra_info |= {"steps": STEPS, "plan": trained.net.executable.plan.execution}
    benchmark.pedantic(steps, rounds=10, warmup_rounds=1)
    assert np.isfinite(trained.loss)
