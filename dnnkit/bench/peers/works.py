"""The works as data: which network, trained how, on how much, and what dnnkit aims at; and the floor's arithmetic."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOAT_BYTES = 4
TRAFFIC = {"adam": 7, "sgd": 3}
"""Numbers an update reads and writes for each parameter: p, g, m, v and p, m, v; or p, g and p."""

OWN = "dnnkit"
FLOOR = "floor"
BEST = "best peer"


@dataclass(frozen=True)
class Target:
    """At least `factor` times as fast as a peer; against the floor, at most `factor` times as slow."""

    against: str
    factor: float


@dataclass(frozen=True)
class Work:
    """One thing to time.

    `kind` is train (an epoch), predict (`size` rows in one call), neuron (`size` iterations), gemm (a product of
    `size` by `size` matrices) or copy (`size` numbers). `counted` repetitions count (epochs, one after the other, as
    one), after one that does not. Of `standardized` pixels none is zero. `axis` says what grows, `value` how far.
    """

    name: str
    title: str
    kind: str = "train"
    widths: tuple[int, ...] = (784, 128, 10)
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    batch_size: int = 32
    samples: int = 60_000
    standardized: bool = False
    counted: int = 5
    size: int = 0
    targets: tuple[Target, ...] = ()
    axis: str = ""
    value: int = 0

    @property
    def steps(self) -> int:
        """Updates an epoch; the last batch may be smaller."""
        return -(-self.samples // self.batch_size)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(inputs * outputs + outputs for inputs, outputs in layers(self.widths))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Work":
        """What `to_json` gave."""
        targets = tuple(Target(**target) for target in values["targets"])
        return cls(**{**values, "widths": tuple(values["widths"]), "targets": targets})


class Network(NamedTuple):
    """What a peer makes for a work."""

    train: Callable[[int], float]
    """Train so many epochs, on every sample once in each, in a new order each time; returns the last epoch's mean over
    the samples of the loss before each update.

    When it returns, the work is done, not only begun.
    """
    predict: Callable[[NDArray[Any]], NDArray[Any]]
    """Probabilities (N, C) of rows (N, F), from a NumPy array to a NumPy array."""
    plan: str = ""
    """How the peer runs it, where it tells."""


AS_THEY_ARE = (
    Work(
        "1",
        "784-128-10, ReLU, Adam, batch 32",
        targets=(Target("jax", 2.0), Target("torch", 6.0), Target(FLOOR, 1.8)),
    ),
    Work(
        "2",
        "784-512-10, ReLU, Adam, batch 128",
        widths=(784, 512, 10),
        batch_size=128,
        targets=(Target("jax", 1.4), Target("torch", 2.0), Target(FLOOR, 1.3)),
    ),
    Work(
        "3",
        "784-512-512-10, ReLU, Adam, batch 128",
        widths=(784, 512, 512, 10),
        batch_size=128,
        targets=(Target(BEST, 1.3), Target(FLOOR, 1.35)),
    ),
    Work(
        "4",
        "784-50-10, sigmoid, SGD, batch 100",
        widths=(784, 50, 10),
        activation="sigmoid",
        optimizer="sgd",
        learning_rate=0.1,
        batch_size=100,
        targets=(Target(BEST, 2.0),),
    ),
    Work(
        "5", "784-128-10, ReLU, Adam, batch 1, 6,000 samples", batch_size=1, samples=6_000, targets=(Target(BEST, 1.2),)
    ),
    Work(
        "6",
        "one neuron, 10,000 full-batch iterations, float64",
        "neuron",
        size=10_000,
        counted=10,
        targets=(Target("numpy", 50.0), Target(BEST, 1.0)),
    ),
    Work("7a", "predict 1 row, 784-128-10", "predict", size=1, counted=3_000, targets=(Target(BEST, 1.0),)),
    Work("7b", "predict 60,000 rows, 784-128-10", "predict", size=60_000, counted=5, targets=(Target(BEST, 1.0),)),
)

STANDARDIZED = tuple(
    replace(work, name=f"s{work.name}", title=f"{work.title}, standardized pixels", standardized=True)
    for work in AS_THEY_ARE[:4]
)
"""The first four again on data without zeros, which dnnkit leaves out of products."""

WORKS = AS_THEY_ARE + STANDARDIZED

PRODUCT = Work("gemm", "matrix product", "gemm", size=2048, counted=10)
COPY = Work("copy", "copy", "copy", size=1 << 26, counted=10)
"""What the machine can do, measured in the same run."""

NEURON_X = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], np.float64)
NEURON_Y = np.array([[0], [1], [1], [0]], np.float64)
NEURON_WEIGHTS = np.array([[-0.16595599], [0.44064899], [-0.99977125]])
"""The notes' neuron, in their float64; the loss is half the sum of squared errors, the learning rate 1."""


