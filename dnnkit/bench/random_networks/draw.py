"""Drawing random networks. Each depends on the seed and its number alone, so a larger set starts with the same ones.

Networks have 1 to 4 hidden layers of 8 to 1,024 units, 4 to 1,024 features, 1 to 100 outputs (2 or more for classes)
and batches of 8 to 1,024 rows. The number of layers is uniform, the others log-uniform; activation, optimizer, loss
and dtype are drawn uniformly from those below. A network whose step takes more than `MOST_FLOPS` is drawn again.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dnnkit.bench.peers.works import LAST, WORDS, Dtype, Work, product_flops, sample_flops, update_bytes

DEPTHS = 1, 4
UNITS = 8, 1024
FEATURES = 4, 1024
OUTPUTS = 1, 100
BATCHES = 8, 1024
ACTIVATIONS = "relu", "tanh", "sigmoid", "gelu", "silu"
RATES = {"sgd": 1e-2, "momentum": 1e-2, "adam": 1e-3, "adamw": 1e-3}
"""Optimizers and their learning rates."""
LOSSES = tuple(LAST)
DTYPES: dict[Dtype, str] = {"float32": "f32", "float64": "f64"}
"""Dtypes and their abbreviations in names."""

MOST_FLOPS = 4e9
STEP, FLOPS_PER_SECOND, BYTES_PER_SECOND = 10e-6, {"float32": 80e9, "float64": 40e9}, 10e9
"""Cost model of a step: seconds, FLOP rates, byte rate; fixed, so that the choice does not depend on the machine."""
LARGEST = 32 << 20
"""Maximum bytes of an epoch's samples, unless four batches are more."""
FEWEST_STEPS, MOST_STEPS = 4, 500
"""Limits of the steps per epoch."""


class Recipe(NamedTuple):
    """A network as drawn."""

    widths: tuple[int, ...]
    batch_size: int
    activation: str
    optimizer: str
    loss: str
    dtype: Dtype

    @property
    def name(self) -> str:
        """Its name, such as `370-96-10 sigmoid AdamW f64 b512`."""
        sizes, optimizer = "-".join(map(str, self.widths)), WORDS.get(self.optimizer, self.optimizer)
        return f"{sizes} {self.activation} {optimizer} {DTYPES[self.dtype]} b{self.batch_size}"

    @property
    def step_flops(self) -> int:
        """FLOPs of the matrix products of one step."""
        return self.batch_size * sample_flops(self.widths)


def networks(count: int, seed: int, seconds: float) -> list[Work]:
    """Return the first `count` networks of a seed, with the samples and epochs that a fast library trains in
    `seconds`.

    Arguments:
        count: number of networks.
        seed: an integer, 0 or more.
        seconds: length of a measurement, estimated from FLOPs and bytes.
    """
    return [_work(draw(np.random.default_rng([seed, number])), seconds) for number in range(count)]


def draw(rng: np.random.Generator) -> Recipe:
    """Draw one network."""
    while True:
        loss = str(rng.choice(LOSSES))
        hidden = [_log_uniform(rng, UNITS) for _ in range(rng.integers(DEPTHS[0], DEPTHS[1], endpoint=True))]
        outputs = max(_log_uniform(rng, OUTPUTS), 2 if loss == "sparse_categorical_crossentropy" else 1)
        recipe = Recipe(
            (_log_uniform(rng, FEATURES), *hidden, outputs),
            _log_uniform(rng, BATCHES),
            str(rng.choice(ACTIVATIONS)),
            str(rng.choice(list(RATES))),
            loss,
            list(DTYPES)[rng.integers(len(DTYPES))],
        )
        if recipe.step_flops <= MOST_FLOPS:
            return recipe


def _log_uniform(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    """Draw an integer within the inclusive bounds."""
    low, high = bounds
    return min(high, int(low * ((high + 1) / low) ** rng.random()))


def _work(recipe: Recipe, seconds: float) -> Work:
    """Return the network with its learning rate, samples and epochs."""
    rate, size = RATES[recipe.optimizer], recipe.batch_size
    step = Work(recipe.name, recipe.name, learning_rate=rate, samples=size, **recipe._asdict())
    guess = STEP + product_flops(step) / FLOPS_PER_SECOND[step.dtype] + update_bytes(step) / BYTES_PER_SECOND
    row_bytes = recipe.widths[0] * np.dtype(recipe.dtype).itemsize
    steps, most = seconds / guess, min(MOST_STEPS, LARGEST // (row_bytes * size))
    per_epoch = max(FEWEST_STEPS, min(round(steps), most))
    return replace(step, samples=per_epoch * size, counted=max(1, round(steps / per_epoch)))
