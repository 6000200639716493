"""Artificial results of every kind, in the form of measured ones."""

from math import inf

from dnnkit.bench.results import Results, Row

NAMED = ("dense forward", "update adam", "gelu forward", "softmax forward")
ACTIVATIONS = {  # ms to 97 % and to 95 %, iterations to 97 %, µs per step, ns per element
    "relu": (41.0, 20.0, 900.0, 20.0, 0.2),
    "tanh": (41.6, 22.0, 1000.0, 21.0, 0.4),
    "elu": (40.8, 21.0, 950.0, 20.2, 0.3),
    "gelu": (80.0, 40.0, 1400.0, 30.0, 1.2),
    "silu": (90.0, 45.0, 1500.0, 25.0, 0.8),
    "sigmoid": (205.0, 100.0, 5000.0, 22.0, 0.5),
    "step": (inf, inf, inf, 20.1, 0.2),
}
SPREAD = (0.99, 0.995, 1.0, 1.005, 1.01)


def _row(table: str, case: dict[str, str | int], unit: str, middle: float, **facts: object) -> Row:
    return Row(table, case, unit, tuple(middle * share for share in SPREAD), facts)


def activations(**times: tuple[float, float, float, float, float]) -> Results:
    """On two backends, of which the second takes ten times as long."""
    found = Results("activations", {"backends": ["numba", "numpy"]}, command="dnnkit bench activations")
    for backend, factor in (("numba", 1.0), ("numpy", 10.0)):
        for name, (late, early, count, step, element) in (times or ACTIVATIONS).items():
            case: dict[str, str | int] = {"activation": name, "backend": backend}
            found.rows.append(_row("step", case, "µs per step", factor * step))
            for cache in ("warm", "cold"):
                for direction in ("forward", "backward"):
                    whole = {**case, "pass": direction, "cache": cache}
                    facts = {"floor": 0.1, "of bandwidth": 0.1 / element, "elements": 65536}
                    found.rows.append(_row("elements", whole, "ns per element", factor * element, **facts))
            for task, milliseconds in (("digits to 97%", late), ("digits to 95%", early)):
                for what, unit, value in (
                    ("iterations", "iterations", count),
                    ("seconds", "s", factor * milliseconds / 1e3),
                ):
                    learned = {"task": task, **case, "quantity": what}
                    found.rows.append(_row("learning", learned, unit, value, reached=5, of=5))
            final = {"task": "digits", **case, "quantity": "final accuracy"}
            found.rows.append(_row("learning", final, "accuracy", 0.97, epochs=60))
            line = {
                "seconds": [0.01 * factor, 0.02 * factor],
                "median": [0.9, 0.95],
                "low": [0.8, 0.9],
                "high": [0.9, 0.96],
            }
            found.curves.append({"curve": "accuracy", "activation": name, "backend": backend, **line})
    found.identical.append(("twin", (1.0, 1.0), (1.02, 1.02)))
    return found


def kernels(count: int = 14) -> Results:
    """Many activations, most of them close to another."""
    found = Results("kernels", {}, command="dnnkit bench kernels")
    for backend, factor in (("numba", 1.0), ("numpy", 3.0)):
        for size in ("small", "large"):
            for number in range(count):
                name = [*NAMED, *(f"k{each}" for each in range(4, count))][number]
                facts = {"bytes": 1000, "operations": 200, "bandwidth": 1e10, "FLOP rate": 1e11, "floor": 0.1}
                time = factor * (1 + 0.01 * number)
                case: dict[str, str | int] = {"kernel": name, "backend": backend, "dtype": "float32", "size": size}
                facts["of floor"] = 0.1 / time
                found.rows.append(_row("kernels", case, "µs per call", time, **facts, **{"bound by": "bytes"}))
    return found


def steps() -> Results:
    """Two networks."""
    found = Results("step", {}, command="dnnkit bench step")
    for network, time in (("784-512-512-10 relu adam batch 128", 4000.0), ("64-128-10 tanh adam batch 32", 30.0)):
        for backend, factor in (("numba", 1.0), ("numpy", 4.0)):
            facts = {"floor": 0.5 * time, "of floor": 0.5}
            found.rows.append(
                _row("steps", {"network": network, "backend": backend}, "µs per step", factor * time, **facts)
            )
    return found


def peers(others: tuple[str, ...] = ("torch", "jax")) -> Results:
    """Two works and a product."""
    found = Results("peers", {}, command="dnnkit bench peers")
    for work, time in (
        ("gemm. matrix product", 0.1),
        ("1. 784-128-10, ReLU, Adam, batch 32", 0.04),
        ("6. one neuron", 0.002),
    ):
        for number, peer in enumerate(("dnnkit", *others)):
            found.rows.append(_row("peers", {"peer": peer, "work": work}, "s", time * (1 + 2 * number)))
    return found
