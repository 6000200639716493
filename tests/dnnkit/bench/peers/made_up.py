"""Small works, and artificial results."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from dnnkit.bench.peers import machine
from dnnkit.bench.peers.registry import find_peers
from dnnkit.bench.peers.results import SCHEMA
from dnnkit.bench.peers.works import BEST, FLOOR, Target, Work, product_flops

ROOT = Path(__file__).parents[4]
PLAIN = [peer for peer in find_peers().values() if not peer.variant or (peer.family == "dnnkit" and not peer.needs_gpu)]
"""Compiling variants takes longer than a test should."""
SMALL = Work("1", "small", widths=(784, 16, 10), samples=300, counted=3)
WORK = replace(SMALL, targets=(Target("torch", 2.0), Target(BEST, 2.0), Target(FLOOR, 3.0), Target("jax", 1.0)))
FLOPS = 1e9
"""A second, as the lower bound of these artificial results."""


def made_up() -> dict[str, Any]:
    """dnnkit needs 2 times the lower bound, torch-compile 3, torch 8; torch learned something else."""
    unit = product_flops(WORK) / FLOPS
    gemm, copied = Work("gemm", "product", "gemm", size=10), Work("copy", "copy", "copy", size=1000)
    neuron = Work("6", "neuron", "neuron")

    def record(work: str, peer: str, number: int, *seconds: float, **more: Any) -> dict[str, Any]:
        about = {"round": number, "place": 0, "work": work, "peer": peer, "load": 0.5, "cores": 1.0, "first": 1.0}
        return about | {"seconds": list(seconds), "memory": 100 * 2**20} | more

    records = [record("gemm", "torch", 0, 2000 / FLOPS, 4000 / FLOPS), record("gemm", "dnnkit", 0, 3000 / FLOPS)]
    records += [record("copy", "torch", 0, 8000 / 1e9)]
    for number, factor in enumerate((1.0, 0.9, 1.2)):
        for peer, floors, accuracy in (("dnnkit", 2, 0.97), ("torch", 8, 0.95), ("torch-compile", 3, 0.965)):
            seconds = factor * floors * unit
            middle = (0.5 * seconds, seconds, 3 * seconds)  # the median of a process counts
            records.append(record("1", peer, number, *middle, loss=0.1, accuracy=accuracy))
    records += [record("6", "dnnkit", 0, 1e-3, loss=1.0), record("6", "torch", 0, 1e-2, loss=1.01)]
    return {
        "schema": SCHEMA,
        "kind": "works",
        "date": "2026-01-01T00:00:00+00:00",
        "machine": machine.describe(),
        "options": {"rounds": 3, "samples": 300, "epochs": None, "product": None, "data": "random"},
        "works": [work.to_json() for work in (gemm, copied, WORK, neuron)],
        "peers": {
            name: {"family": name.split("-")[0], "versions": {"p": "1.0"}, "setting": "usual", "threads": "2"}
            for name in ("dnnkit", "torch", "torch-compile")
        },
        "left_out": {"jax": "jax is not installed"},
        "records": records,
        "failures": [{"round": 1, "work": "6", "peer": "torch", "error": "out of memory"}],
    }
