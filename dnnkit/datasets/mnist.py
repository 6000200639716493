"""MNIST: 70,000 handwritten digits, 28 × 28.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits, 1998.
"""

import numpy as np
from numpy.typing import NDArray

from dnnkit.datasets.idx import IdxFile
from dnnkit.datasets.store import load_pairs

LARGEST_VALUE = 255
CLASS_NAMES = tuple("0123456789")

FILES = (
    IdxFile("train-images-idx3-ubyte", 3, 47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
    IdxFile("train-labels-idx1-ubyte", 1, 60_008, "a25bea736e30d166cdddb491f175f624"),
    IdxFile("t10k-images-idx3-ubyte", 3, 7_840_016, "2646ac647ad5339dbf082846283269ea"),
    IdxFile("t10k-labels-idx1-ubyte", 1, 10_008, "27ae3e4e09519cfbb04c329615203637"),
)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def load_data() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """60,000 and 10,000 images (N, 28, 28) uint8 with values 0–255, and their labels; downloaded where missing."""
    return load_pairs("mnist", FILES, MIRRORS)
