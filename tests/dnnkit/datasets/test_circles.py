"""Two rings: the number of points, their places, and no straight line between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.datasets import circles
from dnnkit.errors import ConfigurationError


def everything(**options) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation data, joined."""
    parts = circles.load_data(**options)
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def test_it_is_one_of_the_data_sets():
    assert dk.datasets.circles is circles
    assert circles.CLASS_NAMES == ("outside", "inside")


@given(samples=st.integers(4, 300), seed=st.integers(0, 2**32 - 1))
def test_the_number_of_points_is_as_requested_plus_a_quarter(samples, seed):
    (x, y), (x_held_out, y_held_out) = circles.load_data(samples, seed=seed)
    assert x.shape == (samples, 2)
    assert x_held_out.shape == (samples // 4, 2)
    assert x.dtype == x_held_out.dtype == np.float64
    for points, labels in ((x, y), (x_held_out, y_held_out)):
        assert labels.shape == (len(points), 1)
        assert labels.dtype == np.int64
        assert labels.sum() == len(points) // 2
        assert set(labels[:, 0]) <= {0, 1}
    assert np.isfinite(x).all()


@given(factor=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_without_noise_the_classes_are_circles(factor, seed):
    x, y = everything(samples=40, noise=0, factor=factor, seed=seed)
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y[:, 0] == 1, factor, 1.0), rtol=1e-12)


def test_points_are_all_around():
    x, y = everything(samples=4000, noise=0)
    for label in (0, 1):
        angles = np.arctan2(*x[y[:, 0] == label].T)
        counts, _ = np.histogram(angles, bins=8, range=(-np.pi, np.pi))
        assert counts.min() > 0.8 * counts.mean()


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.5])
def test_noise_is_normal_with_the_requested_width(noise):
    """The same seed gives the same angles, so the difference is the noise alone."""
    (clean, labels), _ = circles.load_data(4000, noise=0, seed=3)
    (noisy, same_labels), _ = circles.load_data(4000, noise=noise, seed=3)
    np.testing.assert_array_equal(labels, same_labels)
    deviations = (noisy - clean) / noise
    assert deviations.mean(axis=0) == pytest.approx([0, 0], abs=0.06)
    assert deviations.std(axis=0) == pytest.approx([1, 1], abs=0.05)
    assert np.mean(np.abs(deviations) < 1) == pytest.approx(0.683, abs=0.03)


def test_the_defaults_are_a_thousand_points_of_some_noise():
    (x, y), (x_held_out, _) = circles.load_data()
    assert (len(x), len(x_held_out)) == (1000, 250)
    radii = np.hypot(*x.T)
    assert radii[y[:, 0] == 0].mean() == pytest.approx(1.0, abs=0.03)
    assert radii[y[:, 0] == 1].mean() == pytest.approx(0.51, abs=0.03)


def test_the_seed_decides_and_the_same_seed_gives_the_same():
    (x, y), (x_held_out, _) = circles.load_data(40)
    (again, y_again), _ = circles.load_data(40, seed=0)
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, y_again)
    (other, _), _ = circles.load_data(40, seed=1)
    assert not np.isin(other, x).any()
    assert not np.isin(x_held_out, x).any()


def test_the_classes_are_mixed():
    """The classes are not sorted: a validation split has both."""
    (_, y), _ = circles.load_data(400)
    assert 60 < y[:200].sum() < 140


def test_a_hidden_layer_learns_them_and_a_straight_line_does_not(backend: Backend):
    train, (x_held_out, y_held_out) = circles.load_data(400)
    accuracies = []
    for hidden in ([], [dk.Dense(16, activation="tanh")]):
        net = dk.Sequential([*hidden, dk.Dense(1, activation="sigmoid")], seed=0, backend=backend)
        net.compile(dk.Adam(0.03), "binary_crossentropy", ["accuracy"])
        net.fit(*train, epochs=25, verbose=0)
        accuracies.append(net.evaluate(x_held_out, y_held_out)["accuracy"])
    assert accuracies[0] < 0.75
    assert accuracies[1] > 0.95


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 3}, "samples is 3: expected a whole number, 4 or more"),
        ({"samples": 10.0}, "samples is 10.0"),
        ({"samples": True}, "samples is True"),
        ({"noise": -0.1}, "noise is -0.1: expected a standard deviation, 0 or more"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"factor": 0}, "factor is 0: expected more than 0 and less than 1"),
        ({"factor": 1.0}, "factor is 1.0"),
        ({"factor": -0.5}, "factor is -0.5"),
        ({"factor": float("nan")}, "factor is nan"),
        ({"seed": -1}, "a seed is a whole number"),
        ({"seed": None}, "a seed is a whole number"),
    ],
)
def test_invalid_arguments_are_errors(options, words):
    with pytest.raises(ConfigurationError, match=words):
        circles.load_data(**options)


def test_infinite_noise_is_an_error():
    with pytest.raises(ConfigurationError, match="noise is inf"):
        circles.load_data(noise=float("inf"))
