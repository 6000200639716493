"""`dnnkit sweep`: train many networks on one data set together, and rank them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnnkit.cli import completion, table_options
from dnnkit.cli.arguments import is_given, new_folder, require_free
from dnnkit.cli.network_options import BatchSize, LearningRate, Optimizer
from dnnkit.cli.output import Speaker, json_output
from dnnkit.cli.usage import commas_instead
from dnnkit.errors import ConfigurationError

if TYPE_CHECKING:
    from dnnkit.cli.sweep_options import SweepOptions

EPOCHS_OF_TABLES = 60

WHILE_RESUMED = ("resume", "workers", "quiet", "json")
"""Options that may be given together with --resume."""


def sweep(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="[DATASET|TABLE]",
            help="What to train on: digits, mnist, fashion_mnist, another registered data set, or a table: .csv, .tsv, "
            ".txt, .parquet, .npz.",
            show_default="digits",
            autocompletion=completion.data_sets,
        ),
    ] = "digits",
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE,VALUE: a setting and the values to try; repeat for more. NAME is hidden (two layers: "
            "256x128), activation, dropout, optimizer, or a setting of the optimizer, such as learning_rate.",
            show_default="none",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Train each network once per fold.", show_default="one fifth of the data is held out"),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Repetitions with other divisions of the data and seeds.")] = 1,
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers, unless in the grid.")] = "128",
    activation: Annotated[
        str,
        typer.Option(
            help="Activation of the hidden layers, unless in the grid.", autocompletion=completion.activations
        ),
    ] = "relu",
    optimizer: Optimizer = "adam",
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    epochs: Annotated[
        int | None, typer.Option(help="Maximum number of epochs.", show_default="60 for digits and tables, else 10")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop a network after this many epochs without a better held-out loss.", show_default="never"
        ),
    ] = None,
    halving: Annotated[
        int | None,
        typer.Option(
            metavar="FACTOR",
            help="Successive halving: after 1, FACTOR, FACTOR², ... epochs keep only the best of each FACTOR networks.",
            show_default="off: all train to the end",
        ),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            help="Rank by loss, accuracy, or, for numbers in a table, r2.",
            autocompletion=completion.one_of("loss", "accuracy", "r2"),
        ),
    ] = "loss",
    seed: Annotated[int, typer.Option(help="Seed of the division of the data and the initial weights.")] = 0,
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
    workers: Annotated[
        int | None, typer.Option(help="Networks trained at the same time.", show_default="number of processors")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder; it must not contain a run yet.", show_default="a new one in runs/"),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the sweep in this folder with its options.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only errors.")] = False,
    json: Annotated[str | None, typer.Option(help="Write results as JSON to this file; - is standard output.")] = None,
    target: table_options.Target = None,
    task: table_options.Task = None,
    ignore: table_options.Ignore = None,
    categories: table_options.Categories = None,
    held_out: table_options.HeldOut = 0.2,
    delimiter: table_options.Delimiter = None,
    decimal: table_options.Decimal = None,
    encoding: table_options.Encoding = None,
    missing: table_options.Missing = None,
) -> None:
    """Train a network for each combination of a grid, rank them, and write the best to a run folder.

    Networks are ranked on held-out rows, with the 95 % confidence interval of the mean over folds and repeats. The test
    images are used once: for the best network, trained again on all training images. On a table, --held-out rows take
    their place.

    However the sweep ends, `--resume` continues it.

    Examples:

        dnnkit sweep digits --grid learning_rate=1e-3,1e-2 --grid hidden=64,128 --folds 5

        dnnkit sweep digits --grid hidden=32,64,128x64 --grid dropout=0,0.2 --grid activation=relu,gelu --halving 3

        dnnkit sweep digits --grid optimizer=sgd,adam,adamw --repeats 5 --metric accuracy --out runs/optimizers

        dnnkit sweep houses.csv --target price --grid hidden=32,64x32 --grid learning_rate=1e-3,1e-2 --folds 5

        dnnkit sweep --resume runs/optimizers
    """
    import logging

    from dnnkit.cli.sweep_options import SweepOptions, is_sweep
    from dnnkit.cli.sweep_run import SweepRun

    if hint := commas_instead(context):
        raise ConfigurationError(hint)
    if quiet:
        logging.getLogger("dnnkit").setLevel(logging.ERROR)
    if resume is not None:
        _refuse_with_resume(context)
        run = SweepRun(SweepOptions.of_run(resume), resume)
    else:
        folder = out or new_folder(f"{Path(dataset).stem}-sweep")
        if is_sweep(folder):
            raise ConfigurationError(
                f"{folder} holds a sweep already: continue it with --resume {folder}, or choose another folder"
            )
        require_free(folder, False, can_resume=False)
        run = SweepRun(_asked(context), folder)
    with json_output(json) as result:
        status = run.run(result, Speaker(quiet), quiet, workers)
    if status:
        raise typer.Exit(status)


def _asked(context: typer.Context) -> "SweepOptions":
    """Return what the options ask for, each checked separately."""
    given = context.params
    from dnnkit.cli.images import epochs_of, images_of
    from dnnkit.cli.sweep_options import SweepOptions
    from dnnkit.cli.tables import check_table
    from dnnkit.files import as_path
    from dnnkit.network.checks import check_count, check_optional_count
    from dnnkit.registry import folded
    from dnnkit.seeds import check_seed
    from dnnkit.tables.reading import is_table_file

    is_table, dataset = bool(given["target"]) or is_table_file(Path(given["dataset"])), given["dataset"]
    if is_table:
        dataset = str(as_path(dataset).absolute())
        check_table(given)
    for name in () if is_table else table_options.OF_TABLES:
        if is_given(context, name):
            raise ConfigurationError(f"--{name.replace('_', '-')} is for tables, and {dataset} is not a table")
    for name in ("hidden", "activation", "optimizer", "learning_rate"):
        if is_given(context, name) and any(
            folded(item.partition("=")[0]) == folded(name) for item in given["grid"] or ()
        ):
            raise ConfigurationError(
                f"--{name.replace('_', '-')} is also in the grid: leave it out, or add its value to --grid"
            )
    epochs = given["epochs"]
    if epochs is None:
        epochs = EPOCHS_OF_TABLES if is_table else epochs_of(images_of(dataset))
    same = ("hidden", "activation", "optimizer", "learning_rate", "metric", "dtype", "backend", "task", "held_out")
    options: dict[str, Any] = {name: given[name] for name in (*same, "delimiter", "decimal", "encoding")}
    options |= {name: tuple(given[name] or ()) for name in ("target", "ignore", "categories", "missing")}
    return SweepOptions(
        dataset,
        **options,
        grid=tuple(given["grid"] or ()),
        folds=None if given["folds"] is None else check_count("--folds", given["folds"], 2),
        repeats=check_count("--repeats", given["repeats"]),
        batch_size=check_optional_count("--batch-size", given["batch_size"]),
        epochs=check_count("--epochs", epochs),
        patience=check_optional_count("--patience", given["patience"]),
        halving=None if given["halving"] is None else check_count("--halving", given["halving"], 2),
        seed=check_seed(given["seed"]),
    )


def _refuse_with_resume(context: typer.Context) -> None:
    for parameter in context.command.params:
        if is_given(context, str(parameter.name)) and parameter.name not in WHILE_RESUMED:
            raise ConfigurationError(
                f"{parameter.opts[0]} cannot be combined with --resume: a sweep continues with its own options; only "
                "--workers may be changed"
            )
