"""Artificial results: two networks, three peers, one of which reached another loss."""

from dnnkit.bench.peers.works import Work, product_flops
from dnnkit.bench.results import Results, Row

SMALL = Work("8-16-2 relu SGD f32 b10", "", widths=(8, 16, 2), samples=100, batch_size=10)
LONG = "1024-1024-1024-1024-1024-100 sigmoid momentum f64 b1024"
LARGE = Work(LONG, "", widths=(1024, 1024, 1024, 1024, 1024, 100), samples=4096, batch_size=1024, dtype="float64")
FLOOR = 2.0
"""In ms."""


def row(work: Work, peer: str, *samples: float, loss: float = 0.5) -> Row:
    """Return a peer's rounds, in ms per epoch."""
    facts = {"loss": loss, "epochs": 1, "operations": product_flops(work), "steps": work.steps, "floor": FLOOR}
    return Row(
        "random", {"peer": peer, "network": work.name}, "ms per epoch", samples, facts | {"work": work.to_json()}
    )


def made_up() -> Results:
    """JAX takes 3 and 0.75 times as long as dnnkit, PyTorch 12 and 0.99 times; it is wrong on the second network."""
    rows = [row(SMALL, "dnnkit", 4.0, 4.2, 3.8), row(SMALL, "jax", 12.0, 12.6, 11.4), row(SMALL, "torch", 48.0, 50, 46)]
    rows += [row(LARGE, "dnnkit", 100.0, 101.0, 99.0), row(LARGE, "jax", 75.0, 76.0, 74.0, loss=0.5 + 1e-7)]
    rows += [row(LARGE, "torch", 99.0, 100.0, 98.0, loss=0.5 + 1e-5)]
    identical = [(f"dnnkit, {SMALL.name}", (4.0, 4.2), (4.1, 4.2))]
    machine = {"processor": "one", "processors": 2, "system": "Linux", "load before": 0.1}
    return Results("random", {"count": 2}, machine, "dnnkit bench random", rows=rows, identical=identical)
