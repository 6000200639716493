"""The command line: one file a command."""

import sys
import warnings
from typing import Annotated

import typer

from dnnkit import __version__
from dnnkit.cli import backends, bench, doctor, predict, train
from dnnkit.errors import DnnkitError

app = typer.Typer(
    name="dnnkit",
    help="Train dense neural networks at the speed of the machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.add_typer(bench.app, name="bench", rich_help_panel="Commands")
app.command("backends")(backends.backends)
app.command("doctor")(doctor.doctor)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dnnkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave."),
    ] = False,
) -> None:
    """Train dense neural networks at the speed of the machine."""


def main() -> None:
    """Run the command line; what the user can mend is one line on standard error and exit status 2."""
    warnings.formatwarning = lambda message, *_, **__: f"dnnkit: warning: {message}\n"
    try:
        app()
    except DnnkitError as error:
        typer.echo(f"dnnkit: {error}", err=True)
        sys.exit(2)
    except MemoryError as error:
        typer.echo(f"dnnkit: not enough memory: {error}; choose a smaller network or batch", err=True)
        sys.exit(2)
