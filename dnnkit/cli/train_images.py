"""`dnnkit train` on images: a network trains, is saved as it does, and is scored on the test images."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from dnnkit.backends.choosing import ASSUMED_ROWS
from dnnkit.cli.images import images_of, network_of
from dnnkit.cli.output import Speaker, json_output
from dnnkit.cli.run_options import RunOptions, place_of_run
from dnnkit.errors import ConfigurationError
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.interrupts import Interrupts

if TYPE_CHECKING:
    from dnnkit.distributed.ranks import Ranks
    from dnnkit.network.sequential import Sequential

GRID = 32
"""Test images shown in predictions.png."""


def train_images(
    asked: Callable[[], tuple[RunOptions, Path]],
    *,
    is_resumed: bool,
    overwrite: bool,
    checkpoint_every: str,
    distributed: str | None,
    average_every: int,
    quiet: bool,
    json: str | None,
) -> None:
    """Train, and write a run folder.

    Arguments:
        asked: returns the options of the run and its folder, checked; called by the first rank only.
        is_resumed: whether the folder has a run that continues.
        overwrite: replace the run that the folder has.
        checkpoint_every: how often the run is saved, as of `Checkpoints`.
        distributed: "mpi" to train with the other ranks.
        average_every: steps between two averages of the ranks' parameters; 1 to add up gradients instead.
        quiet: print errors only.
        json: file for the results as JSON, "-" for standard output.
    """
    with _ranks(distributed, average_every) as ranks:
        leads = ranks is None or ranks.leads
        with Interrupts(hears_sigterm=True):
            options, folder = asked() if leads else (None, None)
            if ranks is not None:
                options = cast("RunOptions", ranks.all_gather(options)[0])  # only the first rank has a folder
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
            if folder is not None and is_resumed:
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
                ranks.all_gather(None)  # wait until the first rank has written its files
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
    from dnnkit.optimizers import OPTIMIZERS, Optimizer

    chosen = OPTIMIZERS.make(options.optimizer, Optimizer)
    if options.learning_rate is not None:
        chosen = type(chosen)(learning_rate=options.learning_rate)
    settings: dict[str, Any] = {"seed": options.seed, "dtype": options.dtype, "backend": options.backend}
    return network_of(images, options.hidden, options.activation, chosen, **settings)
