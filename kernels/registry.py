"""Registry of kernels: what each activation, loss and metric promises, its folder, and the versions it has.

A folder in `activations/`, `losses/`, `metrics/` or `stages/` is a kernel of that kind; there is no other list.
Activations and losses registered at run time have no folder, but are found by the same functions.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.errors import BackendUnavailable, UnknownName
from dnnkit.kernels.array import Array, Namespace, namespace
from dnnkit.registry import unknown

FOLDERS = {"activation": "activations", "loss": "losses", "metric": "metrics", "stage": "stages"}
"""Folder of each kind, which holds one folder per kernel. Kernels of no kind are folders of `kernels/` itself."""


@dataclass(frozen=True)
class Activation:
    """An activation y = f(x) with its derivative.

    Attributes:
        name: name of the folder.
        saves: what the backward pass reads: the `"output"` y, so that x may be overwritten, or the `"input"` x, if the
            derivative cannot be computed from y, or not accurately.
        elementwise: False if an element's output depends on others (softmax, along the last axis).
        numpy_source: expressions in x, `math` and NumPy that compute the activation one after the other, for exported
            code that runs without dnnkit.
        reference: the reference version.
    """

    name: str
    saves: Literal["input", "output"]
    elementwise: bool
    numpy_source: tuple[str, ...]
    reference: Any

    def forward(self, x: Array, xp: Namespace = np) -> Array:
        """Return f(x), with x's shape and dtype."""
        return self.reference.forward(x, xp=xp)

    def backward(self, dy: Array, saved: Array, xp: Namespace = np) -> Array:
        """Return the gradient in x, from the gradient in y and the array named by `saves`; all of one shape."""
        if not self.elementwise:
            return self.reference.backward(dy, saved, xp=xp)
        from_output = self.saves == "output"
        slope = self.reference.derivative_from_output if from_output else self.reference.derivative
        return dy * slope(saved, xp=xp)

    @property
    def has_own_slope(self) -> bool:
        """Whether the derivative depends on the element's input alone, so the forward pass can store it."""
        return self.elementwise and self.saves == "input"

    @cached_property
    def has_zero_gradient(self) -> bool:
        """Whether the derivative is zero everywhere, so that nothing before the activation can learn."""
        x = np.linspace(-8.0, 8.0, 129)
        saved = self.forward(x) if self.saves == "output" else x
        return not self.backward(np.ones_like(x), saved).any() if self.elementwise else False

    @cached_property
    def _outputs(self) -> Any:
        """Outputs for inputs of all magnitudes."""
        x = np.concatenate([[-1e4, -100.0, 0.0, 100.0, 1e4, 1.0], np.linspace(-8.0, 8.0, 60)]).reshape(-1, 3)
        with np.errstate(all="ignore"):
            return np.asarray(self.forward(x))

    @cached_property
    def gives_negative(self) -> bool:
        """Whether an output may be below 0."""
        return bool((self._outputs < 0).any())

    @cached_property
    def gives(self) -> Literal["values", "binary", "categorical"]:
        """What a row of outputs can be, as in `Loss.outputs`: any values, or numbers in [0, 1], which may sum to 1.

        Determined by evaluating the activation, so it is known of formulas and user-registered activations, too.
        """
        y = self._outputs
        if not ((y >= 0) & (y <= 1)).all():
            return "values"
        return "binary" if self.elementwise or not np.allclose(y.sum(axis=1), 1) else "categorical"


@dataclass(frozen=True)
class Loss:
    """A loss kernel: `loss_and_gradient(scores, targets, weights, scale) -> (sum, gradient)` in one pass.

    Attributes:
        name: name of the folder.
        reduction: the loss of a batch is the weighted mean of its rows' losses, or their sum.
        scores: what the loss is computed from.
        outputs: what the outputs of a row represent: any values; independent binary answers, with targets in [0, 1]; or
            a choice of one class, with targets that sum to 1.
        takes_labels: whether targets may be class labels (B,) as well as rows (B, K).
        loss_and_gradient: the reference.
        target_range: the range of targets: any, in [0, 1], two numbers for no and yes (0 and 1, or -1 and 1), at least
            0, or above 0.
        over_outputs: the loss of a row is the mean of its outputs' losses, or their sum.
        parameters: names and defaults of the numbers that all versions take after their other arguments.
        columns: number of outputs the loss is for; None for any number.
        at_once: `cpu.py` has `add_up`, which computes all rows, for loops that vectorize even if rows are short; `row`
            computes one of them.
    """

    name: str
    reduction: Literal["mean", "sum"]
    scores: Literal["values", "not negative", "probabilities", "logits"]
    outputs: Literal["values", "binary", "categorical"]
    takes_labels: bool
    loss_and_gradient: Callable[..., tuple[Array, Array]]
    target_range: Literal["any", "shares", "signs", "not negative", "positive"] = "any"
    over_outputs: Literal["mean", "sum"] = "mean"
    parameters: Mapping[str, float] = field(default_factory=dict)
    columns: int | None = None
    at_once: bool = False

    def is_made_for(self, targets: Array, least: float, most: float) -> bool:
        """Return whether finite targets with this minimum and maximum are within `target_range`."""
        match self.target_range:
            case "shares":
                return least >= 0 and most <= 1
            case "signs":
                ends = (targets == least) | (targets == 1)
                return least in (-1, 0, 1) and bool(namespace(targets).all(ends))
            case "not negative":
                return least >= 0
            case "positive":
                return least > 0
        return True


