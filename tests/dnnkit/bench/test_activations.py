"""The code that is timed is the code that ships, and it is checked before it is timed."""

from dataclasses import replace

import numpy as np
import pytest

from dnnkit.bench import learning
from dnnkit.bench.activations import WrongResult, check
from dnnkit.bench.kernels import SIZES, Data, names, works
from dnnkit.bench.networks import Trainable, classifier, digits_network
from dnnkit.bench.selection import Selection, select_activations
from dnnkit.kernels import registry


def test_every_activation_is_right_on_every_backend(backend):
    for name in select_activations(None):
        assert check(backend, name, registry.activation(name)) < 1e-5


def test_a_wrong_kernel_is_not_timed(backend, monkeypatch):
    right = registry.activation("tanh")
    wrong = type(backend).activation_backward

    def doubled(self, activation, dy, saved, out=None):
        return 2 * wrong(self, activation, dy, saved, out)

    monkeypatch.setattr(type(backend), "activation_backward", doubled)
    with pytest.raises(WrongResult, match=r"tanh on .* is wrong by"):
        check(backend, "tanh", right)


def test_every_kernel_runs_and_reports_its_traffic(backend):
    size = SIZES["small"]
    for work in works(Data(size, "float32", backend)):
        assert work.call(backend) is not None
        assert work.moved > 0
        assert work.flops > 0
    assert {"relu forward", "dense backward", "update adam", "dropout mask", "gather bytes", "accuracy"} <= set(names())


def test_relu_comes_first_and_nothing_that_mixes_elements():
    found = select_activations(None)
    assert found[0] == "relu"
    assert set(found) == set(registry.names("activation")) - {"softmax"}


def test_an_epoch_of_the_bench_trains_like_fit(backend):
    """One call of the executable, in the order of the data: what `fit` without shuffling does."""
    selection = Selection((backend,), ("tanh",), width=8)
    timed = classifier(selection, "tanh", backend, seed=3)
    timed.epoch(32, 45)()
    fitted = digits_network(selection, "tanh", backend, seed=3)
    fitted.fit(timed.x, timed.y, batch_size=32, shuffle=False, verbose=0)
    for name, value in fitted.parameters.items():
        np.testing.assert_allclose(timed.net.parameters[name], value, rtol=1e-6, atol=1e-7)
    assert timed.loss == pytest.approx(fitted.history["loss"][0], rel=1e-6)


def test_the_time_of_a_truth_table_is_of_training_that_learned_it(backend):
    iterations = 500  # seed 0 needs about 420
    assert 0 < learning._time_of("sigmoid", 1.0, 0, backend, iterations) < 60
    assert learning._time_of("sigmoid", 1.0, 0, backend, 50) == np.inf
    assert learning._time_of("sigmoid", 1.0, 0, backend, None) == np.inf


def test_a_network_has_the_depth_and_width_that_were_chosen(backend):
    selection = replace(Selection((backend,), ("relu",)), width=7, depth=3)
    net = digits_network(selection, "relu", backend, seed=0)
    trained = Trainable(net, np.zeros((4, 8, 8), np.uint8), np.arange(4))
    assert [value.shape for name, value in trained.net.parameters.items() if "kernel" in name] == [
        (64, 7),
        (7, 7),
        (7, 7),
        (7, 10),
    ]
