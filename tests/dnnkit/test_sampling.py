"""Which samples an epoch shows, and training that is counted in steps: on every backend the same."""

import signal
from itertools import chain

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError
from dnnkit.sampling import check_shuffle, epoch_order

SAMPLES, BATCH = 10, 4  # a pass is batches of 4, 4 and 2
WAYS = (True, False, "with_replacement")


def data(samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(samples, 5)), rng.integers(0, 3, samples)


def network(backend: Backend | str | None = None, loss: str = "sparse_categorical_crossentropy") -> dk.Sequential:
    """With everything that depends on the number of updates made: dropout, a schedule, Adam's bias correction."""
    layers = [dk.Dense(6, activation="tanh"), dk.Dropout(0.2), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=7, dtype="float64", backend=backend)
    net.compile(dk.Adam(dk.schedules.ExponentialDecay(0.1, 3, 0.7)), loss, ["accuracy"])
    net.build(5)
    return net


def still(backend: Backend | str | None = None, loss: str = "mean_squared_error") -> dk.Sequential:
    """It never learns and puts out 0, so that the loss of a row is a plain function of its target."""
    net = dk.Sequential([dk.Dense(1, kernel_initializer="zeros")], seed=7, dtype="float64", backend=backend)
    net.compile(dk.SGD(0.0), loss)
    return net


def bits(net: dk.Sequential) -> bytes:
    return b"".join(value.tobytes() for value in net.parameters.values())


def state(net: dk.Sequential) -> tuple[int, int, int]:
    now = net.executable.state
    return now.step, now.epoch, now.position


# -- the order -------------------------------------------------------------------------------------------------------

SIZES = {
    "samples": st.integers(1, 60),
    "rows": st.integers(1, 200),
    "seed": st.integers(0, 2**32 - 1),
    "epoch": st.integers(0, 10**6),
}


@given(shuffle=st.sampled_from(WAYS), **SIZES)
def test_an_order_has_as_many_rows_as_asked_for_and_is_a_function_of_its_arguments(shuffle, samples, rows, seed, epoch):
    order = epoch_order(shuffle, samples, rows, seed, epoch)
    assert order.shape == (rows,)
    assert order.dtype == np.int64
    assert (order >= 0).all()
    assert (order < samples).all()
    np.testing.assert_array_equal(order, epoch_order(shuffle, samples, rows, seed, epoch))


@given(**SIZES)
def test_shuffled_every_sample_is_shown_once_before_any_is_shown_again(samples, rows, seed, epoch):
    order = epoch_order(True, samples, rows, seed, epoch)
    whole = rows // samples * samples
    for start in range(0, whole, samples):
        assert sorted(order[start : start + samples]) == list(range(samples))
    assert len(set(order[whole:])) == rows - whole


@given(**SIZES)
def test_unshuffled_an_epoch_goes_on_where_the_one_before_it_ended(samples, rows, seed, epoch):
    two = [epoch_order(False, samples, rows, seed, each) for each in (epoch, epoch + 1)]
    joined = np.concatenate(two)
    np.testing.assert_array_equal(np.diff(joined) % samples, 1 % samples)
    np.testing.assert_array_equal(epoch_order(False, samples, rows, seed, 0), np.arange(rows) % samples)


@pytest.mark.parametrize("epoch", [0, 1, 12])
def test_a_single_pass_has_the_order_that_it_always_had(epoch):
    """A saved network goes on as it would have before epochs could be counted in steps."""
    expected = np.random.default_rng([2, epoch, 99]).permutation(50)
    np.testing.assert_array_equal(epoch_order(True, 50, 50, 99, epoch), expected)


@pytest.mark.parametrize("shuffle", [True, "with_replacement"])
def test_passes_epochs_and_seeds_have_orders_of_their_own(shuffle):
    orders = [*epoch_order(shuffle, 50, 100, 1, 0).reshape(2, 50), epoch_order(shuffle, 50, 50, 1, 1)]
    orders.append(epoch_order(shuffle, 50, 50, 2, 0))
    assert len({order.tobytes() for order in orders}) == 4


