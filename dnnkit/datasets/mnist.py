"""MNIST: 70,000 handwritten digits, 28 × 28.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits, 1998.
"""

import numpy as np
from numpy.typing import NDArray

from dnnkit.datasets.idx import IdxFile
from dnnkit.datasets.store import load_pairs

LARGEST_VALUE = 255
CLASS_NAMES = tuple("0123456789")

SUMS = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
"""SHA-256 checksums in the order of the files."""

FILES = (
    IdxFile("train-images-idx3-ubyte", 3, 47_040_016, SUMS[0]),
    IdxFile("train-labels-idx1-ubyte", 1, 60_008, SUMS[1]),
    IdxFile("t10k-images-idx3-ubyte", 3, 7_840_016, SUMS[2]),
    IdxFile("t10k-labels-idx1-ubyte", 1, 10_008, SUMS[3]),
)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def load_data() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Load 60,000 training and 10,000 test images, downloading them if necessary.

    Returns:
        (x, y), (x_test, y_test): images (N, 28, 28) uint8 with values 0–255, and labels (N,) uint8.

    Raises:
        DataError: the files are damaged, or cannot be downloaded or written.
    """
    return load_pairs("mnist", FILES, MIRRORS, len(CLASS_NAMES))
