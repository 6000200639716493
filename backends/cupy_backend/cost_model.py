"""Cost model of a training step on a GPU: its launches, and what the GPU computes and moves.

    launches:   seconds per step, and per layer in addition, as two small networks take here
    products:   FLOPs / FLOPS of the dtype
    the rest:   bytes read and written / bytes per second
    the batch:  bytes from the host / bytes per second

The terms are added as if nothing overlapped, and the batch counts as coming from the host in every step, as in a first
epoch. So a step is overestimated, by at most a factor of two: "auto" errs towards the CPU.
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
"""Format of the kept measurements; incremented whenever the CuPy backend's steps become faster or slower."""

PASSES = 6
"""Elementwise passes over a stage's outputs, as on the CPU."""

OTHER = 0.5
"""Launch cost of a stage that is neither dense nor an operation, relative to a dense layer: two launches of five. An
operation has at most as many as a dense layer, and so has the loss of one of several outputs.
"""

ROWS, WIDTH, REPEATS, ROUNDS = 256, 2048, 5, 3
"""Measured products: a batch through a wide layer. Larger products are faster, and there the GPU wins anyway."""

MOVED = 32 << 20
"""Bytes of the arrays that are copied."""

LAYERS, UNITS, BATCH, STEPS = (1, 4), 16, 16, 256
"""Small networks whose steps are measured: the GPU has little to compute, so the time is that of launches. Enough steps
for most of them to run as graphs.
"""


@dataclass(frozen=True)
class Gpu:
    """Rates of a GPU and its host.

    Attributes:
        step: seconds per step.
        layer: seconds per layer, in addition.
        float32, float64: FLOPS in that dtype.
        bytes: bytes per second that are read and written.
        transfer: bytes per second from the host.
    """

    step: float
    layer: float
    float32: float
    float64: float
    bytes: float
    transfer: float


def seconds_per_step(program: Program, rows: int, gpu: Gpu) -> float:
    """Return the predicted seconds of a training step."""
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
            products = 1 + is_trained(stage) + has_slope[values[0]]  # forward; kernel gradient; dx if needed
            flops += products * 2.0 * rows * inputs * width
            moved += products * (rows * inputs + inputs * width)
        elif not isinstance(stage, Rescale):
            layers += 1 if isinstance(stage, Op) else OTHER
        moved += PASSES * rows * widths[place + 1]
    sent = rows * (features * number + 8)  # and its index in the order
    computed = flops / (gpu.float32 if number == 4 else gpu.float64) + moved * number / gpu.bytes
    return gpu.step + gpu.layer * layers + computed + sent / gpu.transfer


# -- what is measured once -------------------------------------------------------------------------------------------


def kept(backend: "CupyBackend") -> Gpu:
    """Return the measurements of this GPU, from this process or an earlier one; measure if there are none."""
    if (found := _read(backend)) is not None:
        return found
    remark(f"measures {backend.device}, once on this machine, to predict when it is faster than the CPU")
    gpu = measure(backend)
    with suppress(OSError):  # then the next process measures again
        keep(backend, gpu)
    return gpu


def keep(backend: "CupyBackend", gpu: Gpu) -> None:
    """Keep the measurements of the GPU for this process and later ones; raises OSError if they cannot be written."""
    path, about = _place(backend)
    files.make_private(path.parent)
    files.replace(path, json.dumps({**about, "measured": asdict(gpu)}, indent=1).encode(), durable=False)


def _place(backend: "CupyBackend") -> tuple[Path, dict[str, Any]]:
    """Return the file of this GPU, and its required header: another driver or CuPy may change its speed."""
    about = {
        "format": FORMAT,
        "device": backend.device.partition(", ")[2],
        "cupy": backend.version,
        "driver": int(backend.xp.cuda.runtime.driverGetVersion()),
    }
    name = sha256(json.dumps(about).encode()).hexdigest()[:16]
    return files.cache_folder() / "gpu" / f"{name}.json", about


def _read(backend: "CupyBackend") -> Gpu | None:
    """Return the kept measurements of this GPU; None unless all of them are valid."""
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
    """Measure the GPU's constants; takes seconds if the kernels of a small network must be compiled."""
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
    """Return the seconds of a call, the fastest of several rounds."""
    call()  # loads libraries
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
    """Return the seconds per step of a classifier with this many narrow layers."""
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