def test_with_replacement_every_draw_is_from_all_samples():
    """Of n draws from n samples a share 1 - 1/e is of different ones; every sample is as likely as any other."""
    order = epoch_order("with_replacement", 1000, 1000, 5, 0)
    assert len(set(order)) / 1000 == pytest.approx(1 - np.exp(-1), abs=0.03)
    draws, samples = 100_000, 20
    counts = np.bincount(epoch_order("with_replacement", samples, draws, 5, 1), minlength=samples)
    deviations = (counts - draws / samples) / np.sqrt(draws / samples)
    assert (deviations**2).sum() < 43.8  # chi-square, 19 degrees of freedom: exceeded by chance once in a thousand
    pairs = np.bincount(epoch_order("with_replacement", 2, draws, 5, 2).reshape(-1, 2) @ [2, 1], minlength=4)
    assert np.abs(pairs / (draws / 8) - 1).max() < 0.05  # what is drawn next does not depend on what was drawn


@pytest.mark.parametrize("shuffle", [*WAYS, np.True_, np.False_])
def test_ways_of_shuffling(shuffle):
    assert check_shuffle(shuffle) == shuffle


@pytest.mark.parametrize("shuffle", [None, 0, 1, "without_replacement", "", [True]])
def test_another_way_of_shuffling_is_an_error(shuffle):
    net = network()
    with pytest.raises(ConfigurationError, match=r"shuffle is .*: expected True, False or 'with_replacement'"):
        net.fit(*data(), shuffle=shuffle, verbose=0)
    assert state(net) == (0, 0, 0)


# -- what is trained -------------------------------------------------------------------------------------------------


def by_hand(
    net: dk.Sequential, x, y, weights, *, batch_size: int, rows: int, shuffle, steps: int
) -> tuple[list[float], list[int]]:
    """Batch after batch with `train_step`; the losses of the epochs, and the steps of each."""
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
    """Parameters, losses and the length of every epoch, against batches that are cut by hand."""
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
    assert state(fitted) == (steps, len(history.epoch), 0)
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


def test_the_loss_of_a_short_epoch_is_a_mean_over_what_it_saw(backend: Backend):
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
    """Of ten samples one has a weight: many batches that are drawn have none at all."""
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
def test_epochs_larger_and_smaller_than_a_pass_show_what_they_promise(
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


def test_with_replacement_an_epoch_has_full_batches_and_shows_samples_again(backend: Backend):
    seen: list[list[int]] = [[], [], []]
    net = recorder(seen[:1], backend)
    net.fit(*numbered(), batch_size=BATCH, epochs=20, shuffle="with_replacement", verbose=0)
    assert len(seen[0]) == 20 * 12  # 3 batches of 4, though there are 10 samples
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


def numbered() -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(float(SAMPLES))[:, None]
    return x, x


def recorder(seen: list[list[int]], backend: Backend) -> dk.Sequential:
    """A network that writes the samples it is shown into the last list."""

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


# -- what is told ----------------------------------------------------------------------------------------------------


class Listener(dk.Callback):
    """Writes down epochs and batches."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def on_epoch_begin(self, epoch, logs):
        self.heard.append(("epoch", epoch))

    def on_batch_begin(self, batch, logs):
        self.heard.append(("batch", batch))


def test_callbacks_know_the_epochs_and_steps_there_will_be(backend: Backend):
    listener = Listener()
    history = network(backend).fit(
        *data(), batch_size=BATCH, steps=7, steps_per_epoch=3, callbacks=listener, verbose=0, initial_epoch=4
    )
    assert listener.params == {"epochs": 7, "steps": 3, "samples": SAMPLES, "batch_size": BATCH}
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


def test_training_that_is_stopped_within_counted_steps_ends_there():
    class Stop(dk.Callback):
        def on_batch_end(self, batch, logs):
            if self.model.executable.state.step == 5:
                self.model.stop_training = True

    net = network()
    history = net.fit(*data(), batch_size=BATCH, steps=20, steps_per_epoch=4, callbacks=Stop(), verbose=0)
    assert history.epoch == [0, 1]
    assert state(net) == (5, 2, 0)


# -- interruption ----------------------------------------------------------------------------------------------------


class RaiseAt(dk.Callback):
    """An exception once so many updates were made."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_end(self, batch, logs):
        if self.model.executable.state.step == self.step:
            raise KeyboardInterrupt


class PressCtrlCAt(RaiseAt):
    """The signal itself, once, which `fit` handles between two steps."""

    pressed = False

    def on_batch_end(self, batch, logs):
        if self.model.executable.state.step == self.step and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


def interrupt(net: dk.Sequential, callback: dk.Callback, **options) -> None:
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data(), callbacks=callback, **options)


