"""`dnnkit predict`: ask a trained network."""

import warnings
import zlib
from io import TextIOWrapper
from itertools import islice
from math import prod
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import numpy as np
import typer
from numpy.typing import NDArray

from dnnkit.cli.output import json_output
from dnnkit.cli.predictions import Predictions, check_out, tell
from dnnkit.errors import DataError
from dnnkit.files import largest, open_regular
from dnnkit.tables.numpy_files import read_arrays

LARGEST_CSV, LARGEST_ARRAY = 64 << 20, 512 << 20
"""Bytes of a file of samples, unless DNNKIT_LARGEST_FILE says otherwise; two letters of CSV become eight bytes."""


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder, as `dnnkit train` or `net.save` writes it.")],
    file: Annotated[
        Path,
        typer.Argument(
            help="Samples: .npy, .npz with one array, or .csv of numbers, one a line. For a run on a table: a table, "
            "whose columns are found by name."
        ),
    ],
    backend: Annotated[str | None, typer.Option(help="Where to compute; see `dnnkit backends`.")] = None,
    json: Annotated[
        str | None, typer.Option(help="Write predictions as JSON to this file; - is standard output.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write predictions to this file, .csv or .npz.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What stands between cells of a table.", show_default="found out")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="What stands before fractions in a table.", show_default="found out")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a table, such as latin-1.", show_default="its mark, or utf-8")
    ] = None,
    missing: Annotated[
        list[str] | None, typer.Option(help="A cell of a table that stands for no value, beside empty ones, NA, ....")
    ] = None,
) -> None:
    """Print what a network predicts for each sample of a file: class and probability, or its outputs.

    Examples:

        dnnkit predict runs/digits samples.npy

        dnnkit predict runs/digits samples.csv --json predictions.json

        dnnkit predict runs/houses houses.csv --out prices.csv
    """
    from dnnkit.cli.predict_table import is_run_on_table, predictions_of_table
    from dnnkit.tables.reading import TextOptions

    check_out(out)
    with json_output(json) as result:
        if is_run_on_table(run):
            text = TextOptions(delimiter, decimal, encoding, tuple(missing or ()))
            predicted = predictions_of_table(run, file, backend, text)
        else:
            predicted = predictions_of_samples(run, file, backend)
        tell(predicted, result, out)


def predictions_of_samples(run: Path, file: Path, backend: str | None) -> Predictions:
    """What the network of a save folder predicts for the numbers of a file."""
    from dnnkit.saves.loading import load_network

    net = load_network(run, backend, None)
    assert net.input_shape is not None
    outputs = net.predict(_fit_shape(read_samples(file), net.input_shape))
    if getattr(net.layers[-1], "activation", None) == "softmax":
        return Predictions(("class",), outputs, np.arange(outputs.shape[1]), is_titled=False)
    names = tuple(f"prediction {number}" for number in range(1, outputs.shape[1] + 1))
    return Predictions(names, outputs, is_titled=False)


def read_samples(file: Path) -> NDArray[Any]:
    """The array of numbers in a file; raises `DataError` if there is none."""
    if file.suffix not in (".npy", ".npz", ".csv"):
        raise DataError(f"{file} ends in {file.suffix or 'nothing'}: expected .npy, .npz or .csv")
    try:
        samples = _read_csv(file) if file.suffix == ".csv" else _read_numpy(file)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, TypeError, EOFError, OverflowError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise DataError(f"{file} does not hold plain numbers: {error}") from error
    if samples.size == 0:
        raise DataError(f"{file} is empty: expected at least one sample")
    return samples


def _read_csv(file: Path) -> NDArray[Any]:
    with (
        open_regular(file, largest(LARGEST_CSV)) as opened,
        TextIOWrapper(opened, encoding="utf-8-sig") as lines,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)  # that it is empty is said better by the caller
        return np.loadtxt(lines, delimiter=",", ndmin=2)


def _read_numpy(file: Path) -> NDArray[Any]:
    """Of .npy and .npz; NumPy knows one from the other by its content."""
    arrays = read_arrays(file, largest(LARGEST_ARRAY), "biuf")
    if len(arrays) != 1:
        names = ", ".join(name[:40] for name in islice(arrays, 5))
        raise DataError(f"{file} holds {len(arrays)} arrays ({names}): expected one")
    return next(iter(arrays.values()))


def _fit_shape(samples: NDArray[Any], input_shape: tuple[int, ...]) -> NDArray[Any]:
    """One sample alone, and samples written as flat rows, are understood."""
    if samples.shape in (input_shape, (prod(input_shape),)):
        return samples.reshape(1, *input_shape)
    if samples.ndim == 2 and samples.shape[1] == prod(input_shape):
        return samples.reshape(-1, *input_shape)
    return samples
