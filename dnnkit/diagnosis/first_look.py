"""Checks of samples and targets before the first step, on a sample of rows."""

from collections.abc import Iterator
from functools import cached_property
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Dropout, Rescale
from dnnkit.diagnosis.checks import check, checks_at, warn
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, namespace

ROWS, ELEMENTS = 256, 1 << 18
"""Maximum rows and elements of a sample; a table with more columns than ELEMENTS yields one row."""

ENOUGH = 32
"""Minimum number of rows for statements about their common properties."""

MANY = 100
"""Number of rows that are unlikely to be identical on purpose."""

WHOLE = 1 << 24
"""Maximum number of elements of a table that is checked as a whole, if its sample gives a reason."""

LARGE, SMALL = 20.0, 5e-3
"""Root mean squares above which a column is too large, and below which the largest column is too small. The handwritten
digits, 0 to 16, have 12.6; images from 0 to 1 that are scaled down a second time have 0.003."""

SPREAD = 1000.0
"""Ratio of two columns' standard deviations above which the smaller column is practically ignored."""

LOOKS = 4
"""Maximum number of data sets that are checked per network; loops that fit ever new data have been warned by then."""

KNOWN_BY = 16
"""Stride of the sampled rows that identify data: hashing all of them adds 0.2 ms to each fit on MNIST."""


