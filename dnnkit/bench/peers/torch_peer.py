"""PyTorch: eager with a fused optimizer; the step compiled; and compiled with its products tuned.

Tensors in memory, no loader. The compiled step is one graph, from the forward pass to the update: compiled around
`loss.backward()` it would be several, and was slower.

On a GPU: eager; the eager step as a CUDA graph, which finds its batch by itself; and the compiled one as such a graph.
"""

# The library comes without types here.
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
VARIANTS = ("", "compile", "autotune", "cuda", "cuda-graph", "cuda-compile")
GENERAL = ("", "compile", "cuda", "cuda-graph", "cuda-compile")
GPU = ("cuda", "cuda-graph", "cuda-compile")
MODES = {"compile": "default", "autotune": "max-autotune", "cuda-compile": "max-autotune-no-cudagraphs"}
STRETCH = 10
"""Iterations of the neuron in one compiled call; with one, the call costs more than the work."""

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
"""Of the last layer's sums, before its activation."""
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=MOMENTUM),
    "adam": torch.optim.Adam,
    "adamw": partial(torch.optim.AdamW, weight_decay=WEIGHT_DECAY),
}

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Forward = Callable[[torch.Tensor], torch.Tensor]
State = Callable[[], list[torch.Tensor]]


def about(variant: str) -> dict[str, str]:
    if variant in GPU:
        words = {
            "cuda": "eager",
            "cuda-graph": "a CUDA graph per step",
            "cuda-compile": "a CUDA graph per compiled step",
        }
        return {"setting": f"{words[variant]}, float32 products", "device": torch.cuda.get_device_name()}
    setting = f'torch.compile of the whole step, mode="{MODES[variant]}"' if variant else "eager, fused optimizer"
    blas = "MKL" if torch.backends.mkl.is_available() else "not MKL"
    kernels = f"{torch.backends.cpu.get_cpu_capability()}, {blas}"
    return {"setting": setting, "threads": f"{torch.get_num_threads()}", "kernels": kernels}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    torch.manual_seed(0)
    device = "cuda" if variant in GPU else "cpu"
    inputs, targets = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    step, forward, state = _compiled(work, MODES[variant], device) if variant in MODES else _eager(work, device)
    if variant in ("cuda-graph", "cuda-compile"):
        run = _Captured(step, state, inputs, targets, work.batch_size).epoch
    else:

        def run(order: torch.Tensor) -> torch.Tensor:
            batches = order.split(work.batch_size)
            return torch.stack([step(inputs[rows], targets[rows]) * len(rows) for rows in batches]).sum()

    def epoch(order: NDArray[Any]) -> float:
        return float(run(torch.from_numpy(order).to(device))) / len(x)

    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            return forward(torch.from_numpy(rows).to(device)).cpu().numpy()

    return Network(in_order(epoch, len(x)), predict)


class _Captured:
    """A step as a CUDA graph: launched again, it takes the next batch of an order that lies on the GPU.

    Arguments:
        step: as it is called.
        state: gives what it changes, also what an optimizer makes in its first step.
        inputs, targets: all rows, on the GPU; a last, shorter batch is not trained on.
        size: rows of a batch.
    """

    def __init__(self, step: Step, state: State, inputs: torch.Tensor, targets: torch.Tensor, size: int) -> None:
        self._steps = len(inputs) // size
        self._orders = torch.zeros((self._steps, size), dtype=torch.int64, device="cuda")
        self._losses = torch.zeros(self._steps, dtype=inputs.dtype, device="cuda")
        self._place = torch.zeros(1, dtype=torch.int64, device="cuda")

        def turn() -> None:
            rows = self._orders.index_select(0, self._place)[0]
            loss = step(inputs.index_select(0, rows), targets.index_select(0, rows))
            self._losses.index_copy_(0, self._place, loss.view(1))
            self._place.add_(1)

        self._turn = turn  # the graph has addresses, and nothing else holds what lies there
        before = [tensor.clone() for tensor in state()]
        stream = torch.cuda.Stream()  # of the capture, too: what adds up gradients stays in its first stream
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._place.zero_()
                turn()
        stream.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            turn()
        with torch.no_grad():  # back to where it was; what an optimizer has made since begins at zero
            for place, tensor in enumerate(state()):
                tensor.copy_(before[place]) if place < len(before) else tensor.zero_()

    def epoch(self, order: torch.Tensor) -> torch.Tensor:
        """The sum of the rows' losses."""
        self._orders.copy_(order[: self._orders.numel()].view_as(self._orders))
        self._place.zero_()
        for _ in range(self._steps):
            self._graph.replay()
        return self._losses.sum() * self._orders.shape[1]


def _eager(work: Work, device: str) -> tuple[Step, Forward, State]:
    modules: list[nn.Module] = []
    for weight, bias in initial_weights(work):
        linear = nn.Linear(*weight.shape, dtype=getattr(torch, work.dtype))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, ACTIVATIONS[work.activation]()]
    net, mean_loss = nn.Sequential(*modules[:-1]).to(device), LOSSES[work.loss]
    capturable = {"capturable": True} if device == "cuda" and work.optimizer.startswith("adam") else {}
    optimizer = OPTIMIZERS[work.optimizer](net.parameters(), lr=work.learning_rate, fused=True, **capturable)

    def step(rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = mean_loss(net(rows), targets)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def state() -> list[torch.Tensor]:
        slots = [slot for each in optimizer.state.values() for slot in each.values() if isinstance(slot, torch.Tensor)]
        return [*net.parameters(), *slots]

    return step, lambda rows: LAST_ACTIVATIONS[LAST[work.loss]](net(rows)), state


def _compiled(work: Work, mode: str, device: str) -> tuple[Step, Forward, State]:
    torch.compiler.reset()  # the networks before in this process count toward its limit of recompilations
    weights = initial_weights(work)
    parameters = [torch.from_numpy(a).to(device) for weight, bias in weights for a in (weight.T.copy(), bias)]
    first = [torch.zeros_like(parameter) for parameter in parameters]
    second = [torch.zeros_like(parameter) for parameter in parameters]
    count = torch.zeros((), dtype=getattr(torch, work.dtype), device=device)
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
    return (
        torch.compile(step, **options),
        torch.compile(forward, **options),
        lambda: [*parameters, *first, *second, count],
    )


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
