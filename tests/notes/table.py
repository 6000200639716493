"""The tables of docs/notes.md: each figure of the course notes, and what every backend computes for it.

    DNNKIT_DATA_DIR=... python -m tests.notes.table

writes docs/notes.md and records the versions that made it.
"""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import dnnkit as dk
from tests.notes import binary_classifier, image_classifier, network_from_scratch, one_neuron
from tests.notes.figure import Figure, figures_of

NOTES = {
    "One neuron, trained by the delta rule": one_neuron,
    "A network from scratch on MNIST": network_from_scratch,
    "Training a three-layer binary classifier": binary_classifier,
    "The image classifier of the tutorial": image_classifier,
}
FIGURES = [(note, figure) for note, module in NOTES.items() for figure in figures_of(module)]
TABLE = Path(__file__).parents[2] / "docs" / "notes.md"
BACKENDS = ("numpy", "numba")

TEXT = """\
# Figures of the course notes

dnnkit grew out of four sets of course notes on training networks. Each set has a notebook in [examples](../examples)
and an exercise derived from it in [examples/exercises](../examples/exercises). The tests compute every figure below on
every backend that works where they run. These tables were written by `python -m tests.notes.table`, with {versions}.

The difference is the largest over the numbers of a row; for a bound, it is the amount by which the bound is missed. The
figures were not computed on a GPU.
"""


def number(value: float) -> str:
    """Nine digits, as the notes print them."""
    return f"{value:.9g}"


def numbers(value: Any) -> str:
    """Format a number, or a list of them."""
    flat = np.asarray(value, np.float64).reshape(-1)
    return number(flat[0]) if flat.size == 1 else "(" + ", ".join(number(v) for v in flat) + ")"


def expected(figure: Figure) -> str:
    """Format the notes' value."""
    return ("" if figure.relation == "=" else {">=": "at least ", "<=": "at most "}[figure.relation]) + numbers(
        figure.expected
    )


def rows(note: str) -> list[str]:
    """Return the table rows of the notes."""
    lines = []
    for figure in (figure for where, figure in FIGURES if where == note):
        cells = [figure.name, expected(figure)]
        for backend in BACKENDS:
            with dk.use_backend(backend):
                value = figure.compute()
            cells += [numbers(value), f"{figure.difference(value):.2g}"]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Write the table."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "dnnkit"))
    text = [TEXT.format(versions=f"Python {platform.python_version()}, {packages}")]
    heads = " | ".join(f"{name} | difference" for name in BACKENDS)
    for note in NOTES:
        text += [f"## {note}\n", f"| figure | notes | {heads} |", "| --- | --- |" + " --- | --- |" * len(BACKENDS)]
        text += [*rows(note), ""]
    TABLE.write_text("\n".join(text).rstrip() + "\n")


if __name__ == "__main__":
    main()
