"""Kernels by name: what an activation and a loss promise, where their folder is, and which versions it holds.

A folder in `activations/`, `losses/`, `metrics/` or `stages/` is a kernel of that kind; nothing else lists them.
Activations that are registered at run time, without a folder, are found by the same names.
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
"""Kind -> the folder that holds a folder for each kernel of that kind. Other kernels stand in `kernels/` itself."""


@dataclass(frozen=True)
class Activation:
    """A function y = f(x) between layers, with its derivative.

    `saves` names what its backward pass reads: the `"output"` y, so that x may be overwritten, or the `"input"` x
    where the derivative from y does not exist or is inaccurate. `elementwise` is false only where one element's
    output depends on others (softmax, along the last axis). `numpy_source` are the expressions in x, math and NumPy
    that compute it one after the other, for programs that do without dnnkit.
    """

    name: str
    saves: Literal["input", "output"]
    elementwise: bool
    numpy_source: tuple[str, ...]
    reference: Any

    def forward(self, x: Array, xp: Namespace = np) -> Array:
        """f(x), same shape and dtype."""
        return self.reference.forward(x, xp=xp)

    def backward(self, dy: Array, saved: Array, xp: Namespace = np) -> Array:
        """Gradient of the loss in x, from the gradient in y and what `saves` names; shapes all equal."""
        if not self.elementwise:
            return self.reference.backward(dy, saved, xp=xp)
        from_output = self.saves == "output"
        slope = self.reference.derivative_from_output if from_output else self.reference.derivative
        return dy * slope(saved, xp=xp)

    @property
    def has_own_slope(self) -> bool:
        """Whether an element's derivative follows from its input alone, so that the way forward can leave it there."""
        return self.elementwise and self.saves == "input"

    @cached_property
    def has_zero_gradient(self) -> bool:
        """Whether the derivative is zero everywhere, so that nothing before the activation learns."""
        x = np.linspace(-8.0, 8.0, 129)
        saved = self.forward(x) if self.saves == "output" else x
        return not self.backward(np.ones_like(x), saved).any() if self.elementwise else False

    @cached_property
    def _outputs(self) -> Any:
        """Of inputs of every size."""
        x = np.concatenate([[-1e4, -100.0, 0.0, 100.0, 1e4, 1.0], np.linspace(-8.0, 8.0, 60)]).reshape(-1, 3)
        with np.errstate(all="ignore"):
            return np.asarray(self.forward(x))

    @cached_property
    def gives_negative(self) -> bool:
        """Whether an output may be below 0."""
        return bool((self._outputs < 0).any())

    @cached_property
    def gives(self) -> Literal["values", "binary", "categorical"]:
        """What a row of outputs can stand for, in the words of `Loss.outputs`: numbers in [0, 1], which may sum to 1.

        Found by asking it, so that it is known of a formula and of an activation that anyone registers, too.
        """
        y = self._outputs
        if not ((y >= 0) & (y <= 1)).all():
            return "values"
        return "binary" if self.elementwise or not np.allclose(y.sum(axis=1), 1) else "categorical"


