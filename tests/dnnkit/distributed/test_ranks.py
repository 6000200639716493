"""Several ranks train like one process; here they are threads, which need no MPI."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.program import Dropout
from dnnkit.errors import ConfigurationError, DistributedError
from dnnkit.kernels.stages import gaussian_noise
from tests.dnnkit.distributed.threads import Threads, run_ranks

ROWS, CLASSES = 61, 3


def data(seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, 5)), rng.integers(0, CLASSES, ROWS), rng.uniform(0.5, 2, ROWS)


def network(dtype: str = "float64", backend: Backend | None = None, **compiled: Any) -> dk.Sequential:
    layers = [
        dk.GaussianNoise(0.1),  # 5 wide, so that parts begin within a pair of numbers
        dk.Dense(8, activation="relu", kernel_regularizer="l2"),
        dk.Dropout(0.3),
        dk.Dense(CLASSES, activation="softmax"),
    ]
    net = dk.Sequential(layers, seed=1, dtype=dtype, backend=backend)
    settings = {"optimizer": dk.Adam(0.01, global_clipnorm=0.5), "metrics": ["accuracy"]} | compiled
    net.compile(loss="sparse_categorical_crossentropy", **settings)
    return net


def fitted(size: int, make: Callable[[], dk.Sequential], **options: Any) -> list[tuple[dk.Sequential, dk.History]]:
    """The network and the history of each rank."""
    parallel = {name: options.pop(name) for name in ("blocks", "average_every") if name in options}
    x, y, weights = data()

    def work(ranks: Threads) -> tuple[dk.Sequential, dk.History]:
        net, own = make(), dict(options)
        if ranks.rank:
            own.pop("callbacks", None)
        given = {"batch_size": 16, "epochs": 3, "verbose": 0, "sample_weight": weights} | own
        return net, net.fit(x, y, distributed=dk.DataParallel(ranks, **parallel), **given)

    found = run_ranks(size, work)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found  # type: ignore[return-value]


def numbers(net: dk.Sequential) -> np.ndarray:
    """Return parameters and optimizer state."""
    snapshot = net.executable.snapshot()
    return np.concatenate([each.ravel() for each in [*snapshot.parameters.values(), *snapshot.slots.values()]])


def check_parts(backend: Backend) -> None:
    """Parts of a batch, with noise, dropout, penalties and weights, add up to gradient and sums of the whole."""
    net = network(backend=backend)
    x, y, weights = data()
    net.build(5)
    executable, batch = net.executable, np.arange(ROWS)[::-1].copy()
    assert any(isinstance(stage, Dropout) for stage in executable.program.stages)
    loaded, reverse = executable.load(x, y, weights), executable.load(x[batch], y[batch], weights[batch])
    whole = executable.gradients(reverse)
    wanted = {name: np.array(backend.to_numpy(value)) for name, value in whole.parameters.items()}
    total, sums = np.zeros_like(executable.empty_gradient()), np.zeros(executable.program.measured)
    for first, last in ((0, 1), (1, 20), (20, ROWS)):
        gradient = executable.empty_gradient()
        sums += executable.differentiate_part(loaded, batch[first:last], first, float(weights.sum()), gradient)
        total += gradient
    before = executable.snapshot().parameters
    twin = network(backend=backend, optimizer=dk.SGD(1.0))
    twin.build(5)
    twin.set_parameters(before)
    twin.executable.update_flat(total, twin.hyperparameters())
    for name, value in wanted.items():
        found = before[name] - twin.executable.read_parameter(name)
        np.testing.assert_allclose(found, value, rtol=1e-11, atol=1e-14, err_msg=name)
    assert sums[0] / weights.sum() == pytest.approx(whole.loss, rel=1e-12)
    executable.begin_epoch(loaded, batch, ROWS)
    executable.run_steps(0, 1, net.hyperparameters())
    measured = executable.totals()
    np.testing.assert_allclose(sums, [measured.loss, *measured.metrics], rtol=1e-12)


def test_parts_of_a_batch_add_up_to_the_step_of_the_whole(backend: Backend) -> None:
    check_parts(backend)


def test_ranks_follow_the_trajectory_of_one_process(backend: Backend) -> None:
    held_out = data(1)[:2]
    for dtype, tolerance in (("float64", 1e-9), ("float32", 1e-3)):
        x, y, weights = data()
        alone = network(dtype)
        wanted = alone.fit(x, y, 16, 3, 0, sample_weight=weights, validation_data=held_out)
        bits = None
        for size in (2, 4) if backend.name == "strict" else (1, 2, 3, 4):
            for net, history in fitted(size, partial(network, dtype, backend), validation_data=held_out):
                np.testing.assert_allclose(numbers(net), numbers(alone), rtol=tolerance, atol=tolerance)
                bits = numbers(net) if bits is None else bits
                np.testing.assert_array_equal(numbers(net), bits, err_msg=f"{size} ranks")
                assert history.history.keys() == wanted.history.keys()
                for name, values in wanted.history.items():
                    np.testing.assert_allclose(history[name], values, rtol=tolerance)
                assert net.executable.state.step == alone.executable.state.step
                assert net.history.epoch == alone.history.epoch


def test_several_batches_make_an_update_and_blocks_may_be_empty() -> None:
    x, y, weights = data()

    def make() -> dk.Sequential:
        return network(gradient_accumulation_steps=2)

    alone = make()
    alone.fit(x, y, 6, 2, 0, sample_weight=weights)
    for net, _ in fitted(3, make, batch_size=6, epochs=2, blocks=8):  # 61 rows: the last batch has one
        np.testing.assert_allclose(numbers(net), numbers(alone), rtol=1e-9, atol=1e-12)


def test_a_run_resumes_bit_for_bit_with_another_number_of_ranks(tmp_path: Path) -> None:
    ((whole, wanted), *_) = fitted(2, network, epochs=None, steps=11)
    folder = tmp_path / "run"
    fitted(4, network, epochs=None, steps=6, checkpoint=folder)  # within an epoch of 4 steps
    for net, history in fitted(3, network, epochs=None, steps=11, checkpoint=folder):
        np.testing.assert_array_equal(numbers(net), numbers(whole))
        assert history.history == wanted.history
        assert net.executable.state.position == 3
    x, y, weights = data()
    alone = network()
    # and by one process alone, to the end
    alone.fit(x, y, 16, verbose=0, sample_weight=weights, steps=11, checkpoint=folder)
    np.testing.assert_array_equal(numbers(alone), numbers(whole))


def test_callbacks_of_the_first_rank_count_for_all() -> None:
    class Meddling(dk.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 0:
                self.model.parameters["dense/bias"] = np.ones(8)
            self.model.stop_training = epoch == 1

    (first, history), *others = fitted(2, network, callbacks=[Meddling()], epochs=5)
    assert len(history.epoch) == 2
    for net, told in others:
        np.testing.assert_array_equal(numbers(net), numbers(first))
        assert told.history == history.history


def test_between_averages_each_rank_trains_on_its_part_of_each_batch() -> None:
    x, y, _ = data()
    plain = {"optimizer": dk.SGD(0.1, momentum=0.9), "metrics": ["accuracy"]}

    def make(seed: int = 1) -> dk.Sequential:
        net = dk.Sequential([dk.Dense(8, activation="tanh"), dk.Dense(CLASSES, activation="softmax")], seed=seed,
                            dtype="float64")  # fmt: skip
        net.compile(loss="sparse_categorical_crossentropy", **plain)
        net.build(5)
        return net

    by_hand = [make(), make()]
    for start in range(0, ROWS, 16):
        batch = np.arange(start, min(start + 16, ROWS))
        middle = len(batch) // 2
        for net, rows in zip(by_hand, (batch[:middle], batch[middle:]), strict=True):
            net.train_step(x[rows], y[rows])
        if start // 16 in (2, 3):  # after three steps, and at the end of the epoch
            mean = {name: (by_hand[0].parameters[name] + by_hand[1].parameters[name]) / 2 for name in net.parameters}
            for net in by_hand:
                net.set_parameters(mean)
    for rank, (net, history) in enumerate(
        fitted(2, make, average_every=3, epochs=1, shuffle=False, sample_weight=None)
    ):
        np.testing.assert_allclose(numbers(net), numbers(by_hand[rank]), rtol=1e-9, atol=1e-12)
        assert 0 < history["loss"][0] < 2


def full_batches(backend: Backend | None = None) -> dk.Sequential:
    layers = [dk.Dense(8, activation="tanh", kernel_regularizer="l2"), dk.Dense(CLASSES, activation="softmax")]
    net = dk.Sequential(layers, seed=1, dtype="float64", backend=backend)
    net.compile(dk.LBFGS(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


def test_iterations_on_all_rows_are_those_of_one_process(backend: Backend) -> None:
    x, y, weights = data()
    alone, bits = full_batches(backend), None
    wanted = alone.fit(x, y, epochs=8, verbose=0, sample_weight=weights, validation_data=(x, y))
    for size in (2,) if backend.name == "strict" else (1, 3, 4):
        for net, history in fitted(size, partial(full_batches, backend), batch_size=None, epochs=8,
                                   validation_data=(x, y)):  # fmt: skip
            bits = numbers(net) if bits is None else bits
            np.testing.assert_array_equal(numbers(net), bits, err_msg=f"{size} ranks")
            np.testing.assert_allclose(numbers(net), numbers(alone), rtol=1e-7, atol=1e-9)
            for name, values in wanted.history.items():
                np.testing.assert_allclose(history[name], values, rtol=1e-9)


def test_iterations_resume_with_another_number_of_ranks(tmp_path: Path) -> None:
    ((whole, wanted), *_) = fitted(2, full_batches, batch_size=None, epochs=9)
    fitted(4, full_batches, batch_size=None, epochs=4, checkpoint=tmp_path / "run")
    for net, history in fitted(3, full_batches, batch_size=None, epochs=9, checkpoint=tmp_path / "run"):
        np.testing.assert_array_equal(numbers(net), numbers(whole))
        assert history["loss"] == wanted["loss"]
    (error,) = run_ranks(
        1, lambda ranks: full_batches().fit(*data()[:2], distributed=dk.DataParallel(ranks, average_every=2))
    )
    assert "leave average_every out" in str(error)


class Failing(dk.Layer):
    """Fails after some steps."""

    calls = 0

    def forward(self, xp: Any, x: Any) -> Any:
        type(self).calls += 1
        if type(self).calls > 9:
            raise ValueError("a layer that fails")
        return x, None

    def backward(self, xp: Any, dy: Any, saved: Any) -> Any:
        return (dy,)


def outcome_of(size: int, rank_of_failure: int, failing: Callable[[], Any], **options: Any) -> list[Any]:
    """Return what each rank raises, where one has the result of `failing` in place of a network or data."""
    x, y, _ = data()

    def work(ranks: Threads) -> Any:
        net, x_own = network(), x
        if ranks.rank == rank_of_failure:
            made = failing()
            net, x_own = (made, x) if isinstance(made, dk.Sequential) else (net, made)
        net.fit(x_own, y, 16, 4, 0, distributed=dk.DataParallel(ranks), **options)
        assert not ranks.was_aborted

    return run_ranks(size, work)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_rank_that_fails_ends_all_with_one_error(rank: int) -> None:
    Failing.calls = 0

    def failing() -> dk.Sequential:
        layers = [dk.Dense(8, kernel_regularizer="l2"), Failing(), dk.Dropout(0.3), dk.Dense(CLASSES)]
        net = dk.Sequential(layers, seed=1, dtype="float64")
        net.compile(dk.Adam(0.01), "mean_squared_error", metrics=["accuracy"])
        return net

    def make() -> dk.Sequential:
        net = dk.Sequential(
            [dk.Dense(8, kernel_regularizer="l2"), dk.Activation("linear"), dk.Dropout(0.3), dk.Dense(CLASSES)],
            seed=1, dtype="float64",
        )  # fmt: skip
        net.compile(dk.Adam(0.01), "mean_squared_error", metrics=["accuracy"])
        return net

    x, y = data()[0], np.eye(CLASSES)[data()[1]]

    def work(ranks: Threads) -> Any:
        net = failing() if ranks.rank == rank else make()
        return net.fit(x, y, 16, 9, 0, distributed=dk.DataParallel(ranks))

    found = run_ranks(3, work)
    for number, error in enumerate(found):
        if number == rank:
            assert isinstance(error, ValueError)
            assert not getattr(error, "told_elsewhere", False)
        else:
            assert isinstance(error, DistributedError)
            assert str(error) == f"rank {rank} of 3 failed, which ends all ranks: ValueError: a layer that fails"
            assert error.told_elsewhere


def test_data_that_differ_are_one_error_on_every_rank() -> None:
    found = outcome_of(3, 2, lambda: data(5)[0])
    assert all(isinstance(error, ConfigurationError) for error in found)
    assert len({str(error) for error in found}) == 1
    assert "rank 2 (here) trains something else than rank 0 (there): the data's fingerprint is" in str(found[0])
    assert [error.told_elsewhere for error in found] == [False, True, True]
    found = outcome_of(2, 1, lambda: data()[0][:9])  # fewer than targets
    assert [type(error).__name__ for error in found] == ["DistributedError", "ShapeError"]


def test_layers_that_need_the_whole_batch_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, _ = data()
    monkeypatch.setattr(gaussian_noise, "DRAWS_PARTS", False)  # as of a kind that does not say so
    cases: list[tuple[list[Any], Any, str]] = [
        ([dk.BatchNormalization()], dk.DataParallel, "needs the whole batch"),
        ([dk.GaussianNoise(0.1)], dk.DataParallel, "draws random numbers for a whole batch"),
    ]
    for layers, parallel, text in cases:

        def work(ranks: Threads, layers: Any = layers, parallel: Any = parallel) -> Any:
            net = dk.Sequential([*layers, dk.Dense(CLASSES, activation="softmax")], seed=0)
            net.compile("adam", "sparse_categorical_crossentropy")
            return net.fit(x, y, verbose=0, distributed=parallel(ranks))

        assert text in str(run_ranks(1, work)[0])
    for given, text in (
        ({"blocks": 3}, "a power of two"),
        ({"average_every": 0}, "a whole number, 1 or more"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            dk.DataParallel(**given)
    with pytest.raises(ConfigurationError, match="blocks=2 for 4 ranks"):
        dk.DataParallel(blocks=2).blocks_for(4)
