"""Handwritten digits, 8 × 8: 1,797 images that come with scikit-learn; the embedded default.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (its test part).
"""

import gzip
from importlib.util import find_spec
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

FILE = Path("datasets", "data", "digits.csv.gz")
"""Within scikit-learn's package, which is not imported for it: that takes longer than to compile and to train."""

ORDER = Path(__file__).with_name("digits_order.npy")
"""The rows of that file, first those to train on, as `train_test_split(test_size=0.2, stratify=labels, random_state=0)`
of scikit-learn gives them."""

TEST = 360
"""Images that are held out."""


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """1,437 and 360 images (N, 8, 8) uint8 with values 0–16, and their labels; one fixed, stratified split."""
    order = np.load(ORDER)
    rows = _rows()[order]
    images, labels = rows[:, :-1].astype(np.uint8).reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    return (images[:-TEST], labels[:-TEST]), (images[-TEST:], labels[-TEST:])


def _rows() -> NDArray[np.float64]:
    """Each image's pixels and then its label, (1797, 65)."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("digits come with scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(package.origin).parent / FILE
    try:
        text = gzip.decompress(path.read_bytes()).decode("ascii")
        numbers = np.array(text.replace("\n", ",").rstrip(",").split(","), np.float64)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}; install scikit-learn anew") from error
    if numbers.size != 1797 * 65:
        raise DataError(f"{path} has {numbers.size:,} numbers, not 1,797 × 65; install scikit-learn anew")
    return numbers.reshape(1797, 65)
