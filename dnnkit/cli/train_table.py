"""`dnnkit train table.csv --target price`: train an estimator on a table."""

import shlex
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from dnnkit.cli.arguments import is_given, new_folder, require_free, units
from dnnkit.cli.output import Speaker, json_output
from dnnkit.cli.tables import check_table, describe, keep_targets, names_of, scores_of, text_options
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError, TrainingWarning
from dnnkit.files import as_path
from dnnkit.tables.columns import figure
from dnnkit.tables.reading import TextOptions, read_table
from dnnkit.tables.summary import listed, printable
from dnnkit.tables.table import Table
from dnnkit.tables.target_column import TargetColumn, Task, find_target

FEWEST_ROWS = 10


@dataclass(frozen=True)
class TableRun:
    """The options of a `dnnkit train` run on a table.

    Attributes:
        file: the table.
        targets: names of the target columns.
        task: "classes" or "numbers"; None to infer it from the values.
        ignored: columns to leave out.
        categories: columns to treat as categories whatever their values.
        held_out: the share of rows that are scored and not trained on.
        text: how to read a text file.
        parameters: the estimator's parameters that were given.
        out: the run folder.
    """

    file: Path
    targets: list[str] | None
    task: Task | None
    ignored: list[str] | None
    categories: list[str] | None
    held_out: float
    text: TextOptions
    parameters: dict[str, Any]
    out: Path


OF_ESTIMATOR = {
    "hidden": "hidden_layer_sizes",
    "activation": "activation",
    "optimizer": "solver",
    "learning_rate": "learning_rate_init",
    "batch_size": "batch_size",
    "epochs": "max_iter",
    "dtype": "dtype",
    "ensemble": "n_ensemble",
    "time_budget": "time_budget",
}
"""Options and the estimator's parameters that they set; options not given keep the estimator's defaults."""


def asked_of(context: typer.Context) -> TableRun:
    """Return what the options of `dnnkit train` ask for."""
    given = context.params
    for name in ("resume", "checkpoint_every"):
        if is_given(context, name):
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{option} is for networks on images: training on a table cannot be resumed")
    file = as_path(given["dataset"])
    folder = Path(given["out"]) if given["out"] else new_folder(file.stem)  # a str in some versions of Typer
    require_free(folder, given["overwrite"], can_resume=False)
    check_table(given)
    values = {**given, "hidden": units(given["hidden"])}
    parameters = {other: values[name] for name, other in OF_ESTIMATOR.items() if is_given(context, name)}
    return TableRun(
        file,
        given["target"],
        given["task"],
        given["ignore"],
        given["categories"],
        given["held_out"],
        text_options(given),
        {**parameters, "random_state": given["seed"], "backend": given["backend"]},
        folder,
    )


def train_table(run: TableRun, quiet: bool, json: str | None) -> None:
    """Report the columns, train, score the held-out rows, and write a run folder."""
    from dnnkit.tables.encoder import TabularEncoder

    with json_output(json) as result:
        say = Speaker(quiet)
        table = read_table(run.file, run.text)
        file = run.file.name
        targets = names_of_targets(run.targets, table, file)
        target = find_target(table, targets, run.task, file)
        x, categories, described = usable(table, file, targets, run.ignored, run.categories)
        for line in (*described, *target.report()):
            say(line)
        train, test = split(target, run.held_out, run.parameters["random_state"])
        say(f"{len(train):,} rows to train on, {len(test):,} held out")

        encoder = TabularEncoder(categories=list(categories) or "auto")
        estimator = estimator_of(target.task)(encoder=encoder, verbose=not quiet, **run.parameters)
        began = time.monotonic()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "column .* numbers the rows", TrainingWarning)  # `describe` reported it
            estimator.fit(x.take(train), target.y[train])
        seconds = time.monotonic() - began
        scores = scores_of(estimator, x.take(test), target.y[test], target.task == "classes")
        say(f"trained in {seconds:.1f} s")
        say(f"held out: {scores_text(scores, target, test)}")
        estimator.save(run.out)
        keep_targets(run.out, target.names)
        say(f"run folder {run.out}: encoder, target, network")
        say(f"predict other rows with  dnnkit predict {shlex.quote(str(run.out))} TABLE")
        result |= {
            "table": str(run.file),
            "task": target.task,
            "targets": list(target.names),
            "rows": len(table),
            "columns": [column.to_dict() for column in estimator.encoder_.columns_],
            "held_out": {"rows": len(test), **scores},
            "total_seconds": seconds,
            "run_folder": str(run.out),
        }


def names_of_targets(given: list[str] | None, table: Table, file: str) -> tuple[str, ...]:
    """Return the columns to predict."""
    if not given:
        raise ConfigurationError(f"{file} is a table: give the column to predict by --target: {listed(table.names)}")
    return tuple(name for item in given for name in ([item] if item in table.names else item.split(",")))


def usable(
    table: Table, file: str, targets: tuple[str, ...], ignored: list[str] | None, categories: list[str] | None
) -> tuple[Table, tuple[str, ...], list[str]]:
    """Return the columns to predict from, those that are categories by request, and lines that describe the columns."""
    x = table.drop((*targets, *names_of(ignored, table.names, "--ignore")))
    if not x.names:
        raise DataError(f"{file} has no columns other than {listed(targets)}: there is nothing to predict from")
    named = names_of(categories, x.names, "--categories")
    if len(table) < FEWEST_ROWS:
        raise DataError(f"{file} has {len(table)} rows: expected at least {FEWEST_ROWS}")
    return x, named, describe(x, file, named)


def split(target: TargetColumn, held_out: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows to train on and held-out rows, in order: of each class a share, and at least one row of both."""
    rng = np.random.default_rng(seed)
    groups = np.unique(target.y, return_inverse=True)[1] if target.task == "classes" else np.zeros(len(target.y), int)
    chosen = []
    for group in range(int(groups.max()) + 1):
        rows = rng.permutation(np.flatnonzero(groups == group))
        chosen.append(rows[: min(max(1, round(held_out * len(rows))), len(rows) - 1)])
    test = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.arange(len(target.y)), test), test


def scores_text(scores: dict[str, float], target: TargetColumn, test: NDArray[np.int64]) -> str:
    """Format scores, compared with those of a constant prediction."""
    if target.task == "classes":
        classes, counts = np.unique(target.y[test], return_counts=True)
        always, share = classes[counts.argmax()], counts.max() / len(test)
        return f"accuracy {scores['accuracy']:.4f} (always {printable(str(always)[:24])}: {share:.4f})"
    errors = (figure(scores[name]) for name in ("root_mean_squared_error", "mean_absolute_error"))
    return f"R² {scores['r2']:.4f} (always the mean: 0), RMSE {next(errors)}, MAE {next(errors)}"


def estimator_of(task: Task) -> Any:
    """Return the class of the estimator for a task."""
    from dnnkit.estimators.classifier import DNNClassifier
    from dnnkit.estimators.regressor import DNNRegressor

    return DNNClassifier if task == "classes" else DNNRegressor