def repeated(epoch: Callable[[], float]) -> Callable[[int], float]:
    """`Network.train` of a peer that trains one epoch a call."""

    def train(epochs: int) -> float:
        loss = float("nan")
        for _ in range(epochs):
            loss = epoch()
        return loss

    return train


def choose(names: str | None) -> list[Work]:
    """The works whose names begin with one of those listed, separated by commas; None for all."""
    if names is None:
        return list(WORKS)
    given = [name.strip() for name in names.split(",")]
    unknown = [name for name in given if not any(work.name.startswith(name) for work in WORKS)]
    if unknown or "" in given:
        wrong = ", ".join(unknown) or repr(names)
        raise SystemExit(f"unknown works {wrong}: choose from {', '.join(work.name for work in WORKS)}")
    return [work for work in WORKS if work.name.startswith(tuple(given))]


def growth_works() -> Iterator[Work]:
    """Networks that differ in one thing: width, depth, batch or samples."""

    def work(axis: str, value: int, **fields: Any) -> Work:
        return Work(f"{axis}-{value}", f"{axis} {value:,}", axis=axis, value=value, **{"batch_size": 128, **fields})

    for width in (32, 64, 128, 256, 512, 1024, 2048):
        yield work("width", width, widths=(784, width, 10), samples=12_800)
    for depth in range(1, 7):
        yield work("depth", depth, widths=(784, *[256] * depth, 10), samples=12_800)
    for batch in (1, 4, 16, 64, 256, 1024, 4096):
        yield work("batch", batch, batch_size=batch, samples=min(16_384, 2_048 * batch))
    for samples in (1_000, 3_000, 10_000, 30_000, 60_000):
        yield work("samples", samples, samples=samples)


def layers(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    """(inputs, outputs) of each layer."""
    return list(pairwise(widths))


def initial_weights(work: Work) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Kernel (in, out), Glorot uniform, and bias, zero, of each layer: the same for all peers."""
    rng = np.random.default_rng(0)
    result = []
    for inputs, outputs in layers(work.widths):
        bound = (6 / (inputs + outputs)) ** 0.5
        kernel = rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32)
        result.append((kernel, np.zeros(outputs, np.float32)))
    return result


def product_flops(work: Work) -> int:
    """FLOPs of an epoch's matrix products.

    Each weight costs 2 a sample in the forward pass, 2 for its gradient and, except in the first layer, 2 for the
    gradient in the layer's input.
    """
    sizes = [inputs * outputs for inputs, outputs in layers(work.widths)]
    return work.samples * (4 * sizes[0] + 6 * sum(sizes[1:]))


def update_bytes(work: Work) -> int:
    """Bytes that an epoch's updates read and write."""
    return work.steps * work.parameters * TRAFFIC[work.optimizer] * FLOAT_BYTES


def arithmetic_floor(work: Work, flops_per_second: float) -> float:
    """Seconds an epoch cannot be shorter than, if no product is faster than the fastest one known."""
    return product_flops(work) / flops_per_second
