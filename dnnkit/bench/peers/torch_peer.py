"""PyTorch: eager with a fused optimizer; the step compiled; and compiled with its products tuned.

Tensors in memory, no loader. The compiled step is one graph, from the forward pass to the update: compiled around
`loss.backward()` it would be several, and was slower.
"""

# The library comes without types here.
# mypy: disallow-untyped-decorators=False, warn-return-any=False

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from .works import Network, Work, initial_weights, repeated

PACKAGES = ("torch",)
VARIANTS = ("", "compile", "autotune")
MODES = {"compile": "default", "autotune": "max-autotune"}
STRETCH = 10
"""Iterations of the neuron in one compiled call; with one, the call costs more than the work."""

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Forward = Callable[[torch.Tensor], torch.Tensor]


def about(variant: str) -> dict[str, str]:
    setting = f'torch.compile of the whole step, mode="{MODES[variant]}"' if variant else "eager, fused optimizer"
    blas = "MKL" if torch.backends.mkl.is_available() else "not MKL"
    kernels = f"{torch.backends.cpu.get_cpu_capability()}, {blas}"
    return {"setting": setting, "threads": f"{torch.get_num_threads()}", "kernels": kernels}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    torch.manual_seed(0)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    step, forward = _compiled(work, MODES[variant]) if variant else _eager(work)

    def epoch() -> float:
        losses = [
            step(inputs[rows], labels[rows]) * len(rows) for rows in torch.randperm(len(x)).split(work.batch_size)
        ]
        return float(torch.stack(losses).sum()) / len(x)

    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            return forward(torch.from_numpy(rows)).numpy()

    return Network(repeated(epoch), predict)


def _eager(work: Work) -> tuple[Step, Forward]:
    modules: list[nn.Module] = []
    for weight, bias in initial_weights(work):
        linear = nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, nn.ReLU() if work.activation == "relu" else nn.Sigmoid()]
    net = nn.Sequential(*modules[:-1])
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[work.optimizer]
    optimizer = kind(net.parameters(), lr=work.learning_rate, fused=True)

    def step(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(net(rows), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, lambda rows: functional.softmax(net(rows), dim=1)


def _compiled(work: Work, mode: str) -> tuple[Step, Forward]:
    weights = initial_weights(work)
    parameters = [torch.from_numpy(a) for weight, bias in weights for a in (weight.T.copy(), bias)]
    first = [torch.zeros_like(parameter) for parameter in parameters]
    second = [torch.zeros_like(parameter) for parameter in parameters]
    count = torch.zeros(())
    activation = functional.relu if work.activation == "relu" else torch.sigmoid

    def scores(parameters: list[torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        for place in range(0, len(parameters) - 2, 2):
            rows = activation(functional.linear(rows, parameters[place], parameters[place + 1]))
        return functional.linear(rows, parameters[-2], parameters[-1])

    def mean_loss(parameters: list[torch.Tensor], rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(scores(parameters, rows), labels)

    differentiate = torch.func.grad_and_value(mean_loss)

    @torch.no_grad()
    def step(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        gradients, loss = differentiate(parameters, rows, labels)
        if work.optimizer == "sgd":
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=work.learning_rate)
            return loss
        count.add_(1)
        rate, root = work.learning_rate / (1 - 0.9**count), torch.sqrt(1 - 0.999**count)
        for parameter, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
            m.mul_(0.9).add_(gradient, alpha=0.1)
            v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            parameter.sub_(rate * m / (v.sqrt() / root + 1e-8))
        return loss

    def forward(rows: torch.Tensor) -> torch.Tensor:
        return functional.softmax(scores(parameters, rows), dim=1)

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
