"""`dnnkit inspect`: what a saved network is, and how a training step of it runs here."""

from pathlib import Path
from typing import Annotated

import typer

from dnnkit.cli.output import json_output


def inspect(
    run: Annotated[Path, typer.Argument(help="A run folder, as `dnnkit train` or `net.save` writes it.")],
    batch_size: Annotated[
        int | None, typer.Option(help="Rows of a step.", show_default="that of the run, else 32")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Where to compute; see `dnnkit backends`.")] = None,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="Also tell what each worker does, instruction by instruction.")
    ] = False,
    json: Annotated[str | None, typer.Option(help="Write all as JSON to this file; - is standard output.")] = None,
) -> None:
    """Show the layers of a saved network, how a step of its training is partitioned, and how long each part takes.

    A copy trains some steps on random numbers, at learning rates of 0; the run stays as it is.

    Examples:

        dnnkit inspect runs/digits

        dnnkit inspect runs/digits --batch-size 128 --schedule
    """
    from dataclasses import asdict

    from dnnkit.saves.loading import load_network

    with json_output(json) as result:
        net = load_network(run, backend, None)
        net.summary()
        found = net.inspect(batch_size=batch_size or _recorded(net.executable.state.execution) or 32)
        result.update(asdict(found))
        typer.echo(str(found))
        if schedule:
            typer.echo("\n" + (found.step.schedule or "There is no schedule: the backend goes stage by stage."))


def _recorded(execution: str) -> int | None:
    """The batch size that the run was trained with, where it says so."""
    size = execution.rpartition("@")[2]
    return int(size) if size.isdecimal() else None
