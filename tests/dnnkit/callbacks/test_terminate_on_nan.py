"""TerminateOnNaN: training whose loss has exploded ends."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import TrainingWarning

DATA = np.random.default_rng(1).normal(size=(64, 3))
LABELS = (DATA[:, 0] > 0).astype(int)


def network(learning_rate: float) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(4, activation="relu"), dk.Dense(2, activation="softmax")], seed=0)
    net.compile(dk.SGD(learning_rate), "sparse_categorical_crossentropy")
    return net


def test_an_exploding_network_is_stopped_with_a_warning_that_says_where(backend):
    net = network(learning_rate=1e30)
    with pytest.warns(TrainingWarning, match=r"epoch 1, step \d.*learning rate"):
        history = net.fit(DATA, LABELS, batch_size=8, epochs=20, callbacks=[dk.TerminateOnNaN()], verbose=0)
    assert history.epoch == [0]
    assert np.isnan(history["loss"][0])


def test_a_healthy_network_is_not_stopped(backend):
    history = network(0.1).fit(DATA, LABELS, epochs=3, callbacks=[dk.TerminateOnNaN()], verbose=0)
    assert history.epoch == [0, 1, 2]


@pytest.mark.parametrize(("loss", "stops"), [(1.5, False), (float("inf"), True), (float("nan"), True)])
def test_a_non_finite_loss_stops_training(loss, stops):
    callback = dk.TerminateOnNaN()
    callback.model = network(0.1)
    callback.on_epoch_end(0, {"loss": loss})
    assert callback.model.stop_training is stops
