"""Workers: an epoch in pieces, stopped, saved, moved, and inspected in between; every bit counts."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.processors import processors
from dnnkit.callbacks import Callback
from dnnkit.errors import TrainingWarning
from tests.backends.numba_backend.partitions import (
    DIVIDED,
    DIVISIONS,
    LOCAL,
    OPTIMIZERS,
    check_close,
    check_same,
    classes,
    classifier,
    dividing,
    numbers,
)


def epoch_in_pieces(net: dk.Sequential, ends: list[int], between: Callable[[int], None] = lambda end: None) -> Any:
    """Train an epoch of 250 weighted rows in 63 batches of 4, in stretches up to each end; return its totals."""
    x, labels, weights = classes()
    executable = net.executable
    executable.begin_epoch(executable.load(x, labels, weights), np.random.default_rng(3).permutation(250), 4)
    position = 0
    for end in ends:
        hyperparameters = net.optimizer.hyperparameters(executable.state.step, end - position)
        with net.turns:  # as fit does: what others have read of the parameters becomes outdated
            assert executable.run_steps(position, end, hyperparameters) == end
        position = end
        between(end)
    return executable.totals()


def built(net: dk.Sequential) -> dk.Sequential:
    net.build(11)
    return net


@pytest.mark.parametrize("partition", DIVISIONS)
def test_stretches_give_the_bits_of_one_call(partition: str) -> None:
    whole, one_by_one, uneven = (built(classifier()) for _ in range(3))
    with dividing(partition):
        totals = epoch_in_pieces(whole, [63])
        assert epoch_in_pieces(one_by_one, list(range(1, 64))) == totals
        assert epoch_in_pieces(uneven, [1, 2, 17, 18, 35, 35, 63]) == totals
    check_same(whole, one_by_one)
    check_same(whole, uneven)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_reading_the_network_between_stretches_changes_nothing(partition: str) -> None:
    x, labels, _ = classes()
    whole, watched, by_numpy = built(classifier()), built(classifier()), built(classifier("numpy"))
    seen: list[tuple[Any, ...]] = []

    def look(net: dk.Sequential) -> Callable[[int], None]:
        def at(end: int) -> None:
            gradients = net.get_gradients(x[:40], labels[:40])
            parameters = {name: np.array(value) for name, value in net.parameters.items()}
            seen.append((gradients, net.evaluate(x, labels, batch_size=64), net.predict(x[:9]), parameters))

        return at

    with dividing(partition):
        totals = epoch_in_pieces(whole, [63])
        assert epoch_in_pieces(watched, [1, 2, 20, 63], look(watched)) == totals
        epoch_in_pieces(by_numpy, [1, 2, 20, 63], look(by_numpy))
    check_same(whole, watched)
    for ours, theirs in zip(seen[:4], seen[4:], strict=True):
        assert ours[0][0] == pytest.approx(theirs[0][0], rel=1e-8)
        for name, gradient in ours[0][1].items():
            np.testing.assert_allclose(gradient, theirs[0][1][name], rtol=1e-7, atol=1e-10, err_msg=name)
        assert ours[1] == pytest.approx(theirs[1], rel=1e-8)
        np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-8, atol=1e-12)
        for name, value in ours[3].items():
            np.testing.assert_allclose(value, theirs[3][name], rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("partition", DIVISIONS)
def test_assigning_a_parameter_its_own_value_changes_no_bit(partition: str, optimizer: str) -> None:
    """Workers copy the numbers again: replicated ones were the same in all workers before."""
    nets = [built(classifier()), built(classifier())]
    for net in nets:
        net.compile(optimizer=OPTIMIZERS[optimizer](0.5), loss="sparse_categorical_crossentropy")

    def assign(end: int) -> None:
        nets[1].parameters["dense/kernel"] = nets[1].parameters["dense/kernel"]

    with dividing(partition):
        totals = epoch_in_pieces(nets[0], [63])
        assert epoch_in_pieces(nets[1], [1, 5, 20, 63], assign) == totals
    check_same(*nets)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_values_assigned_between_stretches_are_trained_on(partition: str) -> None:
    nets = [built(classifier()), built(classifier("numpy"))]

    def assign(net: dk.Sequential) -> Callable[[int], None]:
        def at(end: int) -> None:
            net.parameters["dense/kernel"] = np.linspace(-1, 1, 11 * 23).reshape(11, 23) / end
            if end > 2:
                net.parameters["dense_3/bias"] = np.arange(5.0)

        return at

    with dividing(partition):
        for net in nets:
            epoch_in_pieces(net, [1, 2, 20, 63], assign(net))
    np.testing.assert_array_equal(nets[0].parameters["dense_3/bias"], np.arange(5.0))
    check_close(*nets)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_updates_with_user_gradients_and_steps_alternate(partition: str) -> None:
    x, labels, _ = classes()
    nets = [built(classifier()), built(classifier("numpy"))]
    with dividing(partition):
        for net in nets:
            for _ in range(4):
                net.train_step(x, labels)
                _, gradients = net.get_gradients(x[:30], labels[:30])
                net.executable.update(gradients, net.optimizer.hyperparameters(net.executable.state.step, 1))
    check_close(*nets)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_external_steps_and_following_alternate_with_epochs(partition: str) -> None:
    """Of a network whose shards are the newest, and of one that follows and trains on its shards."""
    x, labels, _ = classes()
    gradient = np.random.default_rng(4).normal(size=(30, 5)) / 30
    nets, targets = ([built(classifier()), built(classifier("numpy"))] for _ in range(2))
    with dividing(partition):
        for net, target in zip(nets, targets, strict=True):
            for _ in range(3):
                net.fit(x, labels, batch_size=32, verbose=0)
                net.step(x[:30], logits_gradient=gradient)
                target.follow(net, 0.5)
                target.train_step(x, labels)
                net.follow(target, 0.125)
    check_close(*nets)
    check_close(*targets)


def test_batch_sizes_and_partitions_may_change_at_any_time() -> None:
    x, labels, weights = classes()
    nets = [classifier("numpy"), classifier()]
    turns = [
        ("units/2", 32), ("units/3", 32), ("units/3", 7), ("rows/2", 7), ("units/1", 250), ("rows/4", 3),
        ("units/2", 32), ("units/2", 1), ("rows/3", 64), ("units/4", 64), ("units/16", 11), ("units/2", 32),
        ("rows/2", 32), ("units/2", 32), ("units/1", 32), ("units/2", 32), ("rows/4", 1),
    ]  # fmt: skip
    for partition, batch_size in turns:
        with dividing(partition):
            for net in nets:
                net.fit(x, labels, batch_size=batch_size, sample_weight=weights, verbose=0)
                net.evaluate(x, labels, batch_size=batch_size)
            assert nets[1].executable.plan.details["partition"] == partition
            check_close(*nets)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_a_stop_request_ends_a_run_between_two_steps_and_it_resumes(partition: str) -> None:
    x, labels, _ = classes(10_000)
    order = np.random.default_rng(0).permutation(10_000)
    nets = [built(classifier(num_threads=3)) for _ in range(2)]
    with dividing(partition):
        for net in nets:
            net.executable.begin_epoch(net.executable.load(x, labels, None), order, 2)
        whole, stopped = (net.executable for net in nets)
        whole.run_steps(0, 5_000, nets[0].optimizer.hyperparameters(0, 5_000))
        position, ends = 0, []
        while position < 5_000:
            if len(ends) < 3:
                timer = threading.Timer(0.002, stopped.request_stop)
                timer.start()
            position = stopped.run_steps(
                position, 5_000, nets[1].optimizer.hyperparameters(stopped.state.step, 5_000 - position)
            )
            timer.join()
            ends.append(position)
            assert stopped.state.step == position
    assert len(ends) > 1
    assert ends == sorted(ends)
    assert whole.totals() == stopped.totals()
    check_same(*nets)


@pytest.mark.parametrize("partition", LOCAL)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_request_to_stop_does_not_outlive_its_epoch(backend: str, partition: str) -> None:
    x, labels, _ = classes()
    net = classifier(backend)
    with dividing(partition):
        net.fit(x, labels, verbose=0)
        net.executable.request_stop()  # as Ctrl-C does, here after the epoch's last step
        net.fit(x, labels, verbose=0)
    assert net.executable.state.step == 16


# Other backends, saves, resuming


@pytest.mark.parametrize("partition", DIVISIONS)
def test_a_network_moves_to_numpy_and_back_with_all_its_numbers(partition: str) -> None:
    x, labels, _ = classes()
    moving, by_numpy = classifier(), classifier("numpy")
    with dividing(partition):
        for backend in ("numba", "numpy", "numba"):
            before = numbers(moving) if moving.is_built else {}
            moving.to(backend)
            for name, value in before.items():
                np.testing.assert_array_equal(numbers(moving)[name], value)
            for net in (moving, by_numpy):
                net.fit(x, labels, batch_size=30, verbose=0)
    check_close(moving, by_numpy)


@pytest.mark.parametrize("partition", DIVIDED)
def test_a_saved_network_resumes_bit_for_bit_in_the_recorded_partition(partition: str, tmp_path: Path) -> None:
    x, labels, weights = classes()
    fits = {"batch_size": 30, "sample_weight": weights, "verbose": 0}
    net, other = classifier(num_threads=1), classifier(num_threads=1)  # one thread: alone, if it were chosen again
    assert other.fit(x, labels, **fits).plan.details["partition"] == "units/1"
    with dividing(partition):
        net.fit(x, labels, **fits)
    net.save(tmp_path / "run")
    loaded = dk.load(tmp_path / "run", backend="numba")
    assert loaded.executable.state == net.executable.state
    assert partition in loaded.executable.state.execution
    with dividing(partition):
        whole = net.fit(x, labels, epochs=2, **fits)
    resumed = loaded.fit(x, labels, epochs=2, **fits)
    assert resumed.plan.details["partition"] == partition
    check_same(net, loaded)
    assert resumed["loss"] == whole["loss"]
    # With another batch size there is no recorded partition to repeat.
    assert loaded.fit(x, labels, batch_size=25, verbose=0).plan.details["partition"] == "units/1"


@pytest.mark.parametrize("partition", DIVIDED)
def test_a_saved_interrupted_epoch_resumes_bit_for_bit(partition: str, tmp_path: Path) -> None:
    x, labels, _ = classes()
    whole, net = classifier(), classifier()
    with dividing(partition):
        whole.fit(x, labels, batch_size=7, epochs=2, verbose=0)
        net.build(11)
        executable = net.executable
        net.fit(x, labels, batch_size=7, verbose=0)

        class Interrupt(Callback):
            def on_batch_end(self, batch: int, logs: Any) -> None:
                if batch == 19:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            net.fit(x, labels, batch_size=7, callbacks=Interrupt(), verbose=0)
        assert (executable.state.step, executable.state.position) == (56, 20)
        net.save(tmp_path / "run")
    loaded = dk.load(tmp_path / "run", backend="numba")
    loaded.fit(x, labels, batch_size=7, verbose=0)
    check_same(whole, loaded)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_history_and_save_record_the_partition(partition: str, tmp_path: Path) -> None:
    x, labels, _ = classes()
    net = classifier()
    with dividing(partition):
        history = net.fit(x, labels, verbose=0)
    assert history.plan.details["partition"] == partition
    assert net.history.plan.details["partition"] == partition
    net.save(tmp_path / "run")
    assert dk.load(tmp_path / "run").history.plan.details["partition"] == partition


def test_without_a_wish_the_division_is_chosen_said_and_kept() -> None:
    x, labels, _ = classes()
    net, again = classifier(), classifier()
    histories = [each.fit(x, labels, epochs=3, verbose=0) for each in (net, again)]
    chosen = histories[0].plan.details["partition"]
    assert chosen in {f"{by}/{count}" for by in ("units", "rows") for count in range(1, processors() + 1)}
    assert histories[1].plan.details["partition"] == chosen
    check_same(net, again)


# Overflow


@pytest.mark.filterwarnings("ignore:unscaled inputs:dnnkit.errors.TrainingWarning")
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("partition", DIVISIONS)
def test_the_first_step_whose_loss_is_no_number_is_found(partition: str, backend: str) -> None:
    """One row among the last of step 6 is too large to compute with: inf - inf."""
    net = dk.Sequential([dk.Dense(4), dk.Dense(1)], seed=0, backend=backend, dtype="float64", num_threads=3)
    net.compile(optimizer=dk.SGD(1e-9), loss="mean_squared_error")
    net.build(1)
    net.parameters["dense/kernel"] = np.array([[10.0, -10.0, 10.0, -10.0]])
    net.parameters["dense_1/kernel"] = np.ones((4, 1))
    x = np.full((95, 1), 0.1)
    x[57] = 1e308
    with dividing(partition), pytest.warns(TrainingWarning, match="the loss has been NaN since epoch 1, step 6:"):
        net.fit(x, np.ones((95, 1)), batch_size=10, shuffle=False, verbose=0)
    pieces = dk.Sequential(net.layers, seed=0, backend=backend, dtype="float64")
    pieces.compile(optimizer=dk.SGD(1e-9), loss="mean_squared_error")
    pieces.build(1)
    pieces.parameters["dense/kernel"] = np.array([[10.0, -10.0, 10.0, -10.0]])
    pieces.parameters["dense_1/kernel"] = np.ones((4, 1))
    executable = pieces.executable
    with dividing(partition):
        executable.begin_epoch(executable.load(x, np.ones((95, 1)), None), np.arange(95), 10)
        for first, last in ((0, 4), (4, 8), (8, 10)):
            executable.run_steps(first, last, pieces.optimizer.hyperparameters(first, last - first))
    assert executable.totals().nan_step == 5