@pytest.mark.parametrize("shuffle", WAYS)
@pytest.mark.parametrize("kind", [RaiseAt, PressCtrlCAt])
def test_an_interrupted_epoch_of_steps_is_finished_by_the_next_fit(backend: Backend, shuffle, kind):
    options = {"batch_size": BATCH, "steps_per_epoch": 5, "shuffle": shuffle, "verbose": 0}
    whole, stopped = network(backend), network(backend)
    whole.fit(*data(), steps=13, **options)
    interrupt(stopped, kind(7), steps=13, **options)
    done = stopped.executable.state.step
    assert 7 <= done <= 8  # after the signal a step may be under way
    assert state(stopped) == (done, 1, done - 5)
    history = stopped.fit(*data(), steps=13 - done, **options)
    assert bits(stopped) == bits(whole)
    assert stopped.executable.state == whole.executable.state
    assert history.epoch == [0, 1]
    assert stopped.history.epoch == whole.history.epoch == [0, 1, 2]
    assert stopped.history["loss"][::2] == whole.history["loss"][::2]


@pytest.mark.parametrize("shuffle", WAYS)
def test_ctrl_c_in_the_last_step_of_a_short_epoch_leaves_nothing_to_finish(backend: Backend, shuffle):
    options = {"batch_size": BATCH, "steps_per_epoch": 5, "shuffle": shuffle, "verbose": 0}
    whole, stopped = network(backend), network(backend)
    whole.fit(*data(), steps=7, **options)
    interrupt(stopped, PressCtrlCAt(7), steps=7, **options)
    assert bits(stopped) == bits(whole)
    assert stopped.executable.state == whole.executable.state
    assert stopped.history.history == whole.history.history


def test_ctrl_c_while_that_step_runs_leaves_nothing_to_finish_either(backend: Backend):
    calls = []

    class PressCtrlCWithin(dk.Layer):
        def forward(self, xp, x):
            calls.append(x.shape)
            if len(calls) == 7:
                signal.raise_signal(signal.SIGINT)
            return x, None

        def backward(self, xp, dy, saved):
            return (dy,)

    net = dk.Sequential([PressCtrlCWithin(), dk.Dense(1)], seed=7, backend=backend)
    net.compile("sgd", "mean_squared_error")
    with pytest.raises(KeyboardInterrupt):
        net.fit(*numbered(), batch_size=BATCH, steps=7, steps_per_epoch=5, verbose=0)
    assert state(net) == (7, 2, 0)
    assert net.history.epoch == [0, 1]
    net.fit(*numbered(), batch_size=BATCH, steps=1, verbose=0)
    assert state(net) == (8, 3, 0)


def test_the_rest_of_an_interrupted_epoch_counts_among_the_steps(capsys):
    options = {"batch_size": BATCH, "steps_per_epoch": 5}
    net, listener = network(), Listener()
    interrupt(net, RaiseAt(3), epochs=2, verbose=0, **options)
    net.fit(*data(), steps=4, callbacks=[listener], verbose=2, **options)
    assert listener.heard == [("epoch", 0), ("batch", 3), ("batch", 4), ("epoch", 1), ("batch", 0), ("batch", 1)]
    assert listener.params["epochs"] == 2
    assert [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines()] == ["Epoch 1/2", "Epoch 2/2"]
    assert state(net) == (7, 2, 0)


