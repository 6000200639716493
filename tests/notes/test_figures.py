"""Every figure of the notes, on every backend, and in the table of the documents."""

from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from tests import conftest
from tests.notes.figure import Figure
from tests.notes.table import FIGURES, TABLE, expected
from tests.test_documents import has_mnist

# The strict library is here to be strict, and takes minutes for what takes others seconds.
REAL = [name for name in conftest.tested_backends() if name != conftest.STRICT]


@pytest.mark.parametrize(
    ("figure", "backend"),
    [
        pytest.param(
            figure,
            backend,
            id=f"{note}: {figure.name}-{backend}",
            marks=[pytest.mark.slow] if figure.is_long and backend == "numpy" else [],
        )
        for note, figure in FIGURES
        for backend in REAL
    ],
)
def test_figure(figure: Figure, backend: str) -> None:
    if figure.needs_mnist and not has_mnist():
        pytest.skip("needs MNIST in DNNKIT_DATA_DIR")
    with dk.use_backend(backend):
        value = figure.compute()
    assert figure.holds(value), f"{np.asarray(value)} is {figure.difference(value):.3g} from {figure.expected}"


@pytest.mark.gpu
def test_every_figure_on_a_gpu() -> None:
    with dk.use_backend("cupy"):
        wrong = [figure.name for _, figure in FIGURES if not figure.holds(figure.compute())]
    assert not wrong


def test_the_table_has_every_figure() -> None:
    rows = [line.split(" | ") for line in Path(TABLE).read_text().splitlines() if line.startswith("| ")]
    listed = {(row[0].removeprefix("| "), row[1]) for row in rows}
    assert {(figure.name, expected(figure)) for _, figure in FIGURES} <= listed
