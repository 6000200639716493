"""Which samples an epoch shows, and in which order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.errors import ConfigurationError
from dnnkit.training.epoch_order import check_shuffle, epoch_order
from tests.dnnkit.training.counting import WAYS, data, network, state

SIZES = {
    "samples": st.integers(1, 60),
    "rows": st.integers(1, 200),
    "seed": st.integers(0, 2**32 - 1),
    "epoch": st.integers(0, 10**6),
}


@given(shuffle=st.sampled_from(WAYS), **SIZES)
def test_an_order_has_the_requested_length_and_is_a_pure_function(shuffle, samples, rows, seed, epoch):
    order = epoch_order(shuffle, samples, rows, seed, epoch)
    assert order.shape == (rows,)
    assert order.dtype == np.int64
    assert (order >= 0).all()
    assert (order < samples).all()
    np.testing.assert_array_equal(order, epoch_order(shuffle, samples, rows, seed, epoch))


@given(**SIZES)
def test_shuffled_every_sample_is_shown_once_before_any_is_repeated(samples, rows, seed, epoch):
    order = epoch_order(True, samples, rows, seed, epoch)
    whole = rows // samples * samples
    for start in range(0, whole, samples):
        assert sorted(order[start : start + samples]) == list(range(samples))
    assert len(set(order[whole:])) == rows - whole


@given(**SIZES)
def test_unshuffled_an_epoch_starts_where_the_last_one_ended(samples, rows, seed, epoch):
    two = [epoch_order(False, samples, rows, seed, each) for each in (epoch, epoch + 1)]
    joined = np.concatenate(two)
    np.testing.assert_array_equal(np.diff(joined) % samples, 1 % samples)
    np.testing.assert_array_equal(epoch_order(False, samples, rows, seed, 0), np.arange(rows) % samples)


@pytest.mark.parametrize("epoch", [0, 1, 12])
def test_a_single_pass_has_the_order_that_it_always_had(epoch):
    """A saved network resumes as it would have before epochs could be counted in steps."""
    expected = np.random.default_rng([2, epoch, 99]).permutation(50)
    np.testing.assert_array_equal(epoch_order(True, 50, 50, 99, epoch), expected)


@pytest.mark.parametrize("shuffle", [True, "with_replacement"])
def test_passes_epochs_and_seeds_have_orders_of_their_own(shuffle):
    orders = [*epoch_order(shuffle, 50, 100, 1, 0).reshape(2, 50), epoch_order(shuffle, 50, 50, 1, 1)]
    orders.append(epoch_order(shuffle, 50, 50, 2, 0))
    assert len({order.tobytes() for order in orders}) == 4


def test_with_replacement_every_draw_is_from_all_samples():
    """Among n draws from n samples a share 1 - 1/e is distinct; every sample is as likely as any other."""
    order = epoch_order("with_replacement", 1000, 1000, 5, 0)
    assert len(set(order)) / 1000 == pytest.approx(1 - np.exp(-1), abs=0.03)
    draws, samples = 100_000, 20
    counts = np.bincount(epoch_order("with_replacement", samples, draws, 5, 1), minlength=samples)
    deviations = (counts - draws / samples) / np.sqrt(draws / samples)
    assert (deviations**2).sum() < 43.8  # chi-square, 19 degrees of freedom: exceeded by chance once in a thousand
    pairs = np.bincount(epoch_order("with_replacement", 2, draws, 5, 2).reshape(-1, 2) @ [2, 1], minlength=4)
    assert np.abs(pairs / (draws / 8) - 1).max() < 0.05  # the next draw does not depend on the last one


@pytest.mark.parametrize("shuffle", [*WAYS, np.True_, np.False_])
def test_ways_of_shuffling(shuffle):
    assert check_shuffle(shuffle) == shuffle


@pytest.mark.parametrize("shuffle", [None, 0, 1, "without_replacement", "", [True]])
def test_an_unknown_shuffle_option_is_an_error(shuffle):
    net = network()
    with pytest.raises(ConfigurationError, match=r"shuffle is .*: expected True, False or 'with_replacement'"):
        net.fit(*data(), shuffle=shuffle, verbose=0)
    assert state(net) == (0, 0, 0)
