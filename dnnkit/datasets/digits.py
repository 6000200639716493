"""Handwritten digits, 8 × 8: 1,797 images, the embedded default.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (its test part), under
the licence CC BY 4.0; taken from scikit-learn's copy, `datasets/data/digits.csv.gz`.
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
"""Each image's pixels and then its label, (1797, 65) uint8; first those to train on, as scikit-learn's
`train_test_split(test_size=0.2, stratify=labels, random_state=0)` gives them."""

SHA256 = "c986f2827a6b4200837d8ae5e945464a6ac4648cd54daa7d20fa75b72e023f1c"

TEST = 360
"""Images that are held out."""


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """1,437 and 360 images (N, 8, 8) uint8 with values 0–16, and their labels; one fixed, stratified split."""
    rows = _rows()
    images, labels = rows[:, :-1].copy().reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    return (images[:-TEST], labels[:-TEST]), (images[-TEST:], labels[-TEST:])


def _rows() -> NDArray[np.uint8]:
    try:
        content = FILE.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {FILE}: {error.strerror}; install dnnkit anew") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{FILE} is not the file that dnnkit came with; install dnnkit anew")
    rows: NDArray[np.uint8] = np.load(BytesIO(content))
    return rows
