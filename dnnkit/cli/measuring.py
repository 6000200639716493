"""Shared parts of the `dnnkit bench` commands: output files and tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dnnkit.cli.output import json_output, text_output

if TYPE_CHECKING:
    from rich.console import Console

    from dnnkit.bench.progress import Stage
    from dnnkit.bench.results import Results
    from dnnkit.bench.selection import Selection


def listed(names: list[str] | None) -> list[str] | None:
    """Return the names of a repeatable option, each of which may be a comma-separated list."""
    return [name.strip() for item in names for name in item.split(",")] if names else None


@contextmanager
def measuring(
    kind: str,
    selection: "Selection | None",
    settings: dict[str, Any],
    json: str | None,
    csv: str | None,
    report: Path | None,
    markdown: str | None = None,
    *,
    full: bool = False,
) -> Iterator[tuple["Results", "Stage"]]:
    """Measure in the block, then show the tables and write the files. The files are opened before measuring.

    Arguments:
        kind: name of the bench.
        selection: its backends and effort, if it has any.
        settings: other settings, by name.
        json, csv, report, markdown: files to write; "-" is standard output.
        full: whether to show every table, or only the most important ones.
    """
    from time import perf_counter

    from dnnkit.bench import markdown as document
    from dnnkit.bench import progress, terminal
    from dnnkit.bench.machine import load_average
    from dnnkit.bench.report import page
    from dnnkit.bench.results import Results
    from dnnkit.errors import ConfigurationError
    from dnnkit.extras import require
    from dnnkit.files import as_path

    targets = [
        f"--{name} -" for name, target in (("json", json), ("csv", csv), ("markdown", markdown)) if target == "-"
    ]
    if len(targets) > 1:
        raise ConfigurationError(f"{' and '.join(targets)}: only one of them can be standard output")
    if report is not None:  # fail before hours of measuring
        require("plot", f"the report {report}")
    described = dict(settings)
    if selection is not None:
        described |= {
            "backends": [backend.name for backend in selection.backends],
            "rounds": selection.effort.rounds,
            "seconds per round": selection.effort.seconds,
        }
    with (
        text_output(None if report is None else str(report)) as html,
        text_output(csv) as lines,
        text_output(markdown) as document_parts,
        json_output(json) as written,
    ):
        results = Results(kind, described)
        start = perf_counter()
        with progress.bar() as stage:
            yield results, stage
        results.seconds = perf_counter() - start
        results.judge(load_average())
        written |= results.to_json()
        lines.append(results.to_csv().rstrip("\n"))
        if report is not None:
            html.append(page(results))
        if markdown is not None:
            document_parts.append(document.page(results, None if markdown == "-" else as_path(markdown)))
        terminal.show(results, console(), full)
        if report is not None:
            typer.echo(f"report {report}")


def console() -> "Console":
    """Return a console; without a terminal, lines are wide enough for the tables."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)
