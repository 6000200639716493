"""How long a training step takes on a GPU: for its launches, and for what the GPU computes and moves.

    launches:   seconds of a step, and of each layer besides, as two small networks take here
    products:   FLOPs / FLOPs per second, of the dtype
    the rest:   bytes read and written / bytes per second
    the batch:  bytes from the host / bytes per second

They are added up as if nothing overlapped, and the batch counts as if it came from the host in every step, as it does
in a first epoch. So a step is thought too long, at most twice as long: "auto" errs towards the processor.
"""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from math import prod
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

import dnnkit.files as files
from dnnkit.backends.diagnosis import remark
from dnnkit.backends.graph import wanted
from dnnkit.backends.inspection import measured_step
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense, Op, Parameter, Rescale, is_trained
from dnnkit.deferred import dataclass

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend

FORMAT = 2
"""Of what is kept. Raised whenever the CuPy backend's steps become faster or slower, so that they are measured anew."""

PASSES = 6
"""How often a stage's outputs are read or written element by element, as on the processor."""

OTHER = 0.5
"""What launches of a stage that is neither dense nor an operation cost, in dense layers: two of five. An operation has
as many as a dense layer, at most, and so has the loss of one of several outputs."""

ROWS, WIDTH, REPEATS, ROUNDS = 256, 2048, 5, 3
"""Of the products that are measured: a batch through a wide layer. Larger ones are faster; those win anyway."""

MOVED = 32 << 20
"""Bytes of the arrays that are copied."""

LAYERS, UNITS, BATCH, STEPS = (1, 4), 16, 16, 256
"""Of the small networks whose steps are measured: the GPU has little to compute there, so that is the time of launches.
Steps are enough for most of them to be graphs."""


@dataclass(frozen=True)
class Gpu:
    """A GPU and its host: seconds of a `step`, and of a `layer` besides; FLOPs per second of `float32` and `float64`;
    `bytes` per second that are read and written, and `transfer` from the host."""

    step: float
    layer: float
    float32: float
    float64: float
    bytes: float
    transfer: float


def seconds_per_step(program: Program, rows: int, gpu: Gpu) -> float:
    """The predicted time of a training step."""
    number = 4 if program.dtype == "float32" else 8
    slots = len(program.slots)
    features = prod(program.input_shape)
    layers, flops, widths = float(len(program.outputs)) + bool(program.held) * OTHER, 0.0, program.widths
    moved = 2 * rows * features + (3 + 2 * slots) * program.trainable_size
    has_slope = wanted(program.edges, [is_trained(stage) for stage in program.stages])
    for place, (stage, values) in enumerate(zip(program.stages, program.edges, strict=True)):
        if isinstance(stage, Dense):
            inputs, width = stage.kernel.shape
            layers += 1
            products = 1 + is_trained(stage) + has_slope[values[0]]  # forward, its kernel's gradient, and dx if wanted
            flops += products * 2.0 * rows * inputs * width
            moved += products * (rows * inputs + inputs * width)
        elif not isinstance(stage, Rescale):
            layers += 1 if isinstance(stage, Op) else OTHER
        moved += PASSES * rows * widths[place + 1]
    sent = rows * (features * number + 8)  # and its place in the order
    computed = flops / (gpu.float32 if number == 4 else gpu.float64) + moved * number / gpu.bytes
    return gpu.step + gpu.layer * layers + computed + sent / gpu.transfer


# -- what is measured once -------------------------------------------------------------------------------------------


def kept(backend: "CupyBackend") -> Gpu:
    """What was measured of this GPU, in this process or any before; measured now if nothing was."""
    if (found := _read(backend)) is not None:
        return found
    remark(f"measures {backend.device}, once on this machine, to tell when it is faster than the processor")
    gpu = measure(backend)
    with suppress(OSError):  # then it is measured anew in the next process
        keep(backend, gpu)
    return gpu


