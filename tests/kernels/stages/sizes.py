"""An example of each kind of stage with CUDA kernels, of any size."""

from collections.abc import Callable

from dnnkit.kernels.stages import Example

CENTERED = {"center": True, "scale": True}
OF_SIZE: dict[str, Callable[[int], Example]] = {
    "add": lambda n: Example((n, n, n), n),
    "multiply": lambda n: Example((n, n, n), n),
    "columns": lambda n: Example((2 * n,), n, settings={"start": n // 2, "stop": n // 2 + n}),
    "concatenate": lambda n: Example((n, 4, n), 2 * n + 4),
    "scale": lambda n: Example((2 * n,), 2 * n, {"scale": (2 * n,)}),
    "prelu": lambda n: Example((n,), n, {"alpha": (n,)}),
    "normalization": lambda n: Example(
        (2 * n,), 2 * n, {"mean": (n,), "variance": (n,), "count": (1,)}, {"channels": n}, positive=("variance",)
    ),
    "gaussian_noise": lambda n: Example((n,), n, settings={"stddev": 0.5}),
    "batch_normalization": lambda n: Example(
        (2 * n,), 2 * n, {name: (n,) for name in ("gamma", "beta", "mean", "variance")},
        {"channels": n, "momentum": 0.9, "epsilon": 1e-3, "frozen": False, **CENTERED}, positive=("variance",),
    ),
    "layer_normalization": lambda n: Example(
        (2 * n,), 2 * n, {"gamma": (n,), "beta": (n,)}, {"channels": n, "epsilon": 1e-3, "centered": True, **CENTERED}
    ),
    "embedding": lambda n: Example((3,), 3 * n, {"table": (5, n)}, {"classes": 5}, x="categories"),
    "one_hot": lambda n: Example(
        (2,), n + 3, settings={"sizes": (n, 3), "mode": "concatenate"}, x="categories"
    ),
    "periodic_embedding": lambda n: Example(
        (2,), 2 * n, {"frequencies": (2, 3), "kernel": (2, 6, n), "bias": (2, n)}, {"frequencies": 3, "units": n}
    ),
}  # fmt: skip
"""Return an example of each kind, with this number of features or channels."""
