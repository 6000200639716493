"""`dnnkit predict`: ask a trained network."""

import warnings
from math import prod
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import numpy as np
import typer
from numpy.typing import NDArray

from dnnkit.cli.output import json_output
from dnnkit.errors import DataError


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder, as `dnnkit train` or `net.save` writes it.")],
    file: Annotated[Path, typer.Argument(help="Samples: .npy, .npz with one array, or .csv of numbers, one a line.")],
    backend: Annotated[str | None, typer.Option(help="Where to compute; see `dnnkit backends`.")] = None,
    json: Annotated[
        str | None, typer.Option(help="Write predictions as JSON to this file; - is standard output.")
    ] = None,
) -> None:
    """Print what a network predicts for each sample of a file: class and probability, or its outputs.

    Examples:

        dnnkit predict runs/digits samples.npy

        dnnkit predict runs/digits samples.csv --json predictions.json
    """
    from dnnkit.saves.loading import load_network

    net = load_network(run, backend, None)
    assert net.input_shape is not None
    with json_output(json) as result:
        predictions = net.predict(_fit_shape(read_samples(file), net.input_shape))
        result["predictions"] = predictions.tolist()
        if getattr(net.layers[-1], "activation", None) == "softmax":
            classes = predictions.argmax(axis=1)
            result["classes"] = classes.tolist()
            typer.echo("sample  class  probability")
            for number, (row, label) in enumerate(zip(predictions, classes, strict=True)):
                typer.echo(f"{number:6d}  {label:5d}  {row[label]:11.4f}")
        else:
            for number, row in enumerate(predictions):
                typer.echo(f"{number:6d}  " + "  ".join(f"{value:.6g}" for value in row))


def read_samples(file: Path) -> NDArray[Any]:
    """The array of numbers in a file; raises `DataError` if there is none."""
    if file.suffix not in (".npy", ".npz", ".csv"):
        raise DataError(f"{file} ends in {file.suffix or 'nothing'}: expected .npy, .npz or .csv")
    try:
        samples = _read_csv(file) if file.suffix == ".csv" else _read_numpy(file)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{file} does not hold plain numbers: {error}") from error
    if samples.size == 0:
        raise DataError(f"{file} is empty: expected at least one sample")
    return samples


def _read_csv(file: Path) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is empty is said better by the caller
        return np.loadtxt(file, delimiter=",", ndmin=2)


def _read_numpy(file: Path) -> NDArray[Any]:
    """NumPy knows .npy from .npz by its content."""
    with file.open("rb") as opened:  # NumPy does not close what it cannot read
        loaded = np.load(opened, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        if len(loaded.files) != 1:
            raise DataError(f"{file} holds {len(loaded.files)} arrays ({', '.join(loaded.files)}): expected one")
        return np.asarray(loaded[loaded.files[0]])


def _fit_shape(samples: NDArray[Any], input_shape: tuple[int, ...]) -> NDArray[Any]:
    """One sample alone, and samples written as flat rows, are understood."""
    if samples.shape in (input_shape, (prod(input_shape),)):
        return samples.reshape(1, *input_shape)
    if samples.ndim == 2 and samples.shape[1] == prod(input_shape):
        return samples.reshape(-1, *input_shape)
    return samples