def test_the_loss_of_the_rest_of_an_interrupted_epoch_is_a_mean_over_the_rest():
    y = np.arange(1.0, SAMPLES + 1)[:, None]
    net = still()
    options = {"batch_size": BATCH, "steps_per_epoch": 4, "shuffle": False, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        net.fit(y, y, callbacks=RaiseAt(1), **options)
    rest = np.arange(4, 16) % SAMPLES
    assert net.fit(y, y, **options)["loss"] == pytest.approx([(y[rest] ** 2).mean()], rel=1e-12)


def test_an_epoch_of_another_length_does_not_go_on_with_an_interrupted_one():
    net, listener = network(), Listener()
    interrupt(net, RaiseAt(3), batch_size=BATCH, steps_per_epoch=5, verbose=0)
    assert state(net) == (3, 0, 3)
    net.fit(*data(), batch_size=BATCH, steps_per_epoch=4, callbacks=listener, verbose=0)
    assert listener.heard == [("epoch", 0), *(("batch", step) for step in range(4))]
    assert state(net) == (7, 1, 0)


@pytest.mark.parametrize("shuffle", WAYS)
def test_an_interrupted_epoch_of_steps_is_finished_after_loading(backend: Backend, shuffle, tmp_path):
    options = {"batch_size": BATCH, "steps_per_epoch": 5, "shuffle": shuffle, "verbose": 0}
    whole, stopped = network(backend), network(backend)
    whole.fit(*data(), steps=9, **options)
    interrupt(stopped, RaiseAt(7), steps=9, **options)
    stopped.save(tmp_path)
    loaded = dk.load(tmp_path, backend=backend.name)
    loaded.fit(*data(), steps=2, **options)
    assert bits(loaded) == bits(whole)


def test_a_stop_request_is_heard_within_an_order_longer_than_the_data(backend: Backend):
    """The executable alone: 10 samples, an order of 52 rows, a stop and the rest give the bits of one run."""
    order = epoch_order("with_replacement", SAMPLES, 52, 7, 0)
    nets = [network(backend), network(backend)]
    for net in nets:
        x, y = data()
        net.executable.begin_epoch(net.executable.load(x, y, None), order, BATCH)
    whole, stopped = (net.executable for net in nets)
    assert whole.run_steps(0, 13, nets[0].optimizer.hyperparameters(0, 13)) == 13
    assert stopped.run_steps(0, 6, nets[1].optimizer.hyperparameters(0, 6)) == 6
    stopped.request_stop()
    done = stopped.run_steps(6, 13, nets[1].optimizer.hyperparameters(6, 7))
    assert 6 <= done < 13
    assert stopped.run_steps(done, 13, nets[1].optimizer.hyperparameters(done, 13 - done)) == 13
    assert bits(nets[0]) == bits(nets[1])
    assert whole.totals() == stopped.totals()


def test_an_interrupt_in_the_last_batch_leaves_no_empty_epoch_behind():
    net = network()
    interrupt(net, RaiseAt(3), batch_size=BATCH, verbose=0)
    history = net.fit(*data(), batch_size=BATCH, verbose=2)
    assert all(loss > 0 for loss in history["loss"])


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["steps", "steps_per_epoch", "epochs"])
@pytest.mark.parametrize("value", [0, -3, 2.0, True, "3", [3]])
def test_a_count_that_is_none_is_an_error(name, value):
    net = network()
    with pytest.raises(ConfigurationError, match=f"{name} is .*: expected a whole number, 1 or more"):
        net.fit(*data(), **{name: value}, verbose=0)
    assert state(net) == (0, 0, 0)


def test_epochs_and_steps_together_are_an_error():
    net = network()
    with pytest.raises(ConfigurationError, match=r"epochs=2 and steps=6 both say how long to train: give one"):
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
