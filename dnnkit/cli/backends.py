"""`dnnkit backends`: the usable backends, the chosen one, and the reason."""

import os
from collections.abc import Iterator
from typing import Any

import typer

EXAMPLES = ((784, 128, 10), 32), ((784, 4096, 4096, 10), 512)
"""Widths and batch rows of two examples: one that trains faster on a CPU, and one that trains faster on any GPU."""


def backends() -> None:
    """List the backends, the one that a network gets here and why, and the folder of compiled kernels."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from dnnkit.backends import available, choice, get_backend
    from dnnkit.backends.registry import AUTO
    from dnnkit.files import cache_folder

    console = Console(markup=False)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("backend", "works", "version", "device", "why not"):
        table.add_column(column, overflow="fold")
    for info in available():
        table.add_row(
            info.name,
            "yes" if info.available else "no",
            info.version or "",
            info.device or "",
            info.reason or "",
        )
    console.print(table)
    typer.echo(f"cache: {cache_folder()} ({'DNNKIT_CACHE_DIR' if os.environ.get('DNNKIT_CACHE_DIR') else 'default'})")
    chosen = choice()
    backend = get_backend()
    why = f"{chosen.origin}: {chosen.name}"
    if chosen.name == "auto":
        why += f", the first of {' and '.join(AUTO)} that works; a network may get a GPU"
    typer.echo(f"chosen: {backend.name} ({why})")
    for line in _of_networks() if chosen.name == "auto" else ():
        typer.echo(line)


def _of_networks() -> Iterator[str]:
    """Describe what "auto" decides for the examples: classifiers with ReLU and Adam."""
    from dnnkit.backends.choosing import choose
    from dnnkit.layers import Dense
    from dnnkit.losses import SparseCategoricalCrossentropy
    from dnnkit.network.lowering import lower
    from dnnkit.optimizers import Adam

    for widths, rows in EXAMPLES:
        layers = [Dense(width, activation="relu") for width in widths[1:-1]] + [Dense(widths[-1], activation="softmax")]
        loss = SparseCategoricalCrossentropy()
        network: dict[str, Any] = {"loss": loss, "metrics": ("accuracy",), "optimizer": Adam()}
        program = lower(layers, widths[:1], **network, dtype="float32", seed=0, num_threads=None)
        yield f"  {'-'.join(map(str, widths))} in batches of {rows}: {choose('auto', program, rows).why}"
