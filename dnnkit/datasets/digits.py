"""Handwritten digits, 8 × 8: 1,797 images, shipped with dnnkit and used by default.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (its test part), under
the licence CC BY 4.0; from scikit-learn's copy, `datasets/data/digits.csv.gz`.
"""

import hashlib
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]

LARGEST_VALUE = 16
EPOCHS = 60
CLASS_NAMES = tuple("0123456789")

FILE = Path(__file__).with_name("digits.npy")
"""Pixels and label of each image, (1797, 65) uint8; training images first, in the order of scikit-learn's
`train_test_split(test_size=0.2, stratify=labels, random_state=0)`."""

SHA256 = "c986f2827a6b4200837d8ae5e945464a6ac4648cd54daa7d20fa75b72e023f1c"

TEST = 360
"""Number of test images."""


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """Return a fixed, stratified split of 1,437 training and 360 test images.

    Returns:
        (x, y), (x_test, y_test): images (N, 8, 8) uint8 with values 0–16, and labels (N,) int64.

    Raises:
        DataError: the file is missing or damaged.
    """
    rows = _rows()
    images, labels = rows[:, :-1].copy().reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    return (images[:-TEST], labels[:-TEST]), (images[-TEST:], labels[-TEST:])


def _rows() -> NDArray[np.uint8]:
    try:
        content = FILE.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {FILE}: {error.strerror}; reinstall dnnkit") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{FILE} is not the file shipped with dnnkit; reinstall dnnkit")
    rows: NDArray[np.uint8] = np.load(BytesIO(content))
    return rows
