"""`dnnkit train`: train a network on a data set or a table."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnnkit.cli import completion, table_options
from dnnkit.cli.arguments import is_given, new_folder, require_free, units
from dnnkit.cli.network_options import BatchSize, LearningRate, Optimizer
from dnnkit.cli.table_options import TABLES
from dnnkit.cli.usage import commas_instead
from dnnkit.errors import ConfigurationError

if TYPE_CHECKING:
    from dnnkit.cli.run_options import RunOptions

CHANGEABLE = "resume", "epochs", "backend", "checkpoint_every", "quiet", "json", "distributed", "average_every"
"""Options that may be given together with --resume."""

OF_TABLES = (*table_options.OF_TABLES, "ensemble", "time_budget")
"""Options that apply to tables only."""


def train(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET|TABLE",
            help="What to train on: digits, mnist, fashion_mnist, another registered data set, or a table: .csv, .tsv, "
            ".txt, .parquet, .npz.",
            show_default="digits",
            autocompletion=completion.data_sets,
        ),
    ] = "digits",
    hidden: Annotated[
        list[str] | None,
        typer.Option(help="Units per hidden layer; repeat, or separate by commas.", show_default="128"),
    ] = None,
    activation: Annotated[
        str,
        typer.Option(
            help='Activation of the hidden layers: a name or a formula in x, such as "x*sigmoid(x)".',
            autocompletion=completion.activations,
        ),
    ] = "relu",
    optimizer: Optimizer = "adam",
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.", show_default="60 for digits, else 10")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights and the order of samples.")] = 0,
    dtype: Annotated[
        str, typer.Option(help="float32 or float64.", autocompletion=completion.one_of("float32", "float64"))
    ] = "float32",
    backend: Annotated[
        str | None,
        typer.Option(
            help="Backend; see `dnnkit backends`.",
            show_default="DNNKIT_BACKEND or auto",
            autocompletion=completion.backends,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder; it must not contain a run yet.", show_default="a new one in runs/"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run in the folder.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue the run in this folder with its options; --epochs may extend it."),
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(help="Interval between saves: '30 s', '500 steps' or '1 epoch'.")
    ] = "30 s",
    distributed: Annotated[
        str | None,
        typer.Option(help="mpi: train with all processes that mpirun started.", show_default="this process alone"),
    ] = None,
    average_every: Annotated[
        int,
        typer.Option(help="Local steps per process between averages; 1: synchronous updates."),
    ] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only errors.")] = False,
    json: Annotated[str | None, typer.Option(help="Write results as JSON to this file; - is standard output.")] = None,
    target: table_options.Target = None,
    task: table_options.Task = None,
    ignore: table_options.Ignore = None,
    categories: table_options.Categories = None,
    held_out: table_options.HeldOut = 0.2,
    ensemble: Annotated[
        int | None,
        typer.Option(help="Number of networks to average.", show_default="the estimator's", rich_help_panel=TABLES),
    ] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Time limit for training, in seconds.", show_default="none", rich_help_panel=TABLES),
    ] = None,
    delimiter: table_options.Delimiter = None,
    decimal: table_options.Decimal = None,
    encoding: table_options.Encoding = None,
    missing: table_options.Missing = None,
) -> None:
    """Train a network and write a run folder: weights, history, curves.png, predictions.png.

    The run is saved while it trains. However it ends, `--resume` continues it.

    On a table: report the columns, train, and score the held-out rows. The run folder holds the encoder, the target
    and the network. Options that are not given have the defaults of the estimators.

    Examples:

        dnnkit train

        dnnkit train mnist --hidden 128 --epochs 5 --batch-size 32

        dnnkit train --hidden 256,128 --activation gelu --optimizer adamw --learning-rate 0.002

        dnnkit train --activation "x*sigmoid(beta*x); beta=1.5"

        dnnkit train mnist --epochs 50 --out runs/long

        dnnkit train --resume runs/long

        mpirun -n 4 dnnkit train mnist --distributed mpi

        dnnkit train houses.csv --target price

        DNNKIT_BACKEND=numpy dnnkit train digits --seed 3 --out runs/third --json -

    Use a run folder with `dnnkit predict runs/digits FILE`, or `dk.load("runs/digits")` in Python.
    """
    import logging

    from dnnkit.cli.images import epochs_of, images_of
    from dnnkit.cli.run_options import RunOptions
    from dnnkit.cli.train_images import train_images
    from dnnkit.network.checks import check_count, check_optional_count

    if hint := commas_instead(context):
        raise ConfigurationError(hint)
    if quiet:
        logging.getLogger("dnnkit").setLevel(logging.ERROR)
    from dnnkit.tables.reading import is_table_file

    if target or is_table_file(Path(dataset)):
        from dnnkit.cli.train_table import asked_of, train_table

        train_table(asked_of(context), quiet, json)
        return
    for name in OF_TABLES:
        if is_given(context, name):
            raise ConfigurationError(f"--{name.replace('_', '-')} is for tables, and {dataset} is not a table")

    def asked() -> tuple[RunOptions, Path]:
        if resume is not None:
            return _resumed(context, resume, epochs, backend), resume
        options = RunOptions(
            dataset,
            units(hidden),
            activation,
            optimizer,
            learning_rate,
            check_optional_count("--batch-size", batch_size),
            epochs_of(images_of(dataset)) if epochs is None else check_count("--epochs", epochs),
            seed,
            dtype,
            backend,
        )
        folder = out or new_folder(dataset)
        require_free(folder, overwrite)
        return options, folder

    train_images(
        asked,
        is_resumed=resume is not None,
        overwrite=overwrite,
        checkpoint_every=checkpoint_every,
        distributed=distributed,
        average_every=average_every,
        quiet=quiet,
        json=json,
    )


def _resumed(context: typer.Context, folder: Path, epochs: int | None, backend: str | None) -> "RunOptions":
    """Return the options of the run in a folder, with more epochs or another backend if requested."""
    from dnnkit.backends.registry import choice
    from dnnkit.cli.run_options import RunOptions
    from dnnkit.network.checks import check_count

    for parameter in context.command.params:
        name = str(parameter.name)
        if is_given(context, name) and name not in CHANGEABLE:
            raise ConfigurationError(
                f"{parameter.opts[0]} cannot be combined with --resume: a run continues with its own options; only "
                "--epochs, --backend and --checkpoint-every may be changed"
            )
    options = RunOptions.of_run(folder)
    if epochs is not None:
        options = replace(options, epochs=check_count("--epochs", epochs))
    is_told_otherwise = backend is not None or choice().origin != "default"
    return replace(options, backend=backend) if is_told_otherwise else options
