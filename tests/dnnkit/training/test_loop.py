"""Training counted in epochs and in steps: the same on every backend, and reported as it is."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError
from dnnkit.training.epoch_order import epoch_order
from tests.dnnkit.training.counting import (
    BATCH,
    SAMPLES,
    WAYS,
    Listener,
    bits,
    data,
    network,
    numbered,
    state,
    still,
)


def by_hand(
    net: dk.Sequential, x, y, weights, *, batch_size: int, rows: int, shuffle, steps: int
) -> tuple[list[float], list[int]]:
    """Train batch after batch with `train_step`; return the losses of the epochs, and the steps of each."""
    losses, lengths = [], []
    while steps:
        order = epoch_order(shuffle, len(x), rows, net.seed, len(losses))
        batches = [order[start : start + batch_size] for start in range(0, rows, batch_size)][:steps]
        sums = [weights[batch].sum() for batch in batches]
        losses.append(np.average([net.train_step(x[b], y[b], weights[b]) for b in batches], weights=sums))
        lengths.append(len(batches))
        steps -= len(batches)
    return losses, lengths


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    samples=st.integers(1, 12),
    batch_size=st.integers(1, 15),
    steps=st.integers(1, 9),
    steps_per_epoch=st.none() | st.integers(1, 5),
    shuffle=st.sampled_from(WAYS),
    weighted=st.booleans(),
)
@example(samples=10, batch_size=4, steps=7, steps_per_epoch=None, shuffle=True, weighted=False)
@example(samples=10, batch_size=4, steps=7, steps_per_epoch=5, shuffle=True, weighted=True)
@example(samples=10, batch_size=4, steps=5, steps_per_epoch=2, shuffle=False, weighted=True)
@example(samples=5, batch_size=13, steps=3, steps_per_epoch=2, shuffle=True, weighted=False)
@example(samples=5, batch_size=13, steps=3, steps_per_epoch=None, shuffle="with_replacement", weighted=True)
def test_training_is_the_steps_of_its_orders_one_after_the_other(
    backend: Backend, samples, batch_size, steps, steps_per_epoch, shuffle, weighted
):
    """Parameters, losses and the length of every epoch, against batches sliced by hand."""
    x, y = data(samples)
    weights = np.random.default_rng(samples).uniform(0.5, 2, samples)
    rows = samples
    if steps_per_epoch is not None or shuffle == "with_replacement":
        rows = batch_size * (steps_per_epoch or -(-samples // batch_size))
    fitted, stepped = network(backend), network(backend)
    history = fitted.fit(
        x,
        y,
        batch_size=batch_size,
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        shuffle=shuffle,
        sample_weight=weights if weighted else None,
        verbose=0,
    )
    assert state(fitted) == (steps, *divmod(steps, -(-rows // batch_size)))
    losses, lengths = by_hand(
        stepped,
        x,
        y,
        weights if weighted else np.ones(samples),
        batch_size=batch_size,
        rows=rows,
        shuffle=shuffle,
        steps=steps,
    )
    assert sum(lengths) == steps
    assert history.epoch == list(range(len(losses)))
    assert history["loss"] == pytest.approx(losses, rel=1e-9)
    for name, value in stepped.parameters.items():
        np.testing.assert_allclose(fitted.parameters[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shuffle", WAYS)
@pytest.mark.parametrize("steps_per_epoch", [None, 1, 2, 5])
def test_steps_are_the_same_training_as_the_epochs_they_fill(backend: Backend, shuffle, steps_per_epoch):
    counted, epochs = network(backend), network(backend)
    options = {"batch_size": BATCH, "steps_per_epoch": steps_per_epoch, "shuffle": shuffle, "verbose": 0}
    one = counted.fit(*data(), steps=2 * (steps_per_epoch or 3), **options)
    two = epochs.fit(*data(), epochs=2, **options)
    assert bits(counted) == bits(epochs)
    assert one.history == two.history
    assert one.epoch == two.epoch == [0, 1]
    assert counted.executable.state == epochs.executable.state


def test_neither_epochs_nor_steps_is_one_epoch():
    nets = [network(), network()]
    assert nets[0].fit(*data(), batch_size=BATCH, verbose=0).epoch == [0]
    nets[1].fit(*data(), batch_size=BATCH, steps=3, verbose=0)
    assert bits(nets[0]) == bits(nets[1])


@pytest.mark.parametrize("shuffle", WAYS)
def test_epochs_of_steps_follow_the_same_trajectory_everywhere(backend: Backend, shuffle):
    x, y = data()
    losses = []
    for where in (backend, "numpy"):
        options = {"batch_size": 3, "steps": 29, "steps_per_epoch": 4, "shuffle": shuffle, "validation_data": (x, y)}
        history = network(where).fit(x, y, **options, verbose=0)
        losses.append([history["loss"], history["val_loss"]])
    assert np.shape(losses) == (2, 2, 8)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


def test_the_loss_of_a_short_epoch_is_a_mean_over_its_samples(backend: Backend):
    """With predictions of 0 a row's loss is its target squared."""
    y = np.arange(1.0, SAMPLES + 1)[:, None]
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    mean = still(backend).fit(y, y, steps=4, **options)
    assert mean["loss"] == pytest.approx([(y**2).mean(), (y[:4] ** 2).mean()], rel=1e-12)
    assert len(mean.seconds) == 2
    summed = still(backend, "sum_squared_error").fit(y, y, steps=4, **options)
    assert summed["loss"] == pytest.approx([(y**2).sum() / 2, (y[:4] ** 2).sum() / 2], rel=1e-12)


