"""Results as a self-contained HTML page: sortable tables, plots, the machine, the command."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from math import isfinite
from typing import Any

from dnnkit.bench import plots
from dnnkit.bench.cells import Cell, Table
from dnnkit.bench.compare import DRIFT
from dnnkit.bench.glance import glance
from dnnkit.bench.results import Results
from dnnkit.bench.statistics import noise_of
from dnnkit.bench.tables import noise_text, tables

TITLES = {
    "activations": "What an activation costs",
    "kernels": "What a kernel costs",
    "step": "What a training step costs",
    "peers": "dnnkit and its peers",
    "random": "Random networks",
}


def page(results: Results) -> str:
    """Return the HTML page."""
    title = TITLES.get(results.kind, results.kind)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)} – dnnkit bench {escape(results.kind)}</title>",
        f"<style>{_asset('page.css')}</style></head><body><header><h1>{escape(title)}</h1>",
        f"<p>{escape(results.date)} · {results.seconds:.0f} s · {escape(str(results.machine['processor']))}, "
        f"{results.machine['processors']} processors · {escape(noise_text(results))}</p>",
        f'<p>To repeat: <code id="command">{escape(results.command)}</code></p>',
        *(f'<p class="warning">{escape(warning)}</p>' for warning in results.warnings),
        "</header><main>",
        *_glance(results),
        *_plots(results),
        *(part for table in tables(results) for part in _table(table)),
        *_machine(results),
        "</main>",
        f"<script>{_asset('page.js')}</script></body></html>",
    ]
    return "\n".join(parts)


def _asset(name: str) -> str:
    return files("dnnkit.bench").joinpath(name).read_text(encoding="utf-8")


def _glance(results: Results) -> Iterator[str]:
    first = glance(results)
    if first is None:
        return
    yield f'<section class="first"><p class="sentence">{escape(first.sentence)}.</p>'
    if first.ranking is not None:
        yield f"<h2>{escape(first.ranking.title)}</h2><p>{escape(first.ranking.note)}</p>"
        yield from _rows(first.ranking)
    yield from (f"<p>{escape(line)}</p>" for line in first.lines)
    yield "</section>"


def _plots(results: Results) -> Iterator[str]:
    for title, note, figure in plots.draw(results):
        yield f'<section class="plot"><h2>{escape(title)}</h2><p>{escape(note)}</p>{plots.svg(figure)}</section>'


def _table(table: Table) -> Iterator[str]:
    yield f"<section><h2>{escape(table.title)}</h2><p>{escape(table.note)}</p>"
    yield '<label>Show rows with <input type="search" placeholder="relu numba warm"></label>'
    yield from _rows(table)
    yield "</section>"


def _rows(table: Table) -> Iterator[str]:
    yield '<div class="wide"><table><thead><tr>'
    for place, column in enumerate(table.head):
        numeric = ' class="number"' if table.is_numeric(place) else ""
        yield f'<th{numeric} aria-sort="none"><button type="button">{escape(column.strip())}</button></th>'
    yield "</tr></thead><tbody>"
    for line in table.lines:
        yield f"<tr>{''.join(map(_cell, line))}</tr>"
    yield "</tbody></table></div>"


def _cell(cell: Cell) -> str:
    if isinstance(cell.value, str):
        return f"<td>{escape(cell.text)}</td>"
    value = repr(float(cell.value)) if isfinite(cell.value) else ("Infinity" if cell.value > 0 else "-Infinity")
    return f'<td class="number" data-value="{value}">{escape(cell.text)}</td>'


def _machine(results: Results) -> Iterator[str]:
    yield '<section><h2>The machine and the settings</h2><table class="facts"><tbody>'
    for name, value in {**results.machine, **results.settings}.items():
        yield f"<tr><th>{escape(str(name))}</th><td>{escape(words(value))}</td></tr>"
    for name, quantity in limit_texts(results):
        yield f"<tr><th>{escape(name)}</th><td>{quantity}</td></tr>"
    for name, a, b in results.identical:
        yield f"<tr><th>identical code: {escape(name)}</th><td>differed by {noise_of([(a, b)]):.1%}</td></tr>"
    yield "</tbody></table>"
    yield (
        "<p>Cases take turns, in a different order each round; rows have the median over the rounds and the quartiles. "
        "Outliers (more than 1.5 interquartile ranges outside) are counted and kept. Compilation is not timed. "
        "≈ marks differences within chance (95 %) or within the noise between runs of identical code. "
        f"Between two runs, differences below {DRIFT:.0%} are not reported.</p></section>"
    )


def limit_texts(results: Results) -> Iterator[tuple[str, str]]:
    """Yield the name and rate of each limit measured on the machine."""
    for name, rate in results.limits.items():
        yield name.rsplit(", ", 1)[0], f"{rate / 1e9:,.1f} G{'FLOP/s' if 'FLOP' in name else 'B/s'}"


def words(value: Any) -> str:
    """Format a setting."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {words(item)}" for name, item in value.items()) or "none set"
    if isinstance(value, list | tuple):
        return ", ".join(map(words, value)) or "none"
    return "–" if value is None else str(value)