@dataclass(frozen=True)
class Metric:
    """A metric kernel: what it sums over the rows of a batch.

    Attributes:
        name: name of the folder.
        reads: `"predictions"`, or `"scores"`: the output before a head that is fused with the loss, such as logits.
        has_threshold: whether scores are compared with a threshold, which corresponds to a prediction of ½. If no score
            corresponds to it, the metric is given the predictions.
        rows: `rows(scores, targets, threshold, xp)`, one value per row, float64 (B,); the metric is their weighted sum.
        sums: `sums(scores, targets, weights, threshold, xp)`, several weighted sums at once, float64 (S,), instead of
            `rows`. The metric object that uses the kernel computes its value from them.
        count: `count(outputs)`, the number S of sums.
        finish: `finish(sums, weight)`, the value reported for the kernel's own name; by default, the sum over the sum
            of weights.
        higher_is_better: whether larger values are better.
    """

    name: str
    reads: Literal["scores", "predictions"]
    has_threshold: bool
    rows: Callable[..., Array] | None
    sums: Callable[..., Array] | None = None
    count: Callable[[int], int] | None = None
    finish: Callable[..., float] | None = None
    higher_is_better: bool = True

    def number_of_sums(self, outputs: int) -> int:
        """Return the number of sums for a network with this many outputs."""
        return 1 if self.count is None else self.count(outputs)

    def total(self, scores: Array, targets: Array, weights: Array | None, threshold: float, xp: Namespace) -> Array:
        """Return the weighted sum over rows, float64; for a kernel with `count`, all S sums (S,)."""
        if self.rows is None:
            assert self.sums is not None
            sums = self.sums(scores, targets, weights, threshold, xp)
            return xp.reshape(sums, ()) if sums.shape == (1,) else sums
        rows = self.rows(scores, targets, threshold, xp)
        return xp.sum(rows if weights is None else rows * xp.astype(weights, xp.float64))


# -- activations and losses without a folder -------------------------------------------------------------------------

RUNTIME_ACTIVATIONS: dict[str, "RuntimeActivation"] = {}
"""Runtime activations by name; entries are never removed."""


@dataclass(frozen=True)
class RuntimeActivation:
    """Versions of an activation without a folder, with what the files of a folder would hold.

    Attributes:
        saves: as in `Activation`.
        reference: an object with `forward(x, xp)` and `derivative(x, xp)` or `derivative_from_output(y, xp)`, depending
            on `saves`, or `backward(dy, saved, xp)` if not elementwise.
        cpu, gpu: text of `cpu.py` and `gpu.cu`, with functions of those names; "" if there is none.
        numpy_source: empty if it cannot be written as NumPy code.
        elementwise: as in `Activation`.
    """

    saves: Literal["input", "output"]
    reference: Any
    cpu: str = ""
    gpu: str = ""
    numpy_source: tuple[str, ...] = ()
    elementwise: bool = True

    @classmethod
    def of(cls, thing: Any) -> "RuntimeActivation":
        """Wrap an object with `forward` and its derivative, which runs on every backend through its array code."""
        elementwise = hasattr(thing, "derivative") or hasattr(thing, "derivative_from_output")
        from_output = hasattr(thing, "derivative_from_output") or not elementwise
        return cls("output" if from_output else "input", thing, elementwise=elementwise)


def register_activation(name: str, versions: RuntimeActivation) -> None:
    """Make the name refer to this activation in every lookup.

    The caller derives the name from the content (see `dnnkit.formula`), so a name never changes its meaning and code
    compiled for it stays valid.
    """
    RUNTIME_ACTIVATIONS.setdefault(name, versions)


RUNTIME_LOSSES: dict[str, "RuntimeLoss"] = {}
"""Runtime losses by name; entries are never removed."""


@dataclass(frozen=True)
class RuntimeLoss:
    """Versions of a loss without a folder: its description, and the text of `cpu.py` and `gpu.cu`, or ""."""

    loss: Loss
    cpu: str = ""
    gpu: str = ""


def register_loss(versions: RuntimeLoss) -> None:
    """Make the loss's name, which is derived from its content, refer to this loss in every lookup."""
    RUNTIME_LOSSES.setdefault(versions.loss.name, versions)


def runtime_versions(name: str) -> RuntimeActivation | RuntimeLoss | None:
    """Return the versions of an activation or loss that was registered at run time, or None."""
    return RUNTIME_ACTIVATIONS.get(name) or RUNTIME_LOSSES.get(name)