def keep(backend: "CupyBackend", gpu: Gpu) -> None:
    """Let this process and all later ones believe that of the GPU; raises OSError where it cannot be written."""
    path, about = _place(backend)
    files.make_private(path.parent)
    files.replace(path, json.dumps({**about, "measured": asdict(gpu)}, indent=1).encode(), durable=False)


def _place(backend: "CupyBackend") -> tuple[Path, dict[str, Any]]:
    """The file of this GPU, and what must stand in it: with another driver or CuPy it may be as fast as another."""
    about = {
        "format": FORMAT,
        "device": backend.device.partition(", ")[2],
        "cupy": backend.version,
        "driver": int(backend.xp.cuda.runtime.driverGetVersion()),
    }
    name = sha256(json.dumps(about).encode()).hexdigest()[:16]
    return files.cache_folder() / "gpu" / f"{name}.json", about


def _read(backend: "CupyBackend") -> Gpu | None:
    """What is kept of this GPU; None unless all of it makes sense."""
    path, about = _place(backend)
    try:
        kept = json.loads(files.read_regular(path, 1 << 16))
        measured = kept.pop("measured")
        numbers = {name: float(value) for name, value in measured.items()}
        gpu = Gpu(**numbers)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    makes_sense = kept == about and all(math.isfinite(number) and number > 0 for number in numbers.values())
    return gpu if makes_sense else None


def measure(backend: "CupyBackend") -> Gpu:
    """The GPU's constants; this compiles the kernels of a small network, where nobody has, and takes seconds then."""
    few, many = (_small_step(backend, layers) for layers in LAYERS)
    layer = max(1e-7, (many - few) / (LAYERS[1] - LAYERS[0]))
    with backend.on_device():
        source, target = (backend.zeros(MOVED, np.uint8) for _ in range(2))
        copied = _fastest(backend, lambda: backend.xp.copyto(target, source))
        host = np.zeros(MOVED, np.uint8)
        sent = _fastest(backend, lambda: target.set(host))
    return Gpu(
        step=max(1e-7, few - LAYERS[0] * layer),
        layer=layer,
        float32=_product_rate(backend, np.float32),
        float64=_product_rate(backend, np.float64),
        bytes=2 * MOVED / copied,
        transfer=MOVED / sent,
    )


def _product_rate(backend: "CupyBackend", dtype: Any) -> float:
    with backend.on_device():
        x, w, y = (backend.zeros(rows * WIDTH, dtype).reshape(rows, WIDTH) for rows in (ROWS, WIDTH, ROWS))
        return 2 * ROWS * WIDTH**2 / _fastest(backend, lambda: backend.xp.matmul(x, w, out=y))


def _fastest(backend: "CupyBackend", call: Callable[[], Any]) -> float:
    """Seconds of a call, of the fastest of several rounds."""
    call()  # which loads libraries
    best = math.inf
    for _ in range(ROUNDS):
        backend.wait()
        start = perf_counter()
        for _ in range(REPEATS):
            call()
        backend.wait()
        best = min(best, (perf_counter() - start) / REPEATS)
    return best


def _small_step(backend: "CupyBackend", layers: int) -> float:
    """Seconds of a step of a classifier with so many layers, all of them narrow."""
    names = [f"dense_{place}" for place in range(layers)]
    stages = tuple(
        Dense(Parameter(f"{name}/kernel", (UNITS, UNITS)), Parameter(f"{name}/bias", (UNITS,)), "relu")
        for name in names
    )
    program = Program(
        input_shape=(UNITS,),
        output_features=UNITS,
        stages=stages,
        head="softmax",
        loss=Loss("softmax_cross_entropy", "labels", "mean"),
        metrics=(Metric("accuracy", "categorical_accuracy"),),
        rule="adam",
        dtype="float32",
        seed=0,
        num_threads=None,
    )
    executable, rows = backend.build(program), BATCH * STEPS
    data = executable.load(np.ones((rows, UNITS), np.float32), np.zeros(rows, np.int64), None)
    return measured_step(executable, data, np.arange(rows), BATCH)
