"""`dnnkit predict RUN table.csv`: predictions of an estimator for the rows of a table; columns are matched by name."""

from pathlib import Path
from typing import Any

import numpy as np
import typer

from dnnkit.cli.predictions import Predictions
from dnnkit.cli.tables import targets_of
from dnnkit.errors import CheckpointError
from dnnkit.estimators.saving import NAME, load_estimator
from dnnkit.files import as_path
from dnnkit.saves.folder import read_files
from dnnkit.tables.reading import TextOptions, read_table
from dnnkit.tables.summary import listed
from dnnkit.tables.table import Table


def is_run_on_table(run: Path) -> bool:
    """Return whether a run folder holds an estimator; raise `CheckpointError` if it is not a save."""
    return NAME in read_files(as_path(run))


def predictions_of_table(run: Path, file: Path, backend: str | None, options: TextOptions) -> Predictions:
    """Return the estimator's predictions for a table; print notes about the table on standard error."""
    estimator = load_estimator(run, backend=backend)
    table = read_table(file, options)
    if estimator.encoder_ is None or not hasattr(estimator.encoder_, "transform_with_notes"):
        raise CheckpointError(f"{run} has no encoder of tables: predict in Python with dk.load_estimator({str(run)!r})")
    return predict(estimator, _arranged(estimator, table), run)


def _arranged(estimator: Any, table: Table) -> Table:
    """Return the columns that the estimator was trained on, in their order; report the other ones."""
    encoder = estimator.encoder_
    arranged: Table = encoder.arranged(table)
    known = set(arranged.names)
    others = [name for name in table.names if name not in known]
    if others:
        typer.echo(f"ignored, not among the columns of the training: {listed(others)}", err=True)
    for note in encoder.transform_with_notes(arranged)[1]:
        typer.echo(str(note), err=True)
    return arranged


def predict(estimator: Any, table: Table, run: Path) -> Predictions:
    """Return classes with their probabilities, or values."""
    if not hasattr(estimator, "classes_"):
        values = np.asarray(estimator.predict(table))
        values = values[:, None] if values.ndim == 1 else values
        return Predictions(tuple(targets_of(run, values.shape[1])), values)
    probabilities = np.asarray(estimator.predict_proba(table))
    if estimator.predict(table.take([0])).ndim == 2:  # several labels per row, each with its probability
        return Predictions(tuple(targets_of(run, probabilities.shape[1])), probabilities)
    return Predictions(tuple(targets_of(run, 1)), probabilities, estimator.classes_)
