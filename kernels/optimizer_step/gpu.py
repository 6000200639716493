"""Optimizer steps on the GPU, in place: one launch for all parameters. Contract: the package's docstring.

The arguments are those of the reference, in the same order; the reference's results overwrite p and the slots. If
`numbers` are given, in the dtype of p, whatever differs from step to step is read there, in the order of `of_step`; the
arguments step and learning rate are then ignored.
"""

from collections.abc import Callable
from math import sqrt

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("optimizer_step/gpu.cu", dtype) for dtype in REALS]


def of_step(rule: str, step: int, learning_rate: float, *constants: float) -> tuple[float, ...]:
    """Return the numbers of a rule that differ from step to step; `numbers` of its launcher holds those of one step.

    Arguments:
        rule: name of the rule.
        step: the optimizer's step, from 1.
        learning_rate: that of the step.
        constants: the rule's other numbers, in order.
    """
    return OF_STEP[rule](step, learning_rate, *constants) if rule in OF_STEP else (learning_rate,)


def _corrected(
    step: int, learning_rate: float, beta_1: float, beta_2: float, epsilon: float, weight_decay: float = 0.0
) -> tuple[float, float, float]:
    """Return Adam's step size, root correction and decay."""
    return learning_rate / (1 - beta_1**step), 1 / sqrt(1 - beta_2**step), 1 - learning_rate * weight_decay


def _of_adagrad(
    step: int, learning_rate: float, initial: float, epsilon: float, weight_decay: float
) -> tuple[float, ...]:
    return learning_rate, 1 - learning_rate * weight_decay


def _of_adamax(
    step: int, learning_rate: float, beta_1: float, beta_2: float, epsilon: float, weight_decay: float
) -> tuple[float, ...]:
    return learning_rate / (1 - beta_1**step), 1 - learning_rate * weight_decay


def _of_nadam(
    step: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    momentum: float,
    next_momentum: float,
    momentum_product: float,
) -> tuple[float, ...]:
    of_gradient = learning_rate * (1 - momentum) / (1 - momentum_product)
    of_moment = learning_rate * next_momentum / (1 - momentum_product * next_momentum)
    _, *corrected = _corrected(step, learning_rate, beta_1, beta_2, epsilon, weight_decay)
    return of_gradient, of_moment, *corrected


def _of_lion(step: int, learning_rate: float, beta_1: float, beta_2: float, weight_decay: float) -> tuple[float, ...]:
    return learning_rate, 1 - learning_rate * weight_decay


def _of_average(step: int, learning_rate: float, ema_momentum: float) -> tuple[float, ...]:
    return (0.0, 1.0) if step == 1 else (ema_momentum, 1 - ema_momentum)


OF_STEP: dict[str, Callable[..., tuple[float, ...]]] = {
    "adam": _corrected,
    "adamw": _corrected,
    "amsgrad": _corrected,
    "adagrad": _of_adagrad,
    "adamax": _of_adamax,
    "nadam": _of_nadam,
    "lion": _of_lion,
    "average": _of_average,
}
"""Rules for which these are more than the learning rate."""


def sgd(step: int, p: Array, g: Array, learning_rate: float, weight_decay: float, numbers: Array | None = None) -> None:
    """Gradient descent."""
    _launch("sgd", p, g, {}, {"learning_rate": learning_rate, "weight_decay": weight_decay}, numbers)


def momentum(
    step: int,
    p: Array,
    g: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    numbers: Array | None = None,
) -> None:
    """Gradient descent with Polyak's momentum."""
    constants = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
    _launch("momentum", p, g, {"velocity": velocity}, constants, numbers)


def nesterov(
    step: int,
    p: Array,
    g: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    numbers: Array | None = None,
) -> None:
    """Gradient descent with Nesterov's momentum."""
    constants = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
    _launch("nesterov", p, g, {"velocity": velocity}, constants, numbers)


def rmsprop(
    step: int,
    p: Array,
    g: Array,
    square: Array,
    learning_rate: float,
    rho: float,
    epsilon: float,
    numbers: Array | None = None,
) -> None:
    """RMSprop."""
    constants = {"learning_rate": learning_rate, "rho": rho, "one_minus_rho": 1 - rho, "epsilon": epsilon}
    _launch("rmsprop", p, g, {"square": square}, constants, numbers)


def adam(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    second_moment: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    numbers: Array | None = None,
) -> None:
    """Adam."""
    adamw(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon, 0.0, numbers)


