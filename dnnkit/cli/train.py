"""`dnnkit train`: the main job."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnnkit.cli import completion
from dnnkit.cli.asked import is_given, new_folder, require_free, units
from dnnkit.cli.output import Speaker, json_output
from dnnkit.cli.usage import commas_instead
from dnnkit.errors import ConfigurationError

if TYPE_CHECKING:
    from dnnkit.cli.run_options import RunOptions
    from dnnkit.network.sequential import Sequential

GRID = 32
"""Test images shown in predictions.png."""


TABLES = "Tables"
OF_TABLES = (
    "target", "task", "ignore", "categories", "held_out", "ensemble", "time_budget", "delimiter", "decimal", "encoding",
    "missing",
)  # fmt: skip
"""Options that are for tables alone."""


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
        typer.Option(help="Units of a hidden layer; repeat, or separate by commas, for more.", show_default="128"),
    ] = None,
    activation: Annotated[
        str,
        typer.Option(
            help='Activation of the hidden layers: a name, or a formula in x, "x*sigmoid(x)".',
            autocompletion=completion.activations,
        ),
    ] = "relu",
    optimizer: Annotated[
        str,
        typer.Option(help="Optimizer, by name: sgd, rmsprop, adam, adamw, ...", autocompletion=completion.optimizers),
    ] = "adam",
    learning_rate: Annotated[
        float | None, typer.Option(help="Step of the optimizer.", show_default="the optimizer's own")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples between two updates.", show_default="32, or all for lbfgs")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data.", show_default="60 for digits, else 10")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides initial weights and order of samples.")] = 0,
    dtype: Annotated[
        str, typer.Option(help="float32 or float64.", autocompletion=completion.one_of("float32", "float64"))
    ] = "float32",
    backend: Annotated[
        str | None,
        typer.Option(
            help="Where to compute; see `dnnkit backends`.",
            show_default="DNNKIT_BACKEND or auto",
            autocompletion=completion.backends,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder, which holds no run yet.", show_default="a new one in runs/"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in the folder.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the run in this folder, as it was begun; --epochs may raise its goal."),
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(help="How often the run is saved: a time, steps or epochs, as '500 steps'.")
    ] = "30 s",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    json: Annotated[str | None, typer.Option(help="Write results as JSON to this file; - is standard output.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to predict; repeat, or separate by commas, for several of numbers.", rich_help_panel=TABLES
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What to predict: classes or numbers.",
            show_default="classes for text, booleans and few whole numbers",
            rich_help_panel=TABLES,
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Columns to leave out; repeat, or separate by commas.", rich_help_panel=TABLES),
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns that are categories, whatever they look like, such as post codes.", rich_help_panel=TABLES
        ),
    ] = None,
    held_out: Annotated[
        float, typer.Option(help="Share of rows to score, not to train on.", rich_help_panel=TABLES)
    ] = 0.2,
    ensemble: Annotated[
        int | None, typer.Option(help="Networks to average.", show_default="the estimator's", rich_help_panel=TABLES)
    ] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Seconds after which training ends.", show_default="none", rich_help_panel=TABLES),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What stands between cells.", show_default="found out", rich_help_panel=TABLES)
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="What stands before fractions.", show_default="found out", rich_help_panel=TABLES)
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Of a text file, such as latin-1.", show_default="its mark, or utf-8", rich_help_panel=TABLES
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(
            help="A cell that stands for no value, beside empty ones, NA, NaN, null, ....", rich_help_panel=TABLES
        ),
    ] = None,
) -> None:
    """Train a network and leave a run folder: weights, history, curves.png, predictions.png.

    The run is saved while it trains. However it ends, `--resume` continues it.

    On a table, it first reports what it found, then trains, and scores the rows that it held out. The run folder holds
    the encoder, the target and the network. Options that are not given keep the defaults of the estimators.

    Examples:

        dnnkit train

        dnnkit train mnist --hidden 128 --epochs 5 --batch-size 32

        dnnkit train --hidden 256,128 --activation gelu --optimizer adamw --learning-rate 0.002

        dnnkit train --activation "x*sigmoid(beta*x); beta=1.5"

        dnnkit train mnist --epochs 50 --out runs/long

        dnnkit train --resume runs/long

        dnnkit train houses.csv --target price

        DNNKIT_BACKEND=numpy dnnkit train digits --seed 3 --out runs/third --json -

    A run folder can be read again: `dnnkit predict runs/digits FILE`, or `dk.load("runs/digits")` in Python.
    """
    import logging

    from dnnkit import plots
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
            raise ConfigurationError(f"--{name.replace('_', '-')} is for tables, and {dataset} is none")
    with Interrupts(hears_sigterm=True):
        if resume is not None:
            options, folder = _resumed(context, resume, epochs, backend), resume
        else:
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
        images = images_of(options.dataset)
        net = _network(options, images)
        (x, y), (x_test, y_test) = images.load_data()
        net.build(x.shape[1:], batch_size=options.batch_size or ASSUMED_ROWS)
        checkpoints = Checkpoints(folder, checkpoint_every, starts_anew=overwrite, besides=options.to_files(), hint="")

    with json_output(json) as result:
        say = Speaker(quiet)
        shape = " - ".join(map(str, (x[0].size, *options.hidden, len(images.CLASS_NAMES))))
        say(f"{options.dataset}: {len(x):,} training and {len(x_test):,} test images")
        say(f"network {shape}, {options.activation}, seed {options.seed}")
        say(f"backend {net.backend.name} {net.backend.version} on {net.backend.device}, {options.dtype}")
        if resume is not None:
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
            )
        except (KeyboardInterrupt, SystemExit) as error:
            if not checkpoints.is_there:
                raise
            status = 130 if isinstance(error, KeyboardInterrupt) else int(str(error.code))
            say(f"interrupted, and saved: go on with  dnnkit train --resume {shlex.quote(str(folder))}")
        if checkpoints.were_final:
            say(f"nothing left to train: all {options.epochs} epochs are done, and --epochs may raise their number")
        seconds = sum(net.history.seconds)
        result |= {
            "dataset": options.dataset,
            "total_seconds": seconds,
            "run_folder": str(folder),
            "interrupted": status != 0,
            **net.history.to_json(),
        }
        if status <= 130:  # else whoever ends it does not wait
            scores = net.evaluate(x_test, y_test)
            result |= {"test_loss": scores["loss"], "test_accuracy": scores["accuracy"]}
            curves = ""
            if net.history.epoch:
                curves = "curves.png, "
                net.history.plot(folder / "curves.png")
            shown = slice(0, GRID)
            plots.plot_predictions(
                x_test[shown], y_test[shown], net.predict(x_test[shown]), images.CLASS_NAMES, folder / "predictions.png"
            )
            say(f"test accuracy {scores['accuracy']:.4f}, loss {scores['loss']:.4f}, after {seconds:.1f} s of training")
            say(f"run folder {folder}: weights and history, {curves}predictions.png")
    if status:
        raise typer.Exit(status)


def _network(options: "RunOptions", images: Any) -> "Sequential":
    """The network that was asked for, compiled."""
    from dnnkit.cli.images import network_of
    from dnnkit.optimizers import OPTIMIZERS, Optimizer

    chosen = OPTIMIZERS.make(options.optimizer, Optimizer)
    if options.learning_rate is not None:
        chosen = type(chosen)(learning_rate=options.learning_rate)
    settings: dict[str, Any] = {"seed": options.seed, "dtype": options.dtype, "backend": options.backend}
    return network_of(images, options.hidden, options.activation, chosen, **settings)


def _resumed(context: typer.Context, folder: Path, epochs: int | None, backend: str | None) -> "RunOptions":
    """The options of the run in a folder, with its goal raised and its backend changed where that was asked for."""
    from dnnkit.backends.registry import choice
    from dnnkit.cli.run_options import RunOptions
    from dnnkit.network.checks import check_count

    for parameter in context.command.params:
        name = str(parameter.name)
        if is_given(context, name) and name not in ("resume", "epochs", "backend", "checkpoint_every", "quiet", "json"):
            raise ConfigurationError(
                f"{parameter.opts[0]} beside --resume: a run goes on as it was begun; only --epochs, --backend and "
                "--checkpoint-every may be changed"
            )
    options = RunOptions.of_run(folder)
    if epochs is not None:
        options = replace(options, epochs=check_count("--epochs", epochs))
    is_told_otherwise = backend is not None or choice().origin != "default"
    return replace(options, backend=backend) if is_told_otherwise else options
