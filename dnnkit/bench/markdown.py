"""Results as Markdown: the machine, the command, warnings, every table in full, and plots as separate files."""

from collections.abc import Iterator
from pathlib import Path

from dnnkit.bench import plots
from dnnkit.bench.cells import Table
from dnnkit.bench.glance import glance
from dnnkit.bench.report import TITLES, limit_texts, words
from dnnkit.bench.results import Results
from dnnkit.bench.tables import noise_text, tables

DOTS = 130
"""Resolution of plots, dots per inch."""


def page(results: Results, path: Path | None = None) -> str:
    """Return the Markdown text.

    Arguments:
        results: the results.
        path: file that the text will be written to; plots are saved next to it as PNG, with its name. None: no plots.
    """
    machine = results.machine
    lines = [f"# {TITLES.get(results.kind, results.kind)}", ""]
    lines.append(f"- {results.date}, {results.seconds:.0f} s, `{results.command}`")
    lines.append(f"- {machine['processors']} processors ({machine['processor']}), {machine['system']}")
    lines.append(f"- load average {machine['load before']} before, {machine.get('load after')} after")
    lines += [f"- {name}: {words(value)}" for name, value in results.settings.items()]
    lines += [f"- {name}: {rate}" for name, rate in limit_texts(results)]
    lines += [f"- {noise_text(results)}", *(f"- **warning**: {warning}" for warning in results.warnings), ""]
    if (first := glance(results)) is not None:
        lines += [f"**{first.sentence}.**", "", *(() if first.ranking is None else _table(first.ranking))]
        lines += [f"- {line}" for line in first.lines] + ([""] if first.lines else [])
    lines += [] if path is None else _plots(results, path)
    for table in tables(results):
        lines += _table(table)
    return "\n".join(lines).rstrip("\n")


def _plots(results: Results, path: Path) -> Iterator[str]:
    for number, (title, note, figure) in enumerate(plots.draw(results)):
        file = path.with_name(f"{path.stem}{f'-{number + 1}' if number else ''}.png")
        figure.savefig(file, dpi=DOTS)
        yield from (f"![{title}]({file.name})", "", note, "")


def _table(table: Table) -> Iterator[str]:
    yield from (f"## {table.title}", "", table.note, "")
    yield f"| {' | '.join(column.strip() for column in table.head)} |"
    yield f"| {' | '.join('---:' if table.is_numeric(place) else '---' for place in range(len(table.head)))} |"
    yield from (f"| {' | '.join(cell.text for cell in line)} |" for line in table.lines)
    yield ""