def adamw(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    second_moment: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    numbers: Array | None = None,
) -> None:
    """Adam with decoupled weight decay."""
    of_now = (0.0, 0.0, 0.0)
    if numbers is None:
        of_now = _corrected(step, learning_rate, beta_1, beta_2, epsilon, weight_decay)
    constants = {
        **dict(zip(("step_size", "root_correction", "decay"), of_now, strict=True)),
        "beta_1": beta_1,
        "one_minus_beta_1": 1 - beta_1,
        "beta_2": beta_2,
        "one_minus_beta_2": 1 - beta_2,
        "epsilon": epsilon,
    }
    _launch("adam", p, g, {"first_moment": first_moment, "second_moment": second_moment}, constants, numbers)


def amsgrad(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    second_moment: Array,
    largest: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    numbers: Array | None = None,
) -> None:
    """AdamW with the running maximum of the second moment."""
    given = (beta_1, beta_2, epsilon, weight_decay)
    of_now = _now("amsgrad", ("step_size", "root_correction", "decay"), numbers, step, learning_rate, *given)
    constants = {**of_now, **_shares(beta_1=beta_1, beta_2=beta_2), "epsilon": epsilon}
    slots = {"first_moment": first_moment, "second_moment": second_moment, "largest": largest}
    _launch("amsgrad", p, g, slots, constants, numbers)


def adagrad(
    step: int,
    p: Array,
    g: Array,
    square: Array,
    learning_rate: float,
    initial_accumulator_value: float,
    epsilon: float,
    weight_decay: float,
    numbers: Array | None = None,
) -> None:
    """Adagrad."""
    given = (initial_accumulator_value, epsilon, weight_decay)
    of_now = _now("adagrad", ("learning_rate", "decay"), numbers, step, learning_rate, *given)
    constants = {**of_now, "initial_accumulator_value": initial_accumulator_value, "epsilon": epsilon}
    _launch("adagrad", p, g, {"square": square}, constants, numbers)


def adamax(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    largest: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    numbers: Array | None = None,
) -> None:
    """Adamax."""
    given = (beta_1, beta_2, epsilon, weight_decay)
    of_now = _now("adamax", ("step_size", "decay"), numbers, step, learning_rate, *given)
    constants = {**of_now, **_shares(beta_1=beta_1), "beta_2": beta_2, "epsilon": epsilon}
    _launch("adamax", p, g, {"first_moment": first_moment, "largest": largest}, constants, numbers)


def nadam(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    second_moment: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    momentum: float,
    next_momentum: float,
    momentum_product: float,
    numbers: Array | None = None,
) -> None:
    """Adam with Nesterov's momentum."""
    given = (beta_1, beta_2, epsilon, weight_decay, momentum, next_momentum, momentum_product)
    names = ("of_gradient", "of_moment", "root_correction", "decay")
    of_now = _now("nadam", names, numbers, step, learning_rate, *given)
    constants = {**of_now, **_shares(beta_1=beta_1, beta_2=beta_2), "epsilon": epsilon}
    _launch("nadam", p, g, {"first_moment": first_moment, "second_moment": second_moment}, constants, numbers)


def lion(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    weight_decay: float,
    numbers: Array | None = None,
) -> None:
    """Lion."""
    given = (beta_1, beta_2, weight_decay)
    of_now = _now("lion", ("learning_rate", "decay"), numbers, step, learning_rate, *given)
    constants = {**of_now, **_shares(beta_1=beta_1, beta_2=beta_2)}
    _launch("lion", p, g, {"first_moment": first_moment}, constants, numbers)


def average(
    step: int,
    p: Array,
    g: Array,
    average: Array,
    learning_rate: float,
    ema_momentum: float,
    numbers: Array | None = None,
) -> None:
    """Running mean of a parameter that another rule has just updated."""
    of_now = _now("average", ("kept", "added"), numbers, step, learning_rate, ema_momentum)
    _launch("average", p, g, {"average": average}, of_now, numbers)


def _now(rule: str, names: tuple[str, ...], numbers: Array | None, *given: float) -> dict[str, float]:
    """Return what differs from step to step, by name; zeros if it is read on the GPU."""
    values = of_step(rule, *given) if numbers is None else (0.0,) * len(names)  # type: ignore[arg-type]
    return dict(zip(names, values, strict=True))


def _shares(**shares: float) -> dict[str, float]:
    """Return each share and its complement to 1."""
    return {
        name: value for share, of in shares.items() for name, value in ((share, of), (f"one_minus_{share}", 1 - of))
    }


def _launch(
    kernel: str, p: Array, g: Array, slots: dict[str, Array], constants: dict[str, float], numbers: Array | None
) -> None:
    if p.size == 0:
        return
    arguments = {"p": p, "g": contiguous(g), **slots, **constants, "numbers": numbers, "count": p.size}
    source = Source.of("optimizer_step/gpu.cu", p.dtype.name)
    launch(source, kernel, blocks(p.nbytes, 16 * THREADS), THREADS, arguments)
