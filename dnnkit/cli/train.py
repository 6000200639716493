"""`dnnkit train`: train a network on a data set or a table."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dnnkit.cli import completion, table_options
from dnnkit.cli.asked import is_given, new_folder, require_free, units
from dnnkit.cli.network_options import BatchSize, LearningRate, Optimizer
from dnnkit.cli.output import Speaker, json_output
from dnnkit.cli.table_options import TABLES
from dnnkit.cli.usage import commas_instead
from dnnkit.errors import ConfigurationError

if TYPE_CHECKING:
    from dnnkit.cli.run_options import RunOptions
    from dnnkit.distributed.ranks import Ranks
    from dnnkit.network.sequential import Sequential

CHANGEABLE = "resume", "epochs", "backend", "checkpoint_every", "quiet", "json", "distributed", "average_every"
"""Options that may be given together with --resume."""

GRID = 32
"""Test images shown in predictions.png."""


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

    from dnnkit.backends.choosing import ASSUMED_ROWS
    from dnnkit.cli.images import epochs_of, images_of
    from dnnkit.cli.run_options import RunOptions, place_of_run
    from dnnkit.network.checks import check_count, check_optional_count
    from dnnkit.training.checkpoints import Checkpoints
    from dnnkit.training.interrupts import Interrupts

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
    with _ranks(distributed, average_every) as ranks:
        leads = ranks is None or ranks.leads
        with Interrupts(hears_sigterm=True):
            options = folder = None
            if leads and resume is not None:
                options, folder = _resumed(context, resume, epochs, backend), resume
            elif leads:
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
            if ranks is not None:
                options = cast("RunOptions", ranks.meet(options)[0])  # only the first rank has a folder
            assert options is not None
            images = images_of(options.dataset)
            net = _network(options, images)
            (x, y), (x_test, y_test) = images.load_data()
            net.build(x.shape[1:], batch_size=options.batch_size or ASSUMED_ROWS)
            checkpoints = None
            if folder is not None:
                files = options.to_files()
                checkpoints = Checkpoints(folder, checkpoint_every, starts_anew=overwrite, besides=files, hint="")

        with json_output(json if leads else None) as result:
            say = Speaker(quiet or not leads)
            shape = " - ".join(map(str, (x[0].size, *options.hidden, len(images.CLASS_NAMES))))
            say(f"{options.dataset}: {len(x):,} training and {len(x_test):,} test images")
            say(f"network {shape}, {options.activation}, seed {options.seed}")
            say(f"backend {net.backend.name} {net.backend.version} on {net.backend.device}, {options.dtype}")
            if ranks is not None:
                say(f"{ranks.size} ranks, each computing its part of every batch")
            if folder is not None and resume is not None:
                say(f"resumed {place_of_run(folder)}")
            status = 0
            try:
                net.fit(
                    x,
                    y,
                    batch_size=options.batch_size,
                    epochs=options.epochs,
                    validation_data=(x_test, y_test),
                    verbose=0 if quiet else "auto",
                    checkpoint=checkpoints,
                    distributed=None if ranks is None else ranks.asked,
                )
            except (KeyboardInterrupt, SystemExit) as error:
                if checkpoints is not None and not checkpoints.is_there:
                    raise
                status = 130 if isinstance(error, KeyboardInterrupt) else int(str(error.code))
                say(f"interrupted and saved; continue with  dnnkit train --resume {shlex.quote(str(folder))}")
            if checkpoints is not None and checkpoints.were_final:
                say(f"nothing left to train: all {options.epochs} epochs are done; extend the run with --epochs")
            if folder is not None:
                result |= _report(net, folder, images, x_test, y_test, say, options.dataset, status)
            if ranks is not None and not status:
                ranks.meet(None)  # wait until the first rank has written its files
    if status:
        raise typer.Exit(status)


@contextmanager
def _ranks(distributed: str | None, average_every: int) -> "Iterator[Ranks | None]":
    """Yield the processes that train together, or None if this one trains alone."""
    if distributed is None:
        if average_every != 1:
            raise ConfigurationError("--average-every is for ranks: also give --distributed mpi")
        yield None
        return
    from dnnkit.distributed.data_parallel import DataParallel
    from dnnkit.distributed.ranks import Ranks

    DataParallel.of(distributed)
    with Ranks(DataParallel(distributed, average_every=average_every)) as ranks:
        yield ranks


def _report(
    net: "Sequential",
    folder: Path,
    images: Any,
    x: Any,
    y: Any,
    say: Speaker,
    dataset: str,
    status: int,
) -> dict[str, Any]:
    """Write the pictures and report the scores on the test images x; return the results as JSON values."""
    seconds = sum(net.history.seconds)
    result = {
        "dataset": dataset,
        "total_seconds": seconds,
        "run_folder": str(folder),
        "interrupted": status != 0,
        **net.history.to_json(),
    }
    if status > 130:  # after SIGTERM, exit promptly
        return result
    scores = net.evaluate(x, y)
    drawn = _draw(net, folder, x[:GRID], y[:GRID], images.CLASS_NAMES)
    say(f"test accuracy {scores['accuracy']:.4f}, loss {scores['loss']:.4f}, after {seconds:.1f} s of training")
    say(f"run folder {folder}: weights and history{drawn}")
    return result | {"test_loss": scores["loss"], "test_accuracy": scores["accuracy"]}


def _draw(net: "Sequential", folder: Path, x: Any, y: Any, class_names: Sequence[str]) -> str:
    """Draw the pictures of a run folder; return their names, or how to install what draws them."""
    from dnnkit import extras, plots

    if not extras.is_installed("plot"):
        return f"; pictures need {extras.command('plot')}"
    curves = ""
    if net.history.epoch:
        curves = ", curves.png"
        net.history.plot(folder / "curves.png")
    plots.plot_predictions(x, y, net.predict(x), class_names, folder / "predictions.png")
    return f"{curves}, predictions.png"


def _network(options: "RunOptions", images: Any) -> "Sequential":
    """Return the requested network, compiled."""
    from dnnkit.cli.images import network_of
    from dnnkit.optimizers import OPTIMIZERS, Optimizer

    chosen = OPTIMIZERS.make(options.optimizer, Optimizer)
    if options.learning_rate is not None:
        chosen = type(chosen)(learning_rate=options.learning_rate)
    settings: dict[str, Any] = {"seed": options.seed, "dtype": options.dtype, "backend": options.backend}
    return network_of(images, options.hidden, options.activation, chosen, **settings)


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
