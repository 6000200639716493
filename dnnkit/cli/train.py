"""`dnnkit train`: the main job."""

from itertools import count
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from dnnkit.cli.output import Speaker, json_output
from dnnkit.errors import ConfigurationError

GRID = 32
"""Test images shown in predictions.png."""


def train(
    dataset: Annotated[
        str, typer.Argument(help="What to train on: digits, mnist, fashion_mnist, or another registered data set.")
    ] = "digits",
    hidden: Annotated[
        list[str] | None,
        typer.Option(help="Units of a hidden layer; repeat, or separate by commas, for more.", show_default="128"),
    ] = None,
    activation: Annotated[str, typer.Option(help="Activation of the hidden layers.")] = "relu",
    optimizer: Annotated[str, typer.Option(help="Optimizer, by name: sgd, rmsprop, adam, adamw, ...")] = "adam",
    learning_rate: Annotated[
        float | None, typer.Option(help="Step of the optimizer.", show_default="the optimizer's own")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Samples between two updates.")] = 32,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data.", show_default="60 for digits, else 10")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides initial weights and order of samples.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    backend: Annotated[
        str | None, typer.Option(help="Where to compute; see `dnnkit backends`.", show_default="DNNKIT_BACKEND or auto")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder; a run that is there is replaced.", show_default="a new one in runs/"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    json: Annotated[str | None, typer.Option(help="Write results as JSON to this file; - is standard output.")] = None,
) -> None:
    """Train a network and leave a run folder: weights, history, curves.png, predictions.png.

    Examples:

        dnnkit train

        dnnkit train mnist --hidden 128 --epochs 5 --batch-size 32

        dnnkit train --hidden 256,128 --activation gelu --optimizer adamw --learning-rate 0.002

        DNNKIT_BACKEND=numpy dnnkit train digits --seed 3 --out runs/third --json -

    A run folder can be read again: `dnnkit predict runs/digits FILE`, or `dk.load("runs/digits")` in Python.
    """
    import logging

    from dnnkit import plots
    from dnnkit.datasets import DATASETS
    from dnnkit.files import check_writable
    from dnnkit.layers import Dense, Flatten, Rescaling
    from dnnkit.network.checks import check_count
    from dnnkit.network.sequential import Sequential
    from dnnkit.optimizers import OPTIMIZERS, Optimizer

    if quiet:
        logging.getLogger("dnnkit").setLevel(logging.ERROR)
    images = DATASETS.find(dataset)
    if not hasattr(images, "LARGEST_VALUE") or not hasattr(images, "CLASS_NAMES"):
        raise ConfigurationError(f"data set {dataset!r} has no images in classes: train on it in Python instead")
    units = _units(hidden)
    batch_size = check_count("--batch-size", batch_size)
    epochs = getattr(images, "EPOCHS", 10) if epochs is None else check_count("--epochs", epochs)
    chosen = OPTIMIZERS.make(optimizer, Optimizer)
    if learning_rate is not None:
        chosen = type(chosen)(learning_rate=learning_rate)
    classes = len(images.CLASS_NAMES)
    net = Sequential(
        [
            Rescaling(1 / images.LARGEST_VALUE),
            Flatten(),
            *(Dense(number, activation=activation) for number in units),
            Dense(classes, activation="softmax"),
        ],
        backend=backend,
        seed=seed,
        dtype=cast(Literal["float32", "float64"], dtype),
    )
    net.compile(optimizer=chosen, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    (x, y), (x_test, y_test) = images.load_data()
    net.build(x.shape[1:])
    folder = out or _new_folder(dataset)
    check_writable(folder)

    with json_output(json) as result:
        say = Speaker(quiet)
        shape = " - ".join(map(str, (x[0].size, *units, classes)))
        say(f"{dataset}: {len(x):,} training and {len(x_test):,} test images")
        say(f"network {shape}, {activation}, seed {seed}")
        say(f"backend {net.backend.name} {net.backend.version} on {net.backend.device}, {dtype}")
        interrupted = False
        try:
            net.fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                validation_data=(x_test, y_test),
                verbose=0 if quiet else "auto",
            )
        except KeyboardInterrupt:
            interrupted = True
            say("interrupted: keeping what was learned so far")
        scores = net.evaluate(x_test, y_test)
        net.save(folder)
        curves = ""
        if net.history.epoch:
            curves = "curves.png, "
            net.history.plot(folder / "curves.png")
        shown = slice(0, GRID)
        plots.plot_predictions(
            x_test[shown], y_test[shown], net.predict(x_test[shown]), images.CLASS_NAMES, folder / "predictions.png"
        )
        seconds = sum(net.history.seconds)
        result |= {
            "dataset": dataset,
            "test_loss": scores["loss"],
            "test_accuracy": scores["accuracy"],
            "total_seconds": seconds,
            "run_folder": str(folder),
            "interrupted": interrupted,
            **net.history.to_json(),
        }
        say(f"test accuracy {scores['accuracy']:.4f}, loss {scores['loss']:.4f}, after {seconds:.1f} s of training")
        say(f"run folder {folder}: weights and history, {curves}predictions.png")
    if interrupted:
        raise typer.Exit(130)


def _units(hidden: list[str] | None) -> list[int]:
    numbers = [number for item in hidden or ["128"] for number in item.split(",")]
    if any(not number.strip().isdecimal() or int(number) == 0 for number in numbers):
        raise ConfigurationError(
            f"--hidden {','.join(numbers)}: expected whole numbers above 0, such as 128 or 256,128"
        )
    return [int(number) for number in numbers]


def _new_folder(name: str) -> Path:
    """runs/digits, or the first of runs/digits-2, runs/digits-3, ... that is not there yet."""
    candidates = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(folder for folder in candidates if not folder.exists())
