"""Weight updates on the GPU, in place: one launch for all parameters. Contract: the package's docstring.

The arguments are those of the reference, in the same order; what the reference returns is written over p and the slots.
"""

from math import sqrt

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Every variant that ships."""
    return [Source.of("optimizer_step/gpu.cu", dtype) for dtype in REALS]


def sgd(step: int, p: Array, g: Array, learning_rate: float, weight_decay: float) -> None:
    """Gradient descent."""
    _launch("sgd", p, g, {}, {"learning_rate": learning_rate, "weight_decay": weight_decay})


def momentum(
    step: int, p: Array, g: Array, velocity: Array, learning_rate: float, momentum: float, weight_decay: float
) -> None:
    """Gradient descent with Polyak's momentum."""
    numbers = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
    _launch("momentum", p, g, {"velocity": velocity}, numbers)


def nesterov(
    step: int, p: Array, g: Array, velocity: Array, learning_rate: float, momentum: float, weight_decay: float
) -> None:
    """Gradient descent with Nesterov's momentum."""
    numbers = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
    _launch("nesterov", p, g, {"velocity": velocity}, numbers)


def rmsprop(step: int, p: Array, g: Array, square: Array, learning_rate: float, rho: float, epsilon: float) -> None:
    """RMSprop."""
    numbers = {"learning_rate": learning_rate, "rho": rho, "one_minus_rho": 1 - rho, "epsilon": epsilon}
    _launch("rmsprop", p, g, {"square": square}, numbers)


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
) -> None:
    """Adam."""
    adamw(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon, 0.0)


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
) -> None:
    """Adam with decoupled weight decay."""
    numbers = {
        "step_size": learning_rate / (1 - beta_1**step),
        "root_correction": 1 / sqrt(1 - beta_2**step),
        "beta_1": beta_1,
        "one_minus_beta_1": 1 - beta_1,
        "beta_2": beta_2,
        "one_minus_beta_2": 1 - beta_2,
        "epsilon": epsilon,
        "decay": 1 - learning_rate * weight_decay,
    }
    _launch("adam", p, g, {"first_moment": first_moment, "second_moment": second_moment}, numbers)


def _launch(kernel: str, p: Array, g: Array, slots: dict[str, Array], numbers: dict[str, float]) -> None:
    if p.size == 0:
        return
    arguments = {"p": p, "g": contiguous(g), **slots, **numbers, "count": p.size}
    source = Source.of("optimizer_step/gpu.cu", p.dtype.name)
    launch(source, kernel, blocks(p.nbytes, 16 * THREADS), THREADS, arguments)
