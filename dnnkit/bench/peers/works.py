"""Workloads as data: network, training, amount of data, dnnkit's targets; and the arithmetic lower bound.

`dnnkit bench` imports the networks, the neuron and the FLOP counts from here, because this folder cannot import
dnnkit.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count, pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Dtype = Literal["float32", "float64"]

FLOAT_BYTES = 4
TRAFFIC = {"adam": 7, "adamw": 7, "momentum": 5, "sgd": 3}
"""Numbers that an update reads and writes per parameter: p, g, m, v and p, m, v; p, g, v and p, v; or p, g and p."""
MOMENTUM = 0.9
WEIGHT_DECAY = 0.01
"""Weight decay of AdamW. All peers use Adam's defaults otherwise: 0.9, 0.999 and 1e-8."""

LAST = {"sparse_categorical_crossentropy": "softmax", "binary_crossentropy": "sigmoid", "mean_squared_error": "linear"}
"""Losses and the activation of the last layer. All are means over the rows, and over the outputs of a row except for
the first, whose targets are class numbers."""

WORDS = {"relu": "ReLU", "adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
"""Spelling of names in titles, where it differs."""

OWN = "dnnkit"
FLOOR = "floor"
BEST = "best peer"


@dataclass(frozen=True)
class Target:
    """A goal: at least `factor` times as fast as a peer; for the floor, at most `factor` times as slow."""

    against: str
    factor: float


class Recipe(NamedTuple):
    """A dense network and how it is trained."""

    widths: tuple[int, ...]
    activation: str
    optimizer: str
    batch_size: int

    @property
    def name(self) -> str:
        """The name that users type: `784-128-10 relu adam batch 32`."""
        return f"{'-'.join(map(str, self.widths))} {self.activation} {self.optimizer} batch {self.batch_size}"

    @property
    def title(self) -> str:
        """The title in reports: `784-128-10, ReLU, Adam, batch 32`."""
        sizes, *words = self.name.split(" ", 3)
        return ", ".join([sizes, *(WORDS.get(word, word) for word in words)])

    @property
    def step_flops(self) -> int:
        """FLOPs of the matrix products of one step."""
        return self.batch_size * sample_flops(self.widths)


SMALL = Recipe((784, 128, 10), "relu", "adam", 32)
WIDE = Recipe((784, 512, 10), "relu", "adam", 128)
DEEP = Recipe((784, 512, 512, 10), "relu", "adam", 128)
SIGMOID = Recipe((784, 50, 10), "sigmoid", "sgd", 100)
DIGITS = Recipe((64, 128, 10), "tanh", "adam", 32)
NETWORKS = {recipe.name: recipe for recipe in (SMALL, WIDE, DEEP, SIGMOID, DIGITS)}


@dataclass(frozen=True)
class Work:
    """One workload to time.

    `kind` is train (an epoch), predict (`size` rows in one call), neuron (`size` iterations), gemm (a product of
    `size` by `size` matrices) or copy (`size` numbers). `counted` repetitions are timed (epochs all in one call),
    after an untimed one. Pixels that are `standardized` are never zero. `axis` names the quantity that grows, `value`
    is its value. `loss` is one of `LAST`, which determines the last activation.
    """

    name: str
    title: str
    kind: str = "train"
    widths: tuple[int, ...] = SMALL.widths
    activation: str = SMALL.activation
    optimizer: str = SMALL.optimizer
    learning_rate: float = 1e-3
    batch_size: int = SMALL.batch_size
    samples: int = 60_000
    standardized: bool = False
    loss: str = "sparse_categorical_crossentropy"
    dtype: Dtype = "float32"
    counted: int = 5
    size: int = 0
    targets: tuple[Target, ...] = ()
    axis: str = ""
    value: int = 0

    @property
    def steps(self) -> int:
        """Updates per epoch; the last batch may be smaller."""
        return -(-self.samples // self.batch_size)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(inputs * outputs + outputs for inputs, outputs in layers(self.widths))

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Work":
        """Return the workload that `to_json` described."""
        targets = tuple(Target(**target) for target in values["targets"])
        return cls(**{**values, "widths": tuple(values["widths"]), "targets": targets})


class Network(NamedTuple):
    """A peer's network for a workload."""

    train: Callable[[int], float]
    """Train for a number of epochs, each on every sample once, in `epoch_order`; return the last epoch's loss, the
    mean over the samples, before each update.

    The work is complete when it returns.
    """
    predict: Callable[[NDArray[Any]], NDArray[Any]]
    """Return probabilities (N, C) for rows (N, F), both NumPy arrays."""
    plan: str = ""
    """How the peer executes it, if known."""


def _training(name: str, recipe: Recipe, *targets: Target, **fields: Any) -> Work:
    return Work(name, recipe.title, targets=targets, **recipe._asdict(), **fields)


AS_THEY_ARE = (
    _training("1", SMALL, Target("jax", 2.0), Target("torch", 6.0), Target(FLOOR, 1.8)),
    _training("2", WIDE, Target("jax", 1.4), Target("torch", 2.0), Target(FLOOR, 1.3)),
    _training("3", DEEP, Target(BEST, 1.3), Target(FLOOR, 1.35)),
    _training("4", SIGMOID, Target(BEST, 2.0), learning_rate=0.1),
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
"""The first four on data without zeros, because dnnkit skips zeros in products."""

WORKS = AS_THEY_ARE + STANDARDIZED

PRODUCT = Work("gemm", "matrix product", "gemm", size=2048, counted=10)
COPY = Work("copy", "copy", "copy", size=1 << 26, counted=10)
"""The machine's limits, measured in the same run."""

NEURON_X = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], np.float64)
NEURON_Y = np.array([[0], [1], [1], [0]], np.float64)
NEURON_WEIGHTS = np.array([[-0.16595599], [0.44064899], [-0.99977125]])
"""One neuron without a bias, in float64, that learns a truth table: the first input. The loss is half the sum of
squared errors, the learning rate 1."""


def repeated(epoch: Callable[[], float]) -> Callable[[int], float]:
    """Return `Network.train` for a peer that trains one epoch per call and shuffles itself."""

    def train(epochs: int) -> float:
        loss = float("nan")
        for _ in range(epochs):
            loss = epoch()
        return loss

    return train


def in_order(epoch: Callable[[NDArray[np.int64]], float], samples: int) -> Callable[[int], float]:
    """Return `Network.train` for a peer that trains one epoch per call in a given order."""
    numbers = count()
    return repeated(lambda: epoch(epoch_order(samples, next(numbers))))


def choose(names: str | None) -> list[Work]:
    """Return the workloads whose names start with one of the comma-separated prefixes; None for all."""
    if names is None:
        return list(WORKS)
    given = [name.strip() for name in names.split(",")]
    unknown = [name for name in given if not any(work.name.startswith(name) for work in WORKS)]
    if unknown or "" in given:
        wrong = ", ".join(unknown) or repr(names)
        raise SystemExit(f"unknown works {wrong}: choose from {', '.join(work.name for work in WORKS)}")
    return [work for work in WORKS if work.name.startswith(tuple(given))]


def growth_works() -> Iterator[Work]:
    """Yield workloads that differ in one quantity: width, depth, batch or samples."""

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
    """Return (inputs, outputs) of each layer."""
    return list(pairwise(widths))


def initial_weights(work: Work) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return each layer's kernel (in, out), Glorot uniform, and zero bias: the same for all peers."""
    rng = np.random.default_rng(0)
    result = []
    for inputs, outputs in layers(work.widths):
        bound = (6 / (inputs + outputs)) ** 0.5
        kernel = rng.uniform(-bound, bound, (inputs, outputs)).astype(work.dtype)
        result.append((kernel, np.zeros(outputs, work.dtype)))
    return result


def epoch_order(samples: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of the samples in an epoch, counted from 0, as in a dnnkit network with seed 0."""
    return np.random.default_rng([2, epoch, 0]).permutation(samples)


def sample_flops(widths: tuple[int, ...]) -> int:
    """Return the FLOPs of the matrix products that train a network on one sample.

    Each weight costs 2 in the forward pass, 2 for its gradient and, except in the first layer, 2 for the gradient of
    the layer's input.
    """
    first, *others = (inputs * outputs for inputs, outputs in layers(widths))
    return 4 * first + 6 * sum(others)


def product_flops(work: Work) -> int:
    """Return the FLOPs of an epoch's matrix products."""
    return work.samples * sample_flops(work.widths)


def update_bytes(work: Work) -> int:
    """Return the bytes that the updates of an epoch read and write."""
    return work.steps * work.parameters * TRAFFIC[work.optimizer] * np.dtype(work.dtype).itemsize


def arithmetic_floor(work: Work, flops_per_second: float) -> float:
    """Return the lower bound of the seconds per epoch: its products at the given rate."""
    return product_flops(work) / flops_per_second
