"""Tables on the command line: options, reports, and the names of targets in a run folder."""

import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from dnnkit.errors import CheckpointError, ConfigurationError, DataError
from dnnkit.files import read_regular, replace
from dnnkit.saves.folder import to_json
from dnnkit.saves.schema import LARGEST_JSON, list_of, read, record, text
from dnnkit.settings import shown
from dnnkit.tables.columns import Options
from dnnkit.tables.finding import find_columns
from dnnkit.tables.reading import TextOptions
from dnnkit.tables.summary import listed, listed_words, report
from dnnkit.tables.table import Table

FILE = "table.json"

RUN = record({"targets": list_of(text(most=10_000), 10_000)})


def check_table(given: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for an invalid task, or share of held-out rows, among the options of a command."""
    if given["task"] not in (None, "classes", "numbers"):
        raise ConfigurationError(f"--task is {shown(given['task'])}: expected classes or numbers")
    if not 0 < given["held_out"] < 1:
        raise ConfigurationError(f"--held-out is {given['held_out']}: expected a share between 0 and 1, such as 0.2")


def text_options(given: Mapping[str, Any]) -> TextOptions:
    """Return how to read a text file, from the options of a command."""
    return TextOptions(given["delimiter"], given["decimal"], given["encoding"], tuple(given["missing"] or ()))


def keep_targets(folder: Path, names: tuple[str, ...]) -> None:
    """Write the names of a run's targets next to its save."""
    replace(folder / FILE, to_json({"targets": list(names)}))


def targets_of(folder: Path, count: int) -> list[str]:
    """Return the `count` names of a run's targets; estimators saved from Python have generic names."""
    names: list[str] = []
    with suppress(OSError):
        names = read({FILE: read_regular(folder / FILE, LARGEST_JSON, folder)}, FILE, RUN, str(folder))["targets"]
    if len(names) == count:
        return names
    if names:
        raise CheckpointError(f"{folder} is damaged: {FILE} names {len(names)} targets: expected {count}")
    return ["prediction"] if count == 1 else [f"prediction {number}" for number in range(1, count + 1)]


def describe(table: Table, file: str, categories: tuple[str, ...]) -> list[str]:
    """Return lines that describe the columns of a table; raise `DataError` for unusable columns."""
    options = Options("robust", rare=1, indicates_missing=True, embeds_above=None, most_categories=len(table))
    found = find_columns(table, options, categories)
    if found.refused:
        names = option_of(found.refused)
        raise DataError(
            f"{file}: {listed_words(found.refused.values())}: looks like free text; leave it out with --ignore "
            f"{names}, or, if its values repeat, use --categories {names}"
        )
    empty = [column.name for column in found.columns if column.kind == "empty"]
    if empty:
        raise DataError(f"{file}: no row has a value in {listed(empty)}: leave it out with --ignore {option_of(empty)}")
    lines = list(report(found.columns, len(table)))
    for name in found.numbered:
        lines.append(f"column {name!r} numbers the rows: leave it out with --ignore {option_of([name])}")
    return lines


def option_of(names: Collection[str], most: int = 12) -> str:
    """Return names of columns as an option's value, quoted for a shell; at most `most` of them."""
    return shlex.quote(",".join(islice(names, most))) + (",..." if len(names) > most else "")


def names_of(given: list[str] | None, names: tuple[str, ...], option: str) -> tuple[str, ...]:
    """Return the columns that an option names, repeated or comma-separated; raise `DataError` for unknown ones."""
    from dnnkit.registry import did_you_mean

    found: list[str] = []
    for item in given or ():
        parts = [item] if item in names else [part.strip() for part in item.split(",")]
        for part in parts:
            if part not in names:
                raise DataError(f"{option} {part}: no such column: {did_you_mean(part, names)}it has {listed(names)}")
            found.append(part)
    return tuple(found)


def scores_of(estimator: Any, x: Table, y: Any, is_classes: bool) -> dict[str, float]:
    """Score predictions: accuracy for classes; R², RMSE and MAE, averaged over targets, for numbers."""
    import numpy as np

    if is_classes:
        predicted = estimator.predict(x)
        return {"accuracy": float(np.mean(predicted == y))}
    predicted = np.asarray(estimator.predict(x), np.float64).reshape(y.shape)
    errors = predicted - y
    varied = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    r2 = np.mean(1 - (errors**2).sum(axis=0) / np.where(varied > 0, varied, np.nan))
    return {
        "r2": float(r2),
        "root_mean_squared_error": float(np.sqrt(np.mean(errors**2))),
        "mean_absolute_error": float(np.mean(np.abs(errors))),
    }
