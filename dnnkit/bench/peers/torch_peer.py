"""PyTorch: eager with a fused optimizer; with the step compiled; and compiled with autotuned products.

The data are tensors in memory, without a loader. The compiled step is one graph from the forward pass to the update:
compiling around `loss.backward()` gives several graphs, which was slower.

On a GPU it is eager. A CUDA graph per step is faster there, and is not measured yet.
"""

# The library has no types here.
# mypy: disallow-untyped-decorators=False, warn-return-any=False

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from .works import LAST, MOMENTUM, WEIGHT_DECAY, Network, Work, in_order, initial_weights

PACKAGES = ("torch",)
VARIANTS = ("", "compile", "autotune", "cuda")
GENERAL = ("", "compile", "cuda")
GPU = ("cuda",)
MODES = {"compile": "default", "autotune": "max-autotune"}
STRETCH = 10
"""Iterations of the neuron per compiled call; with one, the call costs more than the work."""

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU}
LAST_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda z: functional.softmax(z, dim=1),
    "sigmoid": torch.sigmoid,
    "linear": lambda z: z,
}
LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "sparse_categorical_crossentropy": functional.cross_entropy,
    "binary_crossentropy": functional.binary_cross_entropy_with_logits,
    "mean_squared_error": functional.mse_loss,
}
"""Losses as functions of the last layer's pre-activations."""
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=MOMENTUM),
    "adam": torch.optim.Adam,
    "adamw": partial(torch.optim.AdamW, weight_decay=WEIGHT_DECAY),
}

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Forward = Callable[[torch.Tensor], torch.Tensor]


def about(variant: str) -> dict[str, str]:
    if variant in GPU:
        return {"setting": "eager, fused optimizer, float32 products", "device": torch.cuda.get_device_name()}
    setting = f'torch.compile of the whole step, mode="{MODES[variant]}"' if variant else "eager, fused optimizer"
    blas = "MKL" if torch.backends.mkl.is_available() else "not MKL"
    kernels = f"{torch.backends.cpu.get_cpu_capability()}, {blas}"
    return {"setting": setting, "threads": f"{torch.get_num_threads()}", "kernels": kernels}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    torch.manual_seed(0)
    device = "cuda" if variant in GPU else "cpu"
    inputs, targets = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    step, forward = _compiled(work, MODES[variant]) if variant in MODES else _eager(work, device)

    def epoch(order: NDArray[Any]) -> float:
        batches = torch.from_numpy(order).to(device).split(work.batch_size)
        losses = [step(inputs[rows], targets[rows]) * len(rows) for rows in batches]
        return float(torch.stack(losses).sum()) / len(x)

    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            return forward(torch.from_numpy(rows).to(device)).cpu().numpy()

    return Network(in_order(epoch, len(x)), predict)


def _eager(work: Work, device: str) -> tuple[Step, Forward]:
    modules: list[nn.Module] = []
    for weight, bias in initial_weights(work):
        linear = nn.Linear(*weight.shape, dtype=getattr(torch, work.dtype))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, ACTIVATIONS[work.activation]()]
    net, mean_loss = nn.Sequential(*modules[:-1]).to(device), LOSSES[work.loss]
    optimizer = OPTIMIZERS[work.optimizer](net.parameters(), lr=work.learning_rate, fused=True)

    def step(rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = mean_loss(net(rows), targets)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, lambda rows: LAST_ACTIVATIONS[LAST[work.loss]](net(rows))


def _compiled(work: Work, mode: str) -> tuple[Step, Forward]:
    torch.compiler.reset()  # earlier networks in this process count toward its recompilation limit
    weights = initial_weights(work)
    parameters = [torch.from_numpy(a) for weight, bias in weights for a in (weight.T.copy(), bias)]
    first = [torch.zeros_like(parameter) for parameter in parameters]
    second = [torch.zeros_like(parameter) for parameter in parameters]
    count = torch.zeros((), dtype=getattr(torch, work.dtype))
    activation, rate = ACTIVATIONS[work.activation](), work.learning_rate
    kept = 1 - rate * WEIGHT_DECAY if work.optimizer == "adamw" else 1.0

    def outputs(parameters: list[torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        for place in range(0, len(parameters) - 2, 2):
            rows = activation(functional.linear(rows, parameters[place], parameters[place + 1]))
        return functional.linear(rows, parameters[-2], parameters[-1])

    def mean_loss(parameters: list[torch.Tensor], rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return LOSSES[work.loss](outputs(parameters, rows), targets)

    differentiate = torch.func.grad_and_value(mean_loss)

    @torch.no_grad()
    def step(rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        gradients, loss = differentiate(parameters, rows, targets)
        if work.optimizer in ("sgd", "momentum"):
            for parameter, gradient, velocity in zip(parameters, gradients, first, strict=True):
                moved = velocity.mul_(MOMENTUM).add_(gradient) if work.optimizer == "momentum" else gradient
                parameter.sub_(moved, alpha=rate)
            return loss
        count.add_(1)
        size, root = rate / (1 - 0.9**count), torch.sqrt(1 - 0.999**count)
        for parameter, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
            m.mul_(0.9).add_(gradient, alpha=0.1)
            v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            parameter.mul_(kept).sub_(size * m / (v.sqrt() / root + 1e-8))
        return loss

    def forward(rows: torch.Tensor) -> torch.Tensor:
        return LAST_ACTIVATIONS[LAST[work.loss]](outputs(parameters, rows))

    options = {"fullgraph": True, "dynamic": False, "mode": mode}
    return torch.compile(step, **options), torch.compile(forward, **options)


def neuron(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any], iterations: int, variant: str
) -> Callable[[], NDArray[Any]]:
    inputs, targets, w = (torch.from_numpy(array) for array in (x, y, weights))
    transposed = inputs.T.contiguous()
    length = STRETCH if variant and iterations % STRETCH == 0 else 1

    def stretch(w: torch.Tensor) -> None:
        for _ in range(length):
            p = torch.sigmoid(inputs @ w)
            w.add_(transposed @ ((targets - p) * p * (1 - p)))

    function = torch.compile(stretch, fullgraph=True, mode=MODES[variant]) if variant else stretch

    @torch.no_grad()
    def run() -> NDArray[Any]:
        for _ in range(iterations // length):
            function(w)
        return w.numpy()

    return run


def product(a: NDArray[Any], b: NDArray[Any]) -> Callable[[], Any]:
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    out = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=out)


def copy(source: NDArray[Any], target: NDArray[Any]) -> Callable[[], Any]:
    given, taken = torch.from_numpy(source), torch.from_numpy(target)
    return lambda: taken.copy_(given)
