"""`dnnkit inspect`: the layers of a saved network, and how a training step runs here."""

from pathlib import Path
from typing import Annotated

import typer

from dnnkit.cli.output import json_output


def inspect(
    run: Annotated[
        Path, typer.Argument(help="A run folder, as `dnnkit train` or `net.save` writes it.", metavar="RUN")
    ],
    batch_size: Annotated[int | None, typer.Option(help="Rows per step.", show_default="the run's, else 32")] = None,
    backend: Annotated[str | None, typer.Option(help="Backend; see `dnnkit backends`.")] = None,
    schedule: Annotated[bool, typer.Option("--schedule", help="Also print each worker's instructions.")] = False,
    json: Annotated[str | None, typer.Option(help="Also write as JSON to this file; - is standard output.")] = None,
) -> None:
    """Show the layers of a saved network, the partition of a training step, and the time of each part.

    A copy trains some steps on random numbers with learning rates of 0; the run is not changed.

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
            typer.echo("\n" + (found.step.schedule or "No schedule: the backend runs stage by stage."))


def _recorded(execution: str) -> int | None:
    """Return the batch size recorded in the run, or None."""
    size = execution.rpartition("@")[2]
    return int(size) if size.isdecimal() else None