@dataclass(frozen=True)
class Loss:
    """A loss kernel: `loss_and_gradient(scores, targets, weights, scale) -> (sum, gradient)` in one pass.

    Attributes:
        name: the folder's.
        reduction: what a batch's loss is, the weighted mean over rows or their sum.
        scores: what the loss is computed from.
        outputs: what a row's outputs stand for: any values; each the answer to a question of its own, so that targets
            are in [0, 1]; or a choice of one class, so that targets sum to 1.
        takes_labels: whether targets may be class labels (B,) as well as rows (B, K).
        loss_and_gradient: the reference.
        target_range: the numbers that targets are: any, in [0, 1], two numbers that stand for no and yes (0 and 1, or
            -1 and 1), at least 0, or above 0.
        over_outputs: what a row's loss is of those of its outputs.
        parameters: names of the numbers that all versions take after their other arguments, and their defaults.
        columns: how many outputs it is for; None for any number.
        elementwise: whether a row's loss is the mean of a function of each output and its target, which `cpu.py` then
            has as `term(score, target)`, with its derivative `slope`: a batch's are computed in one loop.
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
    elementwise: bool = False

    def is_made_for(self, targets: Array, least: float, most: float) -> bool:
        """Whether finite targets, of which these are the least and the most, are numbers as `target_range` says."""
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
    """A metric kernel: what it adds up over the rows of a batch.

    Either one value per row, `rows(scores, targets, threshold, xp)`, float64 (B,), whose weighted sum it is; or several
    sums at once, `sums(scores, targets, weights, threshold, xp)`, float64 (S,), rows weighted: then `count(outputs)`
    is S. What number is made of several sums, the metric says that asks for them.

    `reads` says what its scores are: `"scores"`, the network's output before a head that a loss has taken over, such
    as logits; or `"predictions"`. `has_threshold`: it compares them with the threshold, which means ½ of the
    predictions; where no number among the scores does, it gets the predictions. `finish(sums, weight)` is the metric
    that it is by its own name; without it, the sum over the sum of weights.
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
        """How many sums it has for a network with so many outputs."""
        return 1 if self.count is None else self.count(outputs)

    def total(self, scores: Array, targets: Array, weights: Array | None, threshold: float, xp: Namespace) -> Array:
        """The weighted sum over rows, float64; of a kernel with `count`, all of them, (S,)."""
        if self.rows is None:
            assert self.sums is not None
            sums = self.sums(scores, targets, weights, threshold, xp)
            return xp.reshape(sums, ()) if sums.shape == (1,) else sums
        rows = self.rows(scores, targets, threshold, xp)
        return xp.sum(rows if weights is None else rows * xp.astype(weights, xp.float64))


# -- activations and losses without a folder -------------------------------------------------------------------------

RUNTIME_ACTIVATIONS: dict[str, "RuntimeActivation"] = {}
"""By name; it only grows."""


@dataclass(frozen=True)
class RuntimeActivation:
    """An activation's versions, with what its folder's files would hold.

    `reference` has `forward(x, xp)` and `derivative(x, xp)` or `derivative_from_output(y, xp)`, as `saves` says, or
    `backward(dy, saved, xp)` if it is not elementwise; `cpu` and `gpu` are the text of `cpu.py` and `gpu.cu`, with
    functions of those names, "" where there is none; `numpy_source` is empty if it cannot be written as NumPy code.
    """

    saves: Literal["input", "output"]
    reference: Any
    cpu: str = ""
    gpu: str = ""
    numpy_source: tuple[str, ...] = ()
    elementwise: bool = True

    @classmethod
    def of(cls, thing: Any) -> "RuntimeActivation":
        """Of an object with `forward` and its derivative, which runs on every backend by its formula alone."""
        elementwise = hasattr(thing, "derivative") or hasattr(thing, "derivative_from_output")
        from_output = hasattr(thing, "derivative_from_output") or not elementwise
        return cls("output" if from_output else "input", thing, elementwise=elementwise)


def register_activation(name: str, versions: RuntimeActivation) -> None:
    """From now on the name stands for this activation in every kernel's lookup.

    Whoever registers one names it by its content (see `dnnkit.formula`), so a name never changes its meaning and what
    was compiled for it stays right.
    """
    RUNTIME_ACTIVATIONS.setdefault(name, versions)


RUNTIME_LOSSES: dict[str, "RuntimeLoss"] = {}
"""By name; it only grows."""


@dataclass(frozen=True)
class RuntimeLoss:
    """A loss's versions: what it promises, with the reference; and the text of `cpu.py` and `gpu.cu`, "" for none."""

    loss: Loss
    cpu: str = ""
    gpu: str = ""


def register_loss(versions: RuntimeLoss) -> None:
    """From now on its name, which is made of its content, stands for this loss in every kernel's lookup."""
    RUNTIME_LOSSES.setdefault(versions.loss.name, versions)


