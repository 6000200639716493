"""dnnkit through the public API: on Numba, also from bytes with Rescaling, as in typical use; and on a GPU."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_double, c_float, c_void_p
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dnnkit as dk
from dnnkit.backends import get_backend
from dnnkit.kernels._native import blas
from dnnkit.kernels._numba.blas import PLAIN, ROW_MAJOR

from . import machine
from .works import LAST, MOMENTUM, WEIGHT_DECAY, Network, Work, initial_weights

PACKAGES = ("dnnkit", "numba", "scipy-openblas32")
VARIANTS = ("", "uint8", "cupy")
BYTES = ("uint8",)
GENERAL = ("", "cupy")
GPU = ("cupy",)
OPTIMIZERS: dict[str, Callable[..., dk.optimizers.Optimizer]] = {
    "sgd": dk.SGD,
    "momentum": partial(dk.SGD, momentum=MOMENTUM),
    "adam": dk.Adam,
    "adamw": partial(dk.AdamW, weight_decay=WEIGHT_DECAY),
}
PRODUCTS = {"float32": ("scipy_cblas_sgemm", c_float), "float64": ("scipy_cblas_dgemm", c_double)}


def about(variant: str) -> dict[str, str]:
    if variant in GPU:
        backend = get_backend("cupy")
        return {"setting": f"cupy backend {backend.version}, fit, float32", "device": backend.device}
    data = "uint8 images and a Rescaling layer" if variant == "uint8" else "float32"
    return {"setting": f"numba backend, fit, {data}", "threads": f"num_threads=None, up to {machine.processors()}"}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    rescaling = [dk.Rescaling(1 / 255)] if variant == "uint8" else []
    hidden = [dk.Dense(width, activation=work.activation) for width in work.widths[1:-1]]
    output = dk.Dense(work.widths[-1], activation=LAST[work.loss])
    net = dk.Sequential(
        [*rescaling, *hidden, output], backend="cupy" if variant in GPU else "numba", dtype=work.dtype, seed=0
    )
    net.compile(OPTIMIZERS[work.optimizer](work.learning_rate), work.loss)
    net.build(work.widths[0])
    weights = [array for layer in initial_weights(work) for array in layer]
    net.set_parameters(dict(zip(net.parameters, weights, strict=True)))

    def train(epochs: int) -> float:
        return net.fit(x, y, batch_size=work.batch_size, epochs=epochs, verbose=0)["loss"][-1]

    return Network(train, net.predict, net.history.plan.execution)


def neuron(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any], iterations: int, variant: str
) -> Callable[[], NDArray[Any]]:
    layer = dk.Dense(1, activation="sigmoid", use_bias=False)
    net = dk.Sequential([layer], backend="numba", dtype="float64", seed=0)
    net.compile(dk.SGD(1.0), "sum_squared_error")
    net.build(x.shape[1])
    net.parameters["dense/kernel"] = weights

    def run() -> NDArray[Any]:
        net.fit(x, y, batch_size=len(x), steps=iterations, steps_per_epoch=iterations, shuffle=False, verbose=0)
        return net.parameters["dense/kernel"]

    return run


def product(a: NDArray[Any], b: NDArray[Any]) -> Callable[[], Any]:
    """Use the BLAS that compiled code calls, with the rows divided among as many threads as processors."""
    out, (rows, inner), columns, parts = np.empty_like(a), a.shape, b.shape[1], machine.processors()
    function, number = PRODUCTS[a.dtype.name]
    pool, one, nothing = ThreadPoolExecutor(parts), number(1.0), number(0.0)
    sizes = [len(part) for part in np.array_split(np.arange(rows), parts)]
    starts = [sum(sizes[:part]) for part in range(parts)]

    multiply_there = getattr(blas.library(), function)

    def multiply(start: int, count: int) -> None:
        left, right, result = (c_void_p(array.ctypes.data) for array in (a[start:], b, out[start:]))
        shape, order = (count, columns, inner), (ROW_MAJOR, PLAIN, PLAIN)
        multiply_there(*order, *shape, one, left, inner, right, columns, nothing, result, columns)

    def run() -> NDArray[Any]:
        list(pool.map(multiply, starts, sizes))
        return out

    return run
