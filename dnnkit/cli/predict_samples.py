"""`dnnkit predict` for a network: samples are read from a file of numbers."""

import warnings
import zlib
from io import TextIOWrapper
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from dnnkit.cli.predictions import Predictions
from dnnkit.errors import DataError
from dnnkit.files import largest, open_regular
from dnnkit.saves.loading import load_network
from dnnkit.tables.numpy_files import read_arrays

LARGEST_CSV, LARGEST_ARRAY = 64 << 20, 512 << 20
"""Largest file of samples in bytes, unless DNNKIT_LARGEST_FILE is set; two characters of CSV become eight bytes."""


def predictions_of_samples(run: Path, file: Path, backend: str | None) -> Predictions:
    """Return the predictions of a saved network for the samples of a file."""
    net = load_network(run, backend, None)
    assert net.input_shape is not None
    outputs = net.predict(_fit_shape(read_samples(file), net.input_shape))
    if getattr(net.layers[-1], "activation", None) == "softmax":
        return Predictions(("class",), outputs, np.arange(outputs.shape[1]), is_titled=False)
    names = tuple(f"prediction {number}" for number in range(1, outputs.shape[1] + 1))
    return Predictions(names, outputs, is_titled=False)


def read_samples(file: Path) -> NDArray[Any]:
    """Read the array of numbers in a file; raise `DataError` if there is none."""
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
        warnings.simplefilter("ignore", UserWarning)  # the caller reports an empty file
        return np.loadtxt(lines, delimiter=",", ndmin=2)


def _read_numpy(file: Path) -> NDArray[Any]:
    """Read .npy or .npz; NumPy distinguishes them by their content."""
    arrays = read_arrays(file, largest(LARGEST_ARRAY), "biuf")
    if len(arrays) != 1:
        names = ", ".join(name[:40] for name in islice(arrays, 5))
        raise DataError(f"{file} holds {len(arrays)} arrays ({names}): expected one")
    return next(iter(arrays.values()))


def _fit_shape(samples: NDArray[Any], input_shape: tuple[int, ...]) -> NDArray[Any]:
    """Reshape a single sample, or samples given as flat rows, to a batch of the input shape."""
    if samples.shape in (input_shape, (prod(input_shape),)):
        return samples.reshape(1, *input_shape)
    if samples.ndim == 2 and samples.shape[1] == prod(input_shape):
        return samples.reshape(-1, *input_shape)
    return samples
