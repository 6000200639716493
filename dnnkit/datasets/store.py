"""The data folder, and image data sets of four IDX files each, downloaded on demand."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnnkit.datasets.idx import IdxFile, find_file, read_idx
from dnnkit.errors import DataError
from dnnkit.files import cache_folder


def data_folder() -> Path:
    """Return `$DNNKIT_DATA_DIR` or the cache: `$DNNKIT_CACHE_DIR`, `$XDG_CACHE_HOME/dnnkit` or `~/.cache/dnnkit`."""
    folder = os.environ.get("DNNKIT_DATA_DIR")
    return Path(folder) if folder else cache_folder()


def load_pairs(
    name: str, files: tuple[IdxFile, IdxFile, IdxFile, IdxFile], mirrors: Sequence[str], classes: int = 256
) -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Load training and test images (N, H, W) and labels (N,) below `classes`, both uint8, from the data folder.

    Missing files are first downloaded from the mirrors, URLs at which `<file>.gz` is found. Inconsistent files raise
    `DataError`.
    """
    folder = data_folder() / name
    if any(find_file(folder, file.name) is None for file in files):
        from dnnkit.datasets.download import download_missing  # imported late: urllib is slow to import

        download_missing(name, folder, files, mirrors)
    x, y, x_test, y_test = (read_idx(folder, file) for file in files)
    for images, labels, part in ((x, y, "training"), (x_test, y_test, "test")):
        if len(images) != len(labels):
            raise DataError(f"{name} in {folder}: {len(images)} {part} images but {len(labels)} labels; replace both")
        if int(labels.max()) >= classes:
            raise DataError(
                f"{name} in {folder}: {part} labels go to {labels.max()}, but there are {classes} classes, from 0; "
                "replace the files"
            )
    if x.shape[1:] != x_test.shape[1:]:
        raise DataError(
            f"{name} in {folder}: training images are {_size(x)}, test images {_size(x_test)}; replace the files"
        )
    return (x, y), (x_test, y_test)


def _size(images: NDArray[np.uint8]) -> str:
    return " × ".join(map(str, images.shape[1:]))
