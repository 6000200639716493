"""Weight updates on the GPU, in place: one launch for all parameters. Contract: the package's docstring.

The arguments are those of the reference, in the same order; what the reference returns is written over p and the slots.
With `numbers`, of the dtype of p, what differs from step to step is read there, as `of_step` has it for each; step and
learning rate are not looked at then.
"""

from math import sqrt

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array

CORRECTED = {"adam", "adamw"}
"""Rules whose moments begin with zeros, which is corrected for."""


def sources() -> list[Source]:
    """Every variant that ships."""
    return [Source.of("optimizer_step/gpu.cu", dtype) for dtype in REALS]


def of_step(rule: str, step: int, learning_rate: float, *constants: float) -> tuple[float, ...]:
    """The numbers of a rule that differ from step to step, of which `numbers` of its launcher has one step's.

    Arguments:
        rule: its name.
        step: the optimizer's, from 1.
        learning_rate: of that step.
        constants: the rule's other numbers, in order.
    """
    return _corrected(step, learning_rate, *constants) if rule in CORRECTED else (learning_rate,)


def _corrected(
    step: int, learning_rate: float, beta_1: float, beta_2: float, epsilon: float, weight_decay: float = 0.0
) -> tuple[float, float, float]:
    """Adam's step size, root correction and decay."""
    return learning_rate / (1 - beta_1**step), 1 / sqrt(1 - beta_2**step), 1 - learning_rate * weight_decay


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


def _launch(
    kernel: str, p: Array, g: Array, slots: dict[str, Array], constants: dict[str, float], numbers: Array | None
) -> None:
    if p.size == 0:
        return
    arguments = {"p": p, "g": contiguous(g), **slots, **constants, "numbers": numbers, "count": p.size}
    source = Source.of("optimizer_step/gpu.cu", p.dtype.name)
    launch(source, kernel, blocks(p.nbytes, 16 * THREADS), THREADS, arguments)