class Looked:
    """The data sets for which a network has been warned."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def at(self, program: Program, backend: Operations, x: Array, y: Array) -> "FirstLook | None":
        """Check the data and issue warnings; return the sample, or None if no more data sets are checked."""
        if len(self._seen) >= LOOKS:
            return None
        look = FirstLook(program, backend, x, y)
        key = hash((program.loss, look.shape, look.x[::KNOWN_BY].tobytes(), look.y.tobytes()))
        if key not in self._seen:
            warn(checks_at("fit"), look)  # may raise: then the data does not count as checked
            self._seen.add(key)
        look.forget()
        return look


class FirstLook:
    """A sample of checked data, with derived quantities.

    Attributes:
        program: the network.
        y: targets of the sampled rows.
        shape: shape of all samples.
    """

    def __init__(self, program: Program, backend: Operations, x: Array, y: Array) -> None:
        self.program, self._backend, self._all = program, backend, (x, y)
        self.shape = tuple(int(size) for size in x.shape)
        self._rows = max(1, min(ROWS, ELEMENTS // max(1, prod(self.shape[1:]))))
        self.y = self._spread(y, self._rows)

    def _spread(self, array: Array, rows: int) -> NDArray[Any]:
        """Return at most `rows` rows on the host, evenly spread, in order."""
        count = int(array.shape[0])
        step = max(1, count // rows)
        with self._backend.on_device():
            return np.asarray(self._backend.to_numpy(array[: min(count, rows * step) : step, ...]))

    def forget(self) -> None:
        """Free cached arrays: for many networks trained together they would take megabytes."""
        for name in ("x", "inputs", "targets"):
            vars(self).pop(name, None)

    @property
    def samples(self) -> int:
        """Number of all samples."""
        return self.shape[0]

    @cached_property
    def x(self) -> NDArray[Any]:
        """The sampled rows as given, (R, F)."""
        return self._spread(self._all[0], self._rows).reshape(-1, prod(self.shape[1:]))

    @cached_property
    def inputs(self) -> NDArray[Any] | None:
        """The sample as the first dense layer receives it, float64; None if other layers come before it."""
        x = self.x.astype(np.float64)
        if not self.program.is_chain:
            return None
        for stage in self.program.stages:
            match stage:
                case Rescale(scale=scale, offset=offset):
                    x = x * scale + offset
                case Dropout():
                    continue
                case Dense():
                    return x
                case _:
                    return None
        return None

    def constant_columns(self) -> tuple[NDArray[np.bool_], int]:
        """Return which columns are constant, and in how many rows: all rows if the table is small, else the sample."""
        rows = self.x
        if prod(self.shape) <= WHOLE:
            rows = self._spread(self._all[0], self.samples).reshape(self.samples, -1)
        return (rows == rows[:1]).all(axis=0), len(rows)

    @cached_property
    def targets(self) -> NDArray[Any]:
        """Targets as float64 values; evenly spread ones if there are many."""
        y = self._all[1]
        return self._spread(y, max(1, ELEMENTS // max(1, prod(y.shape[1:])))).astype(np.float64)

    @cached_property
    def missing_classes(self) -> list[int]:
        """Classes of several outputs that no sample has; empty if the targets are not classes."""
        loss, outputs, y = self.program.loss, self.program.output_features, self._all[1]
        if loss is None or not isinstance(loss.kernel, str) or outputs < 2:
            return []
        if loss.targets == "labels":
            missing = set(range(outputs)).difference(np.unique(self.y).tolist())
            if missing:  # in the sample
                missing.difference_update(np.unique(self._backend.to_numpy(y)).tolist())
            return sorted(missing)
        if registry.loss(loss.kernel).outputs != "categorical":
            return []
        occurs = self.y.any(axis=0)
        if not occurs.all():
            xp = namespace(y)
            occurs = np.asarray(self._backend.to_numpy(xp.any(xp.astype(y, xp.bool), axis=0)))
        return [int(number) for number in np.flatnonzero(~occurs)]

    @cached_property
    def fits_values(self) -> bool:
        """Whether the loss compares unbounded outputs with the targets as they are."""
        loss = self.program.loss
        return loss is not None and isinstance(loss.kernel, str) and registry.loss(loss.kernel).scores == "values"


# -- samples ---------------------------------------------------------------------------------------------------------


@check("unscaled inputs", "fit")
def unscaled_inputs(look: FirstLook) -> Iterator[str]:
    """Inputs far from 1, such as 0 to 255 without Rescaling, or columns of very different scales."""
    x = look.inputs
    if x is None:
        return
    sizes = np.sqrt(np.mean(x * x, axis=0))
    largest = float(sizes.max())
    span = f"the first layer gets numbers from {x.min():.4g} to {x.max():.4g}"
    if largest > LARGE:
        yield (f"{span}, far beyond -1 to 1: gradients grow with them, and training is slow or diverges. {_cure(look)}")
        return
    if 0 < largest < SMALL:
        cure = "They may be scaled twice: check Rescaling" if _is_rescaled(look) else _STANDARDIZE
        yield f"{span}, close to 0: it hardly learns from them. {cure}"
        return
    spreads = x.std(axis=0)
    if len(x) < ENOUGH or spreads.max() < SPREAD * spreads[spreads > 0].min(initial=inf):
        return
    dense = (np.count_nonzero(x, axis=0) > len(x) / 2) & (spreads > 0)  # sparse columns vary little because they are 0
    if dense.sum() > 1 and spreads[dense].max() >= SPREAD * spreads[dense].min():
        most, least = (np.flatnonzero(dense)[place(spreads[dense])] for place in (np.argmax, np.argmin))
        yield (
            f"column {most} has standard deviation {spreads[most]:.3g}, column {least} {spreads[least]:.3g}: the "
            f"network practically ignores the smaller. {_STANDARDIZE}"
        )


_STANDARDIZE = "Standardize: x = (x - mean) / std, with x.mean(axis=0) and x.std(axis=0) of the training data"


def _is_rescaled(look: FirstLook) -> bool:
    return any(isinstance(stage, Rescale) for stage in look.program.stages[:1])


def _cure(look: FirstLook) -> str:
    """Return how to scale inputs that are too large to about -1 to 1."""
    least, most = float(look.x.min()), float(look.x.max())
    if least < 0 or most > 255 or (look.x != np.floor(look.x)).any():
        return _STANDARDIZE
    scale = 255 if most > 128 else int(most)
    return (
        f"{'Change the first layer to' if _is_rescaled(look) else 'Begin the network with'} dk.Rescaling(1 / {scale})"
    )


@check("constant inputs", "fit")
def constant_inputs(look: FirstLook) -> Iterator[str]:
    """Samples that are all equal, or, in a table with many rows, equal in more than half of its columns."""
    if look.samples < MANY or len(look.x) < 2 or (look.x == look.x[:1]).all(axis=0).mean() <= 0.5:
        return
    constant, rows = look.constant_columns()
    count, columns = int(constant.sum()), len(constant)
    if count == columns:
        yield f"all {rows:,} rows of x are equal: nothing can be learned from them. Check how x was made"
    elif count > columns / 2 and len(look.shape) == 2 and rows == look.samples >= 10 * columns:
        yield (
            f"{count:,} of the {columns:,} columns of x have the same value in all {rows:,} rows: they contain no "
            "information. Check how x was made, or leave them out: x[:, x.std(axis=0) > 0]"
        )


# -- targets ---------------------------------------------------------------------------------------------------------


@check("labels that never occur", "fit")
def missing_labels(look: FirstLook) -> Iterator[str]:
    """Classes among the outputs that no sample has, or a binary target that is the same for all samples."""
    loss, outputs = look.program.loss, look.program.output_features
    missing = look.missing_classes if look.samples >= 20 * outputs else []
    if loss is not None and missing:
        named = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        left = outputs - len(missing)
        cure = "Leave out their columns of y, and narrow the last layer"
        if loss.targets == "labels":
            cure = f"Number the classes 0 to {left - 1}, by np.unique(y, return_inverse=True)[1]; narrow the last layer"
        if left == 1:
            cure = "Give samples of all classes"
        yield (
            f"none of {look.samples:,} samples has class {named}, though the network has {outputs} outputs: "
            f"{len(missing)} of them learn to be 0. {cure}. {_SHUFFLE}"
        )
    if loss is None or not isinstance(loss.kernel, str) or outputs != 1 or look.samples < ENOUGH:
        return
    if registry.loss(loss.kernel).outputs == "binary" and look.targets.min() == look.targets.max():
        yield (
            f"the target is {look.targets.min() + 0.0:g} for all {look.samples:,} samples: the network learns to "
            f"always predict it. Give samples of both classes. {_SHUFFLE}"
        )


_SHUFFLE = "If y was sorted and a part was held out, shuffle x and y before splitting them"


@check("targets out of reach", "fit")
def unreachable_targets(look: FirstLook) -> Iterator[str]:
    """Targets outside the range of the last activation, such as 0 to 255 after a sigmoid."""
    last = look.program.stages[-1] if look.program.stages else None
    if not look.fits_values or not isinstance(last, Dense | Activate) or look.program.head != "linear":
        return
    activation, t = registry.activation(last.activation), look.targets
    low, high = reach(activation)
    slack = 1e-4 * (high - low if high - low < inf else 1.0)
    share = float(((t < low - slack) | (t > high + slack)).mean())
    if share > 0.01:
        ends = f"{low:.4g} to {high:.4g}" if -inf < low < high < inf else f"at least {low:.4g}"
        ends = f"at most {high:.4g}" if low == -inf else ends
        yield (
            f"{share:.0%} of the targets, which go from {t.min():.4g} to {t.max():.4g}, are outside the range of the "
            f"last layer's {activation.name!r}, {ends}: the loss cannot become small. For a regression leave out its "
            "activation, or scale the targets into that range"
        )


def reach(activation: registry.Activation) -> tuple[float, float]:
    """Return the least and the largest output of an activation; infinite if unbounded."""
    if not activation.elementwise:
        return (0.0, 1.0) if activation.gives != "values" else (-inf, inf)
    x = np.concatenate([[-1e4, -100.0, 100.0, 1e4], np.linspace(-8, 8, 321)])
    with np.errstate(all="ignore"):
        y = np.asarray(activation.forward(x))
    if not np.isfinite(y).all():
        return -inf, inf
    return (float(y.min()) if y.min() > -50 else -inf), (float(y.max()) if y.max() < 50 else inf)


@check("accuracy of values", "fit")
def accuracy_of_values(look: FirstLook) -> Iterator[str]:
    """An accuracy on targets that are not classes: many values, some of them outside 0 to 1."""
    accuracies = [m.name for m in look.program.metrics if isinstance(m.kernel, str) and "accuracy" in m.kernel]
    if not accuracies or not look.fits_values or len(look.y) < ENOUGH:
        return
    t = look.targets
    outside = float(((t < 0) | (t > 1)).mean())
    if outside > 0.1 and len(np.unique(t[: 4 * ROWS])) > 8:
        yield (
            f"{', '.join(map(repr, accuracies))} counts right classes, but the targets are values from {t.min():.4g} "
            f"to {t.max():.4g}: it is meaningless for a regression. Use the loss, or 'mean_absolute_error'"
        )