def test_weights_count_in_a_short_epoch(backend: Backend):
    y, weights = np.arange(1.0, SAMPLES + 1)[:, None], np.arange(SAMPLES, dtype=float)
    history = still(backend).fit(
        y, y, batch_size=BATCH, steps=3, steps_per_epoch=2, shuffle=False, sample_weight=weights, verbose=0
    )
    seen = [np.arange(8), np.array([8, 9, 0, 1])]
    expected = [np.average(y[rows, 0] ** 2, weights=weights[rows]) for rows in seen]
    assert history["loss"] == pytest.approx(expected, rel=1e-12)


def test_a_batch_of_rows_without_weight_changes_nothing(backend: Backend):
    """Of ten samples one has a weight: many drawn batches contain none with a weight."""
    weights = np.zeros(SAMPLES)
    weights[3] = 1.0
    y = np.arange(1.0, SAMPLES + 1)[:, None]
    options = {"batch_size": 1, "steps_per_epoch": 40, "shuffle": "with_replacement", "verbose": 0}
    net = still(backend)
    assert net.fit(y, y, sample_weight=weights, **options)["loss"] == pytest.approx([16.0], rel=1e-12)
    never = [epoch for epoch in range(9) if not (epoch_order("with_replacement", 10, 2, net.seed, epoch) == 3).any()]
    history = still(backend).fit(
        y, y, sample_weight=weights, batch_size=2, steps_per_epoch=1, shuffle="with_replacement", epochs=9, verbose=0
    )
    assert never
    assert [history["loss"][epoch] for epoch in never] == [0.0] * len(never)


