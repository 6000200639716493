"""Networks built on the stand-in for CuPy, and how to run them."""

from typing import Any

import dnnkit as dk
from tests.backends.networks import CASES, Case, data

ADAM = CASES["relu sigmoid tanh, softmax, sparse, adam"]
DROPOUT = CASES["leaky_relu elu, dropout, softmax, categorical, rmsprop"]


def ready(case: Case, backend: str = "cupy", weights: Any = None) -> tuple[dk.Sequential, Any]:
    x, labels = data()
    net = case.network(backend, "float32")
    net.build(x.shape[1:])
    return net, net.executable.load(x, case.targets(labels), weights)


def steps(net: dk.Sequential, first: int, last: int) -> None:
    net.executable.run_steps(first, last, net.optimizer.hyperparameters(net.executable.state.step, last - first))


def parameters(net: dk.Sequential) -> bytes:
    return b"".join(value.tobytes() for value in net.parameters.values())
