"""The network: building, training, predicting, on every backend."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, NotReady, ShapeError, TrainingWarning, UnknownName


def network(backend: Backend | str = "numpy", **options) -> dk.Sequential:
    net = dk.Sequential(
        [dk.Dense(16, activation="relu"), dk.Dense(3, activation="softmax")],
        **{"seed": 0, "backend": backend, **options},
    )
    net.compile(optimizer=dk.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


def blobs(samples: int = 150) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = np.arange(samples) % 3
    return rng.normal(size=(samples, 2)) + np.array([[0, 3], [3, -2], [-3, -2]])[y], y


def test_it_learns(backend: Backend) -> None:
    x, y = blobs()
    net = network(backend)
    history = net.fit(x, y, epochs=20, validation_data=(x, y), verbose=0)
    assert net.evaluate(x, y)["accuracy"] > 0.95
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history["val_loss"][-1] == pytest.approx(net.evaluate(x, y)["loss"], rel=1e-5)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.epoch == list(range(20))
    assert history.plan.backend == backend.name


def test_predictions_are_probabilities_on_the_host(backend: Backend) -> None:
    x, y = blobs()
    net = network(backend)
    net.fit(x, y, verbose=0)
    predictions = net.predict(x[:5])
    assert type(predictions) is np.ndarray
    assert predictions.shape == (5, 3)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(net.predict(x, batch_size=7), net.predict(x), rtol=1e-5, atol=1e-7)


def test_a_network_that_was_never_compiled_predicts_but_does_not_train() -> None:
    net = dk.Sequential([dk.Dense(4, activation="softmax")], seed=0)
    np.testing.assert_allclose(net.predict(np.ones((2, 3))).sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(NotReady, match="call compile"):
        net.fit(np.ones((2, 3)), [0, 1])
    with pytest.raises(NotReady, match="call compile"):
        net.evaluate(np.ones((2, 3)), [0, 1])


def test_before_it_is_built_it_says_so() -> None:
    net = network()
    for ask in (lambda: net.parameters, lambda: net.backend, lambda: net.history, lambda: net.save("x")):
        with pytest.raises(NotReady, match="not built"):
            ask()


@pytest.mark.parametrize("shape", [4, (4,), [4], (None, 4), np.int64(4)])
def test_build_takes_a_shape_with_or_without_the_batch(shape) -> None:
    net = network()
    net.build(shape)
    assert net.input_shape == (4,)
    assert list(net.parameters) == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
    assert net.parameters["dense/kernel"].shape == (4, 16)


def test_four_epochs_at_once_or_one_by_one(backend: Backend) -> None:
    x, y = blobs()
    nets = [network(backend), network(backend)]
    nets[0].fit(x, y, epochs=4, verbose=0)
    for _ in range(4):
        nets[1].fit(x, y, epochs=1, verbose=0)
    for name, value in nets[0].parameters.items():
        np.testing.assert_array_equal(value, nets[1].parameters[name])
    assert nets[0].history["loss"] == nets[1].history["loss"]


def test_the_order_changes_per_epoch_unless_shuffle_is_false() -> None:
    seen: list[list[float]] = []

    class Recorder(dk.Layer):
        def forward(self, xp, x):
            seen[-1].extend(x[:, 0].tolist())
            return x, None

        def backward(self, xp, dy, saved):
            return (dy,)

    x = np.arange(20.0)[:, None]
    net = dk.Sequential([Recorder(), dk.Dense(1)], seed=0, dtype="float64")
    net.compile(optimizer=dk.SGD(0.0), loss="mean_squared_error")
    for shuffle in (True, True, False):
        seen.append([])
        net.fit(x, x, batch_size=6, shuffle=shuffle, verbose=0)
    assert sorted(seen[0]) == sorted(seen[1]) == seen[2] == x[:, 0].tolist()
    assert seen[0] != seen[1]


def test_seeds(backend: Backend) -> None:
    x, y = blobs()
    one, two, other = network(backend), network(backend), network(backend, seed=1)
    histories = [net.fit(x, y, verbose=0)["loss"] for net in (one, two, other)]
    assert histories[0] == histories[1] != histories[2]


def test_an_unseeded_network_records_the_seed_it_drew() -> None:
    x, y = blobs()
    net = network(seed=None)
    history = net.fit(x, y, verbose=0)
    again = network(seed=history.seed)
    assert again.fit(x, y, verbose=0)["loss"] == history["loss"]


def test_reset_seed_fixes_the_seeds_of_unseeded_networks() -> None:
    drawn = []
    for _ in range(2):
        dk.reset_seed(123)
        drawn.append([network(seed=None).seed for _ in range(3)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3


def test_train_step_returns_the_loss_before_the_update(backend: Backend) -> None:
    x, y = blobs()
    net = network(backend)
    net.build(2)
    before = net.evaluate(x, y)["loss"]
    assert net.train_step(x, y) == pytest.approx(before, rel=1e-5)
    assert net.train_step(x, y) < before
    assert net.executable.state.step == 2
    assert net.executable.state.epoch == 0


def test_a_training_loop_by_hand(backend: Backend) -> None:
    x, y = blobs()
    net = network(backend, dtype="float64")
    losses = []
    for _ in range(60):
        loss, gradients = net.get_gradients(x, y)
        losses.append(loss)
        for name, gradient in gradients.items():
            net.parameters[name] -= 0.3 * gradient
    assert losses[-1] < losses[0] / 3


def test_parameters_can_be_assigned_and_are_checked() -> None:
    net = network()
    net.build(4)
    net.parameters["dense/bias"] = np.arange(16)
    np.testing.assert_array_equal(net.parameters["dense/bias"], np.arange(16, dtype=np.float32))
    net.parameters["dense/bias"][0] = 7  # a copy: nothing happens
    assert net.parameters["dense/bias"][0] == 0
    with pytest.raises(ShapeError, match=r"has shape \(16,\); got an array of shape \(4,\)"):
        net.parameters["dense/bias"] = np.ones(4)
    with pytest.raises(UnknownName, match=r"no parameter 'dense_9/bias'.*dense/kernel"):
        net.parameters["dense_9/bias"] = np.ones(4)
    assert "nothing" not in net.parameters


def test_moving_to_another_backend_keeps_everything(backend: Backend) -> None:
    x, y = blobs()
    moved, stayed = network("numpy", dtype="float64"), network("numpy", dtype="float64")
    for net in (moved, stayed):
        net.fit(x, y, epochs=2, verbose=0)
    assert moved.to(backend) is moved
    assert moved.backend is backend
    for net in (moved, stayed):
        net.fit(x, y, epochs=2, verbose=0)
    assert moved.history["loss"] == pytest.approx(stayed.history["loss"], rel=1e-9)


def test_the_backend_is_resolved_when_it_is_built(backend: Backend) -> None:
    net = network(None)
    net.build(2)
    assert net.backend is backend or net.backend.name == backend.name
    with dk.use_backend("numpy"):
        net.predict(np.ones((1, 2)))
    assert net.backend.name == backend.name


def test_compiling_again_keeps_parameters_and_drops_optimizer_state() -> None:
    x, y = blobs()
    net = network()
    net.fit(x, y, verbose=0)
    kept = dict(net.parameters)
    net.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    np.testing.assert_equal(dict(net.parameters), kept)
    assert net.executable.snapshot().slots == {}
    assert net.executable.state.step == 0
    assert net.fit(x, y, verbose=0).history.keys() == {"loss"}


def test_validation_split_takes_the_end() -> None:
    x, y = blobs()
    split, by_hand = network(), network()
    one = split.fit(x, y, validation_split=0.2, verbose=0)
    two = by_hand.fit(x[:120], y[:120], validation_data=(x[120:], y[120:]), verbose=0)
    assert one.history == two.history


def test_weights_count_in_training_and_validation(backend: Backend) -> None:
    x, y = blobs()
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, len(y)).astype(float)
    repeated = np.repeat(np.arange(len(y)), weights.astype(int))
    weighted, longer = network(backend, dtype="float64"), network(backend, dtype="float64")
    one = weighted.fit(
        x, y, batch_size=150, shuffle=False, sample_weight=weights, validation_data=(x, y, weights), verbose=0
    )
    two = longer.fit(
        x[repeated],
        y[repeated],
        batch_size=len(repeated),
        shuffle=False,
        validation_data=(x[repeated], y[repeated]),
        verbose=0,
    )
    for name in one.history:
        assert one[name] == pytest.approx(two[name], rel=1e-9), name


def test_class_weights_are_the_weights_of_their_rows(backend: Backend) -> None:
    x, y = blobs()
    table = {0: 2.0, 2: 0.5}
    by_class, by_row = network(backend), network(backend)
    rows = np.array([2.0, 1.0, 0.5])[y]
    one = by_class.fit(x, y, class_weight=table, validation_data=(x, y), verbose=0)
    two = by_row.fit(x, y, sample_weight=rows, validation_data=(x, y, rows), verbose=0)
    assert one.history == two.history


def test_class_weights_of_one_hot_rows_and_of_one_output() -> None:
    x, y = blobs()
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0)
    net.compile(optimizer="sgd", loss="categorical_crossentropy")
    sparse = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0)
    sparse.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    one = net.fit(x, np.eye(3)[y], class_weight={1: 3.0}, verbose=0)["loss"]
    assert one == pytest.approx(sparse.fit(x, y, class_weight={1: 3.0}, verbose=0)["loss"], rel=1e-6)
    binary = dk.Sequential([dk.Dense(1, activation="sigmoid")], seed=0)
    binary.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["binary_accuracy"])
    assert np.isfinite(binary.fit(x, (y == 1)[:, None], class_weight={1: 3.0}, verbose=0)["loss"]).all()


@pytest.mark.parametrize("weights", [{3: 1.0}, {-1: 1.0}, {"a": 1.0}, {0: -1.0}, {0: float("nan")}])
def test_bad_class_weights(weights) -> None:
    x, y = blobs()
    with pytest.raises(ConfigurationError, match="class_weight"):
        network().fit(x, y, class_weight=weights, verbose=0)


def test_a_loss_that_is_not_a_number_is_reported_with_epoch_and_step() -> None:
    x, y = blobs()
    net = dk.Sequential([dk.Dense(4, activation="relu"), dk.Dense(1)], seed=0)
    net.compile(optimizer=dk.SGD(1e20), loss="mean_squared_error")
    with pytest.warns(TrainingWarning, match=r"epoch 1, step \d") as warned:
        net.fit(x, y[:, None].astype(float), batch_size=10, epochs=3, verbose=0)
    assert len(warned) == 1


def test_dropout_is_for_training_only(backend: Backend) -> None:
    x, y = blobs()
    with_dropout = dk.Sequential([dk.Dense(16), dk.Dropout(0.5), dk.Dense(3)], seed=0, backend=backend)
    without = dk.Sequential([dk.Dense(16), dk.Dense(3)], seed=0, backend=backend)
    np.testing.assert_array_equal(with_dropout.predict(x), without.predict(x))
    for net in (with_dropout, without):
        net.compile(optimizer="sgd", loss=dk.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert with_dropout.evaluate(x, y) == without.evaluate(x, y)
    assert with_dropout.get_gradients(x, y)[0] != without.get_gradients(x, y)[0]


def test_num_threads_and_dtype_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="num_threads is 0"):
        dk.Sequential([dk.Dense(1)], num_threads=0)
    with pytest.raises(ConfigurationError, match="float16"):
        dk.Sequential([dk.Dense(1)], dtype="float16")
    with pytest.raises(ConfigurationError, match=r"layers must be .*got 'Dense'"):
        dk.Sequential(["Dense"])
    with pytest.raises(ConfigurationError, match="no layers"):
        dk.Sequential([]).predict(np.ones((1, 2)))
    x, y = blobs()
    history = network(num_threads=1).fit(x, y, verbose=0)
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "1"])
def test_seeds_are_checked(seed) -> None:
    with pytest.raises(ConfigurationError, match="a seed is a whole number"):
        dk.Sequential([dk.Dense(1)], seed=seed)


def test_summary_names_layers_shapes_and_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    net = network()
    net.summary()
    assert "not built" in capsys.readouterr().out
    net.build(4)
    net.summary()
    text = capsys.readouterr().out
    for word in ("dense (relu)", "dense_1 (softmax)", "(None, 16)", "80", "51", "131 parameters"):
        assert word in text


def test_an_interrupted_epoch_is_finished_by_the_next_fit() -> None:
    """Stopped between two steps and resumed: the same bits as without the stop."""
    x, y = blobs()
    whole, stopped = network(), network()
    whole.fit(x, y, epochs=2, batch_size=10, verbose=0)

    class Interrupt(dk.Callback):
        def on_batch_end(self, batch, logs):
            if batch == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped.fit(x, y, epochs=2, batch_size=10, callbacks=[Interrupt()], verbose=0)
    assert stopped.executable.state.position == 7
    stopped.fit(x, y, epochs=2, batch_size=10, verbose=0)
    for name, value in whole.parameters.items():
        np.testing.assert_array_equal(value, stopped.parameters[name])