@pytest.mark.parametrize(
    ("batch_size", "steps_per_epoch", "expected"),
    [(4, 1, [4, 4, 4]), (4, 3, [12, 12, 12]), (4, 7, [28, 28, 28]), (25, 1, [25, 25, 25]), (4, None, [10, 10, 10])],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_epochs_larger_and_smaller_than_a_pass_show_the_right_samples(
    backend: Backend, shuffle, batch_size, steps_per_epoch, expected
):
    seen: list[list[int]] = []
    net = recorder(seen, backend)
    for _ in expected:
        seen.append([])
        net.fit(*numbered(), batch_size=batch_size, steps_per_epoch=steps_per_epoch, shuffle=shuffle, verbose=0)
    assert [len(epoch) for epoch in seen] == expected
    if shuffle:
        for epoch in seen:
            times = [epoch.count(sample) for sample in range(SAMPLES)]
            assert max(times) - min(times) <= 1
        assert len({tuple(epoch) for epoch in seen}) == 3
    else:
        assert list(chain(*seen)) == [row % SAMPLES for row in range(sum(expected))]


def test_with_replacement_an_epoch_has_full_batches_and_repeats_samples(backend: Backend):
    seen: list[list[int]] = [[], [], []]
    net = recorder(seen[:1], backend)
    net.fit(*numbered(), batch_size=BATCH, epochs=20, shuffle="with_replacement", verbose=0)
    assert len(seen[0]) == 20 * 12  # 3 batches of 4, although there are 10 samples
    assert set(seen[0]) == set(range(SAMPLES))
    passes = np.reshape(seen[0], (20, 12))
    assert any(len(set(epoch[:SAMPLES])) < SAMPLES for epoch in passes)
    assert len({epoch.tobytes() for epoch in passes}) == 20


def test_with_replacement_a_batch_may_be_larger_than_the_data(backend: Backend):
    seen: list[list[int]] = [[]]
    net = recorder(seen, backend)
    history = net.fit(*numbered(), batch_size=64, epochs=2, shuffle="with_replacement", verbose=0)
    assert len(seen[0]) == 2 * 64
    assert net.executable.state.step == 2
    assert np.isfinite(history["loss"]).all()


def recorder(seen: list[list[int]], backend: Backend) -> dk.Sequential:
    """A network that appends the samples it is shown to the last list."""

    class Recorder(dk.Layer):
        def forward(self, xp, x):
            seen[-1].extend(backend.to_numpy(x)[:, 0].astype(int).tolist())
            return x, None

        def backward(self, xp, dy, saved):
            return (dy,)

    net = dk.Sequential([Recorder(), dk.Dense(1)], seed=7, dtype="float64", backend=backend)
    net.compile(dk.SGD(1e-3), "mean_squared_error")
    return net


def test_bytes_that_are_gathered_and_rescaled_are_drawn_alike(backend: Backend):
    x, y = np.random.default_rng(0).integers(0, 17, (SAMPLES, 2, 3), np.uint8), data()[1]
    losses = []
    for samples in (x, x.astype(np.float64)):
        net = dk.Sequential(
            [dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(3, activation="softmax")],
            seed=7,
            dtype="float64",
            backend=backend,
        )
        net.compile("adam", "sparse_categorical_crossentropy")
        losses.append(
            net.fit(samples, y, batch_size=13, steps=9, steps_per_epoch=2, shuffle="with_replacement", verbose=0)
        )
    assert losses[0]["loss"] == losses[1]["loss"]
    assert len(losses[0]["loss"]) == 5


def test_callbacks_know_the_epochs_and_steps_there_will_be(backend: Backend):
    listener = Listener()
    history = network(backend).fit(
        *data(), batch_size=BATCH, steps=7, steps_per_epoch=3, callbacks=listener, verbose=0, initial_epoch=4
    )
    assert listener.params == {
        "epochs": 7, "steps": 3, "samples": SAMPLES, "batch_size": BATCH, "verbose": 0,
        "metrics": ["loss", "accuracy", "f1_score"],
    }  # fmt: skip
    batches = [("batch", 0), ("batch", 1), ("batch", 2)]
    assert listener.heard == [("epoch", 4), *batches, ("epoch", 5), *batches, ("epoch", 6), ("batch", 0)]
    assert history.epoch == [4, 5, 6]


@pytest.mark.parametrize(
    ("steps", "steps_per_epoch", "epochs"), [(1, None, 1), (3, None, 1), (4, None, 2), (5, 10, 1), (10, 5, 2)]
)
def test_steps_make_as_many_epochs_as_they_fill_or_begin(steps, steps_per_epoch, epochs):
    listener = Listener()
    net = network()
    history = net.fit(
        *data(), batch_size=BATCH, steps=steps, steps_per_epoch=steps_per_epoch, callbacks=[listener], verbose=0
    )
    assert listener.params["epochs"] == len(history.epoch) == epochs
    assert [what for what, _ in listener.heard].count("batch") == steps


def test_progress_numbers_the_epochs_of_counted_steps(backend: Backend, capsys):
    net = network(backend)
    history = net.fit(*data(), batch_size=BATCH, steps=7, validation_split=0.2, verbose=2)  # 8 samples, 2 steps
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == [f"Epoch {epoch}/4" for epoch in (1, 2, 3, 4)]
    for line, loss, val_loss in zip(lines, history["loss"], history["val_loss"], strict=True):
        assert f"loss: {loss:.4f}" in line
        assert f"val_loss: {val_loss:.4f}" in line


@pytest.mark.parametrize(
    ("options", "samples"),
    [
        ({"steps": 4}, [10, 4]),
        ({"steps": 4, "steps_per_epoch": 5}, [16]),
        ({"epochs": 1, "shuffle": "with_replacement"}, [12]),
        ({"steps": 5, "shuffle": "with_replacement"}, [12, 8]),
    ],
)
def test_time_per_sample_is_of_the_samples_that_were_shown(options, samples, capsys):
    history = network().fit(*data(), batch_size=BATCH, verbose=2, **options)
    lines = capsys.readouterr().out.splitlines()
    for line, seconds, shown in zip(lines, history.seconds, samples, strict=True):
        microseconds = 1e6 * seconds / shown
        assert f" - {microseconds:.{0 if microseconds >= 10 else 1}f} µs/sample - " in line


def test_the_live_bar_ends_a_short_epoch_at_its_last_step(backend: Backend, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown, silent = network(backend), network(backend)
    history = shown.fit(*data(), batch_size=BATCH, steps=7, steps_per_epoch=5, verbose=1)
    text = capsys.readouterr().out
    assert "Epoch 2/2" in text
    assert f"loss: {history['loss'][0]:.4f}" in text.split("5/5 - ")[-1]
    assert f"loss: {history['loss'][1]:.4f}" in text.split("2/2 - ")[-1]
    silent.fit(*data(), batch_size=BATCH, steps=7, steps_per_epoch=5, verbose=0)
    assert bits(shown) == bits(silent)


def test_validation_follows_a_short_epoch_too():
    x, y = data()
    net = network()
    history = net.fit(x, y, batch_size=BATCH, steps=4, validation_data=(x, y), verbose=0)
    assert history["val_loss"][-1] == pytest.approx(net.evaluate(x, y)["loss"], rel=1e-12)


def test_training_stopped_within_counted_steps_ends_there():
    class Stop(dk.Callback):
        def on_batch_end(self, batch, logs):
            if self.model.executable.state.step == 5:
                self.model.stop_training = True

    net = network()
    history = net.fit(*data(), batch_size=BATCH, steps=20, steps_per_epoch=4, callbacks=Stop(), verbose=0)
    assert history.epoch == [0, 1]
    assert state(net) == (5, 2, 0)


@pytest.mark.parametrize("name", ["steps", "steps_per_epoch", "epochs"])
@pytest.mark.parametrize("value", [0, -3, 2.0, True, "3", [3]])
def test_a_count_that_is_none_is_an_error(name, value):
    net = network()
    with pytest.raises(ConfigurationError, match=f"{name} is .*: expected a whole number, 1 or more"):
        net.fit(*data(), **{name: value}, verbose=0)
    assert state(net) == (0, 0, 0)


def test_epochs_and_steps_together_are_an_error():
    net = network()
    with pytest.raises(ConfigurationError, match=r"epochs=2 and steps=6 both set the length: give one"):
        net.fit(*data(), epochs=2, steps=6, verbose=0)
    assert state(net) == (0, 0, 0)


def test_counts_may_be_numbers_of_numpy():
    nets = [network(), network()]
    for net, kind in zip(nets, (int, np.int64), strict=True):
        net.fit(*data(), batch_size=BATCH, steps=kind(7), steps_per_epoch=kind(3), verbose=0)
    assert bits(nets[0]) == bits(nets[1])


@pytest.mark.parametrize("name", ["steps_per_epoch", "batch_size"])
def test_a_network_trained_with_counts_of_numpy_can_be_saved(name, tmp_path):
    net = network()
    net.fit(*data(), **{name: np.int64(3)}, verbose=0)
    net.save(tmp_path)
    assert dk.load(tmp_path).executable.state == net.executable.state
