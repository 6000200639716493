"""The embedded digits: what `load_data` returns, that it never changes, and how well it can be learned."""

import hashlib

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.datasets import digits

CHECKSUM = "6a812af8365b27b7ec02d34500f780068c2c6659fd92ac09c86758d8ab34538c"


def test_images_and_labels_have_the_documented_shapes_and_values():
    (x, y), (x_test, y_test) = dk.datasets.digits.load_data()
    assert x.shape == (1437, 8, 8)
    assert x_test.shape == (360, 8, 8)
    assert y.shape == (1437,)
    assert y_test.shape == (360,)
    assert x.dtype == x_test.dtype == np.uint8
    assert y.dtype.kind == y_test.dtype.kind == "i"
    assert (x.min(), x.max()) == (0, 16)
    assert x_test.max() <= dk.datasets.digits.LARGEST_VALUE == 16
    assert set(y) == set(y_test) == set(range(len(dk.datasets.digits.CLASS_NAMES)))


def test_the_split_is_stratified():
    (_, y), (_, y_test) = dk.datasets.digits.load_data()
    counts, counts_test = np.bincount(y), np.bincount(y_test)
    assert np.all(np.abs(counts_test - 0.2 * (counts + counts_test)) <= 1)


def test_the_split_is_the_same_at_every_call_and_in_every_version():
    for _ in range(2):
        (x, y), (x_test, y_test) = dk.datasets.digits.load_data()
        content = hashlib.sha256()
        for array in (x, y.astype("<i8"), x_test, y_test.astype("<i8")):
            content.update(np.ascontiguousarray(array).tobytes())
        assert content.hexdigest() == CHECKSUM


def test_they_equal_scikit_learns_digits_and_split():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    whole = load_digits()
    x, x_test, y, y_test = train_test_split(
        whole.images, whole.target, test_size=0.2, stratify=whole.target, random_state=0
    )
    found = dk.datasets.digits.load_data()
    for actual, expected in zip((*found[0], *found[1]), (x, y, x_test, y_test), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("content", [None, b"", b"damaged"], ids=["missing", "empty", "damaged"])
def test_a_missing_or_damaged_file_is_reported(content, monkeypatch, tmp_path):
    file = tmp_path / "digits.npy"
    if content is not None:
        file.write_bytes(content or digits.FILE.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(digits, "FILE", file)
    with pytest.raises(dk.errors.DataError, match="reinstall dnnkit"):
        digits.load_data()


def test_changing_loaded_data_does_not_change_the_next_load():
    (x, _), _ = dk.datasets.digits.load_data()
    before = x.copy()
    x[...] = 0
    (again, _), _ = dk.datasets.digits.load_data()
    np.testing.assert_array_equal(again, before)


def test_the_default_network_of_the_command_line_learns_them():
    (x, y), (x_test, y_test) = dk.datasets.digits.load_data()
    accuracies = []
    for seed in range(5):
        layers = [
            dk.Rescaling(1 / 16),
            dk.Flatten(),
            dk.Dense(128, activation="relu"),
            dk.Dense(10, activation="softmax"),
        ]
        net = dk.Sequential(layers, seed=seed)
        net.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        net.fit(x, y, batch_size=32, epochs=60, verbose=0)
        accuracies.append(net.evaluate(x_test, y_test)["accuracy"])
    assert np.mean(accuracies) >= 0.97
