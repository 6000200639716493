"""`dnnkit predict`: ask a trained network."""

import os
import warnings
import zlib
from io import TextIOWrapper
from math import prod
from pathlib import Path
from typing import IO, Annotated, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import typer
from numpy.typing import NDArray

from dnnkit.cli.output import json_output
from dnnkit.errors import DataError
from dnnkit.files import largest, open_regular, too_large

LARGEST_CSV, LARGEST_ARRAY = 64 << 20, 512 << 20
"""Bytes of a file of samples, unless DNNKIT_LARGEST_FILE says otherwise; two letters of CSV become eight bytes."""

HEADERS: Any = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""By the format's version; the third one is for names of fields."""


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
    most = largest(LARGEST_ARRAY)
    with open_regular(file, most) as opened:  # NumPy does not close what it cannot read
        size = os.fstat(opened.fileno()).st_size
        if opened.read(2) != b"PK":
            opened.seek(0)
            return _array(opened, size, file)
        with ZipFile(opened) as zipped:
            members = zipped.infolist()
            if len(members) != 1:
                names = ", ".join(member.filename.removesuffix(".npy")[:40] for member in members[:5])
                raise DataError(f"{file} holds {len(members)} arrays ({names}): expected one")
            if members[0].file_size > most:
                raise DataError(f"{file} is not read: {too_large(members[0].file_size, most)}")
            with zipped.open(members[0]) as member:
                return _array(member, members[0].file_size, file)


def _array(stream: IO[bytes], size: int, file: Path) -> NDArray[Any]:
    """An array of numbers from a file of so many bytes: a header may promise any number of them."""
    try:
        shape, by_columns, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # NumPy has Python read the header, which fails in many ways
        raise DataError(f"{file} does not hold plain numbers: its header cannot be read: {str(error)[:200]}") from None
    promised = prod(shape) * dtype.itemsize
    if dtype.kind not in "biuf" or promised > size:
        raise DataError(f"{file} announces {shape} of dtype {dtype}: expected numbers, and not more than it has bytes")
    values = np.frombuffer(stream.read(promised), dtype)
    return values.reshape(shape, order="F" if by_columns else "C")


def _fit_shape(samples: NDArray[Any], input_shape: tuple[int, ...]) -> NDArray[Any]:
    """One sample alone, and samples written as flat rows, are understood."""
    if samples.shape in (input_shape, (prod(input_shape),)):
        return samples.reshape(1, *input_shape)
    if samples.ndim == 2 and samples.shape[1] == prod(input_shape):
        return samples.reshape(-1, *input_shape)
    return samples
