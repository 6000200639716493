"""MNIST and Fashion-MNIST: small files of their layout, and the real MNIST where DNNKIT_DATA_DIR holds it."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.datasets import fashion_mnist, mnist
from dnnkit.errors import DataError

DATA_AT_START = os.environ.get("DNNKIT_DATA_DIR")
needs_mnist = pytest.mark.skipif(
    DATA_AT_START is None or not (Path(DATA_AT_START) / "mnist").is_dir(),
    reason="DNNKIT_DATA_DIR is not set to a folder with mnist/",
)
either = pytest.mark.parametrize(
    ("name", "module"), [("mnist", mnist), ("fashion_mnist", fashion_mnist)], ids=["mnist", "fashion_mnist"]
)
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def small_data() -> dict[str, np.ndarray]:
    """Five training and three test images of 4 × 3 pixels."""
    rng = np.random.default_rng(7)
    shapes = ((5, 4, 3), (5,), (3, 4, 3), (3,))
    return {name: rng.integers(0, 10, shape, np.uint8) for name, shape in zip(FILES, shapes, strict=True)}


def put(folder: Path, name: str, array: np.ndarray, zipped: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    content = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    content += array.tobytes()
    path = folder / (f"{name}.gz" if zipped else name)
    path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.fixture
def data_dir(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DNNKIT_DATA_DIR", str(tmp_path))
    return tmp_path


@either
@pytest.mark.parametrize("zipped", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0)], ids=["plain", "gzip", "mixed"])
def test_the_four_files_are_read_from_the_data_folder(data_dir, name, module, zipped):
    arrays = small_data()
    for (file, array), compressed in zip(arrays.items(), zipped, strict=True):
        put(data_dir / name, file, array, bool(compressed))
    (x, y), (x_test, y_test) = module.load_data()
    for loaded, file in zip((x, y, x_test, y_test), FILES, strict=True):
        assert loaded.dtype == np.uint8
        np.testing.assert_array_equal(loaded, arrays[file])


@either
def test_without_files_the_message_says_where_to_put_them(data_dir, name, module):
    with pytest.raises(DataError, match="DNNKIT_DATA_DIR") as caught:
        module.load_data()
    message = str(caught.value)
    assert str(data_dir / name) in message
    assert f"http://127.0.0.1:9/{name}/" in message
    assert all(file in message for file in FILES)


def test_only_the_missing_files_are_named(data_dir):
    for file, array in list(small_data().items())[:3]:
        put(data_dir / "mnist", file, array)
    with pytest.raises(DataError) as caught:
        mnist.load_data()
    assert FILES[3] in str(caught.value)
    assert not any(file in str(caught.value) for file in FILES[:3])


@pytest.mark.parametrize(("file", "part"), [(FILES[1], "training"), (FILES[3], "test")])
def test_every_image_needs_a_label(data_dir, file, part):
    arrays = small_data()
    arrays[file] = arrays[file][:-1]
    for name, array in arrays.items():
        put(data_dir / "mnist", name, array)
    images, labels = {"training": (5, 4), "test": (3, 2)}[part]
    with pytest.raises(DataError, match=f"{images} {part} images but {labels} labels"):
        mnist.load_data()


def test_files_without_any_image_are_rejected(data_dir):
    for name, array in small_data().items():
        put(data_dir / "mnist", name, array[:0])
    with pytest.raises(DataError, match="declares no numbers"):
        mnist.load_data()


def test_images_and_labels_that_do_not_match_are_rejected(data_dir):
    good = small_data()
    for number, wrong, told in (
        (2, np.zeros((1, 28, 27), np.uint8), "training images are 4 × 3, test images 28 × 27"),
        (1, np.full(len(good[FILES[1]]), 10, np.uint8), "training labels go to 10, but there are 10 classes"),
    ):
        arrays = {**good, FILES[number]: wrong}
        if number == 2:
            arrays[FILES[3]] = arrays[FILES[3]][:1]
        for name, array in arrays.items():
            put(data_dir / "mnist", name, array)
        with pytest.raises(DataError, match=told):
            mnist.load_data()


def test_images_in_the_place_of_labels_are_rejected(data_dir):
    arrays = small_data()
    arrays[FILES[1]] = arrays[FILES[0]]
    for name, array in arrays.items():
        put(data_dir / "mnist", name, array)
    with pytest.raises(DataError, match="train-labels-idx1-ubyte begins with 00000803"):
        mnist.load_data()


@needs_mnist
def test_the_real_mnist_has_its_known_contents(monkeypatch):
    monkeypatch.setenv("DNNKIT_DATA_DIR", str(DATA_AT_START))
    (x, y), (x_test, y_test) = dk.datasets.mnist.load_data()
    assert x.shape == (60_000, 28, 28)
    assert x_test.shape == (10_000, 28, 28)
    assert x.dtype == y.dtype == x_test.dtype == y_test.dtype == np.uint8
    assert x.max() == 255
    assert y[:5].tolist() == [5, 0, 4, 1, 9]
    assert y_test[:5].tolist() == [7, 2, 1, 0, 4]


@needs_mnist
@pytest.mark.slow
def test_five_epochs_on_the_real_mnist_reach_the_usual_accuracy(monkeypatch):
    monkeypatch.setenv("DNNKIT_DATA_DIR", str(DATA_AT_START))
    (x, y), (x_test, y_test) = dk.datasets.mnist.load_data()
    layers = [
        dk.Rescaling(1 / 255),
        dk.Flatten(),
        dk.Dense(128, activation="relu"),
        dk.Dense(10, activation="softmax"),
    ]
    net = dk.Sequential(layers, seed=0)
    net.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    net.fit(x, y, batch_size=32, epochs=5, verbose=0)
    assert net.evaluate(x_test, y_test)["accuracy"] >= 0.973
