"""Handwritten digits, 8 × 8: 1,797 images that come with scikit-learn; the embedded default.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (its test part).
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]

LARGEST_VALUE = 16
EPOCHS = 60
CLASS_NAMES = tuple("0123456789")


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """1,437 and 360 images (N, 8, 8) uint8 with values 0–16, and their labels; one fixed, stratified split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data: Any = load_digits()
    images, labels = data.images.astype(np.uint8), data.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=0)
    return (x, y), (x_test, y_test)
