"""Training data that depend only on their description."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

HELD_OUT = 0.25
"""Number of validation rows, relative to training rows."""


class Rows(NamedTuple):
    """Samples, targets, and sample weights or None."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None


@dataclass(frozen=True)
class Samples:
    """`count` samples of a shape, with targets that depend on them.

    Kinds: "pixels" are uint8 from 0 to 16, mostly 0 and in every seventh column always; "numbers" are float64,
    "single" float32, "whole" int64; "sparse" is float64 with zeros like pixels; "columns" is read-only float64 in
    Fortran order; "table" has the eight corners of a cube, as float64, in turn.
    """

    kind: Literal["pixels", "numbers", "single", "whole", "sparse", "columns", "table"]
    count: int
    shape: tuple[int, ...]
    targets: Literal["labels", "one-hot", "binary", "values"]
    outputs: int

    def draw(self, seed: int) -> tuple[Rows, Rows]:
        """Return rows for training and rows for validation."""
        rng = np.random.default_rng(seed)
        total = self.count + max(1, int(self.count * HELD_OUT))
        x = self._inputs(rng, total)
        y = self._targets(rng, x.reshape(total, -1).astype(np.float64))
        weights = rng.integers(0, 9, total) / 4  # some are 0
        kept, held_out = slice(0, self.count), slice(self.count, total)
        return Rows(x[kept], y[kept], weights[kept]), Rows(x[held_out], y[held_out], weights[held_out])

    def _inputs(self, rng: np.random.Generator, total: int) -> np.ndarray:
        shape = (total, *self.shape)
        if self.kind == "table":
            return (np.arange(total)[:, None] >> np.arange(self.shape[0]) & 1).astype(np.float64)
        if self.kind == "whole":
            return rng.integers(-4, 5, shape)
        if self.kind == "pixels":
            return (rng.integers(0, 17, shape) * self._in_use(rng, shape)).astype(np.uint8)
        x = rng.uniform(-1.5, 1.5, shape)
        if self.kind == "sparse":
            return x * self._in_use(rng, shape)
        if self.kind == "columns":
            x = np.asfortranarray(x)
            x.flags.writeable = False
        return x.astype(np.float32) if self.kind == "single" else x

    @staticmethod
    def _in_use(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        used = (rng.random(shape) < 0.4).reshape(shape[0], -1)
        used[:, ::7] = False
        return used.reshape(shape)

    def _targets(self, rng: np.random.Generator, flat: np.ndarray) -> np.ndarray:
        """Return targets by random directions in the inputs, without matrix products, whose bits depend on the BLAS."""
        directions = rng.uniform(-1, 1, (flat.shape[1], self.outputs))
        scores: Any = sum(column[:, None] * direction for column, direction in zip(flat.T, directions, strict=True))
        scores = scores - scores.mean(axis=0)
        if self.targets == "values":
            return scores / abs(scores).max()
        if self.targets == "binary":
            return (scores > 0).astype(np.float64)
        labels = scores.argmax(axis=1)
        return labels if self.targets == "labels" else np.eye(self.outputs)[labels]
