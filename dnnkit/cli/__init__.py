"""The command line, one file per command."""

import gc
import io
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from dnnkit import __version__
from dnnkit.cli import backends, bench, compile, doctor, inspect, predict, sweep, train, usage
from dnnkit.cli.output import send_to_nowhere
from dnnkit.errors import DnnkitError
from dnnkit.training.interrupts import end_program

app = typer.Typer(
    name="dnnkit",
    help="Train dense neural networks at the speed of the machine.",
    no_args_is_help=True,
    epilog=usage.EXIT_STATUS,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("sweep")(sweep.sweep)
app.command("predict")(predict.predict)
app.add_typer(bench.app, name="bench", rich_help_panel="Commands")
app.command("inspect")(inspect.inspect)
app.command("backends")(backends.backends)
app.command("compile")(compile.compile_ahead)
app.command("doctor")(doctor.doctor)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dnnkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Train dense neural networks at the speed of the machine."""


def main() -> None:
    """Run the command line. Errors that the user can fix are one line on standard error, with exit status 2.

    Ctrl-C exits with 130, SIGTERM with 143. docs/cli.md lists all exit statuses.
    """
    warnings.formatwarning = lambda message, *_, **__: f"dnnkit: warning: {message}\n"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # print "?" for characters that the encoding lacks
    try:
        with _ending_on_signals(), _standard_output():
            if status := app(prog_name="dnnkit", standalone_mode=False):
                sys.exit(status)
    except usage.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error, err=True)
        else:
            typer.echo(f"dnnkit: {usage.explain(error)}", err=True)
        sys.exit(2)
    except DnnkitError as error:
        if not error.told_elsewhere:
            typer.echo(f"dnnkit: {error}", err=True)
        sys.exit(2)
    except MemoryError as error:
        typer.echo(f"dnnkit: not enough memory: {error}; choose a smaller network or batch", err=True)
        sys.exit(2)


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Exit with 130 on Ctrl-C and 143 on SIGTERM, also when the signal is sent repeatedly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end_program) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        status = 130 if isinstance(error, KeyboardInterrupt) else error.code
        if status in (130, 143):
            before = dict.fromkeys(before, signal.SIG_IGN)  # Python's own handlers would act on a repeated signal
            gc.freeze()  # the collection at exit takes up to seconds on what a compiler has allocated
        sys.exit(status)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _standard_output() -> Iterator[None]:
    """Report a standard output that cannot be written in one line, also when the final flush fails."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        send_to_nowhere()
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # the status of a program killed by SIGPIPE
        typer.echo(f"dnnkit: cannot write to standard output: {error.strerror}", err=True)
        sys.exit(2)
