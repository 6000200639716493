"""Fashion-MNIST: 70,000 images of clothing, 28 × 28, in MNIST's format.

Source: H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747.
"""

import numpy as np
from numpy.typing import NDArray

from dnnkit.datasets.idx import IdxFile
from dnnkit.datasets.store import load_pairs

LARGEST_VALUE = 255
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

FILES = (
    IdxFile("train-images-idx3-ubyte", 3, 47_040_016, "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    IdxFile("train-labels-idx1-ubyte", 1, 60_008, "9018921c3c673c538a1fc5bad174d6f9"),
    IdxFile("t10k-images-idx3-ubyte", 3, 7_840_016, "8181f5470baa50b63fa0f6fddb340f0a"),
    IdxFile("t10k-labels-idx1-ubyte", 1, 10_008, "15d484375f8d13e6eb1aabb0c3f46965"),
)

MIRRORS = ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/",)
"""The authors' own mirror has no https, and with MD5 sums, altered files could go unnoticed there."""


def load_data() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Load 60,000 training and 10,000 test images, downloading them if necessary.

    Returns:
        (x, y), (x_test, y_test): images (N, 28, 28) uint8 with values 0–255, and labels (N,) uint8.

    Raises:
        DataError: the files are damaged, or cannot be downloaded or written.
    """
    return load_pairs("fashion_mnist", FILES, MIRRORS, len(CLASS_NAMES))