# -- lookup ----------------------------------------------------------------------------------------------------------


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of all kernels of this kind, in alphabetical order."""
    package = importlib.import_module(f"dnnkit.kernels.{FOLDERS[kind]}")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg))


@cache
def kernels() -> tuple[str, ...]:
    """Return the names of all kernels of any kind, in alphabetical order."""
    import dnnkit.kernels

    packages = [module.name for module in pkgutil.iter_modules(dnnkit.kernels.__path__) if module.ispkg]
    shared = [name for name in packages if name.startswith("_") or name in FOLDERS.values()]
    of_a_kind = [name for kind in FOLDERS for name in names(kind)]
    return tuple(sorted({*packages, *of_a_kind}.difference(shared)))


@cache
def activation(name: str) -> Activation:
    """Return the activation of this name. Raises `UnknownName`, which lists the names there are."""
    if name in RUNTIME_ACTIVATIONS:
        found = RUNTIME_ACTIVATIONS[name]
        return Activation(name, found.saves, found.elementwise, found.numpy_source, found.reference)
    package = find(name, "activation")
    elementwise = getattr(package, "ELEMENTWISE", True)
    return Activation(name, package.SAVES, elementwise, package.NUMPY, version(name, "reference"))


@cache
def loss(name: str) -> Loss:
    """Return the loss kernel of this name. Raises `UnknownName`, which lists the names there are."""
    if name in RUNTIME_LOSSES:
        return RUNTIME_LOSSES[name].loss
    package = find(name, "loss")
    outputs: Any = getattr(package, "OUTPUTS", "values")
    return Loss(
        name,
        getattr(package, "REDUCTION", "mean"),
        getattr(package, "SCORES", "values"),
        outputs,
        getattr(package, "TAKES_LABELS", False),
        version(name, "reference").loss_and_gradient,
        getattr(package, "TARGET_RANGE", "shares" if outputs == "binary" else "any"),
        getattr(package, "OVER_OUTPUTS", "mean"),
        getattr(package, "PARAMETERS", {}),
        at_once=getattr(package, "AT_ONCE", False),
    )


@cache
def metric(name: str) -> Metric:
    """Return the metric kernel of this name. Raises `UnknownName`, which lists the names there are."""
    package, reference = find(name, "metric"), version(name, "reference")
    return Metric(
        name,
        getattr(package, "READS", "scores"),
        getattr(package, "HAS_THRESHOLD", False),
        getattr(reference, "rows", None),
        getattr(reference, "sums", None),
        getattr(package, "count", None),
        getattr(package, "finish", None),
        getattr(package, "HIGHER_IS_BETTER", True),
    )


def folder(name: str) -> str:
    """Return a kernel's folder below `kernels/`: `activations/relu`, `gather`."""
    kind = next((kind for kind in FOLDERS if name in names(kind)), None)
    return name if kind is None else f"{FOLDERS[kind]}/{name}"


def contract(name: str) -> ModuleType:
    """Return a kernel's package, whose docstring is the contract."""
    return importlib.import_module(_dotted(name))


def version(name: str, module: str) -> ModuleType:
    """Return a version of a kernel: its module `reference`, `cpu` or `gpu`."""
    try:
        return importlib.import_module(f"{_dotted(name)}.{module}")
    except ValueError as error:  # raised on import for an invalid environment variable of the array library
        raise BackendUnavailable(
            f"the {module} version of kernel {name!r} cannot be imported: {error} See the environment variables of the "
            "array library, such as NUMBA_NUM_THREADS"
        ) from error


def has_cpu_version(name: str) -> bool:
    """Return whether the kernel has a `cpu.py`, or text of one if it was registered at run time."""
    runtime = runtime_versions(name)
    return bool(runtime.cpu) if runtime is not None else _has_cpu_file(name)


@cache
def _has_cpu_file(name: str) -> bool:
    """Cached: asked before every operation, and the file system takes 100 µs."""
    is_kernel = importlib.util.find_spec(_dotted(name)) is not None
    return is_kernel and importlib.util.find_spec(f"{_dotted(name)}.cpu") is not None


def has_gpu_version(name: str) -> bool:
    """Return whether the kernel has a `gpu.cu`, a launcher only, or text of a `gpu.cu` if registered at run time."""
    runtime = runtime_versions(name)
    if runtime is not None:
        return bool(runtime.gpu)
    package = importlib.util.find_spec(_dotted(name))
    places = () if package is None else package.submodule_search_locations or ()
    return any((Path(place) / file).is_file() for place in places for file in ("gpu.cu", "gpu.py"))


def find(name: str, kind: str) -> ModuleType:
    """Return the package of a kernel of this kind. Raises `UnknownName`, which lists the names there are."""
    if name not in names(kind):
        raise UnknownName(unknown(kind, name, names(kind)))
    return contract(name)


def _dotted(name: str) -> str:
    return f"dnnkit.kernels.{folder(name).replace('/', '.')}"