def runtime_versions(name: str) -> RuntimeActivation | RuntimeLoss | None:
    """Of an activation or a loss that was registered at run time."""
    return RUNTIME_ACTIVATIONS.get(name) or RUNTIME_LOSSES.get(name)


# -- lookup ----------------------------------------------------------------------------------------------------------


@cache
def names(kind: str) -> tuple[str, ...]:
    """Every kernel of that kind, in alphabetical order."""
    package = importlib.import_module(f"dnnkit.kernels.{FOLDERS[kind]}")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg))


@cache
def kernels() -> tuple[str, ...]:
    """Every kernel of whatever kind, in alphabetical order."""
    import dnnkit.kernels

    packages = [module.name for module in pkgutil.iter_modules(dnnkit.kernels.__path__) if module.ispkg]
    shared = [name for name in packages if name.startswith("_") or name in FOLDERS.values()]
    of_a_kind = [name for kind in FOLDERS for name in names(kind)]
    return tuple(sorted({*packages, *of_a_kind}.difference(shared)))


@cache
def activation(name: str) -> Activation:
    """The activation of that name; raises `UnknownName` with the names there are."""
    if name in RUNTIME_ACTIVATIONS:
        found = RUNTIME_ACTIVATIONS[name]
        return Activation(name, found.saves, found.elementwise, found.numpy_source, found.reference)
    package = find(name, "activation")
    elementwise = getattr(package, "ELEMENTWISE", True)
    return Activation(name, package.SAVES, elementwise, package.NUMPY, version(name, "reference"))


@cache
def loss(name: str) -> Loss:
    """The loss kernel of that name; raises `UnknownName` with the names there are."""
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
        elementwise=getattr(package, "ELEMENTWISE", False),
    )


@cache
def metric(name: str) -> Metric:
    """The metric kernel of that name; raises `UnknownName` with the names there are."""
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
    """A kernel's folder below `kernels/`: `activations/relu`, `gather`."""
    kind = next((kind for kind in FOLDERS if name in names(kind)), None)
    return name if kind is None else f"{FOLDERS[kind]}/{name}"


def contract(name: str) -> ModuleType:
    """A kernel's package: its docstring is the contract."""
    return importlib.import_module(_dotted(name))


def version(name: str, module: str) -> ModuleType:
    """One version of a kernel: its module `reference`, `cpu` or `gpu`."""
    try:
        return importlib.import_module(f"{_dotted(name)}.{module}")
    except ValueError as error:  # of a variable that the array library reads as it is imported
        raise BackendUnavailable(
            f"the {module} version of kernel {name!r} cannot be imported: {error} See the environment variables of the "
            "array library, such as NUMBA_NUM_THREADS"
        ) from error


def has_cpu_version(name: str) -> bool:
    """Whether the kernel's folder has a `cpu.py`; what is registered at run time is compiled, too."""
    runtime = runtime_versions(name)
    return bool(runtime.cpu) if runtime is not None else _has_cpu_file(name)


@cache
def _has_cpu_file(name: str) -> bool:
    """Asked before every operation; to look takes 100 µs."""
    is_kernel = importlib.util.find_spec(_dotted(name)) is not None
    return is_kernel and importlib.util.find_spec(f"{_dotted(name)}.cpu") is not None


def has_gpu_version(name: str) -> bool:
    """Whether the kernel's folder has a `gpu.cu` or a launcher of others', or what is registered at run time a text."""
    runtime = runtime_versions(name)
    if runtime is not None:
        return bool(runtime.gpu)
    package = importlib.util.find_spec(_dotted(name))
    places = () if package is None else package.submodule_search_locations or ()
    return any((Path(place) / file).is_file() for place in places for file in ("gpu.cu", "gpu.py"))


def find(name: str, kind: str) -> ModuleType:
    """The package of a kernel of that kind; raises `UnknownName` with the names there are."""
    if name not in names(kind):
        raise UnknownName(unknown(kind, name, names(kind)))
    return contract(name)


def _dotted(name: str) -> str:
    return f"dnnkit.kernels.{folder(name).replace('/', '.')}"
