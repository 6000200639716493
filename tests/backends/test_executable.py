"""What an executable promises, on every backend."""

from dataclasses import replace

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from tests.backends.networks import CASES, Case, data

SMALL = CASES["leaky_relu elu, dropout, softmax, categorical, rmsprop"]


def ready(case: Case, backend: Backend, dtype: str = "float64") -> tuple[dk.Sequential, object]:
    """A built network and its loaded data."""
    x, labels = data()
    net = case.network(backend, dtype)
    net.build(x.shape[1:])
    return net, net.executable.load(x, case.targets(labels), None)


def numbers(net: dk.Sequential, steps: int):
    return net.optimizer.hyperparameters(net.executable.state.step, steps)


def parameters(net: dk.Sequential) -> np.ndarray:
    return np.concatenate([value.reshape(-1) for value in net.parameters.values()])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-3)])
def test_every_backend_follows_the_trajectory_of_numpy(
    backend: Backend, name: str, dtype: str, tolerance: float
) -> None:
    (x, labels), _ = dk.datasets.digits.load_data()
    epochs = 2 if backend.name == "strict" else 5  # it is slow, and computes as NumPy does
    losses = []
    for where in (backend, "numpy"):
        net = CASES[name].network(where, dtype)
        losses.append(net.fit(x, CASES[name].targets(labels), epochs=epochs, batch_size=32, verbose=0)["loss"])
    assert np.abs(np.divide(*losses) - 1).max() < tolerance


@pytest.mark.parametrize("name", CASES)
def test_one_call_or_many_give_the_same_bits(backend: Backend, name: str) -> None:
    results = []
    for ends in ([9], [1, 2, 3, 4, 5, 6, 7, 8, 9], [4, 9]):
        net, loaded = ready(CASES[name], backend, "float32")
        executable, first = net.executable, 0
        executable.begin_epoch(loaded, np.arange(90)[::-1].copy(), 10)
        for last in ends:
            assert executable.run_steps(first, last, numbers(net, last - first)) == last
            first = last
        results.append((parameters(net).tobytes(), executable.totals()))
    assert results[0] == results[1] == results[2]


def test_gradients_then_update_is_a_step(backend: Backend) -> None:
    net, loaded = ready(SMALL, backend)
    other, other_loaded = ready(SMALL, backend)
    net.executable.begin_epoch(loaded, np.arange(90), 90)
    net.executable.run_steps(0, 1, numbers(net, 1))
    gradients = other.executable.gradients(other_loaded)
    named = {name: np.array(backend.to_numpy(value)) for name, value in gradients.parameters.items()}
    other.executable.update(named, numbers(other, 1))
    # A step may be divided among workers, `gradients` is not: its sums have another order.
    np.testing.assert_allclose(parameters(net), parameters(other), rtol=1e-12, atol=1e-14)
    assert net.executable.state.step == other.executable.state.step
    assert gradients.loss == pytest.approx(net.executable.totals().mean_loss, rel=1e-12)


def test_gradients_change_nothing(backend: Backend) -> None:
    net, loaded = ready(SMALL, backend)
    before = net.executable.snapshot()
    net.executable.gradients(loaded, with_input=True)
    after = net.executable.snapshot()
    assert after.state == before.state
    np.testing.assert_equal(dict(after.parameters), dict(before.parameters))


def test_a_stop_request_ends_between_two_steps_and_only_once(backend: Backend) -> None:
    net, loaded = ready(SMALL, backend)
    executable = net.executable
    executable.begin_epoch(loaded, np.arange(90), 10)
    executable.request_stop()
    done = executable.run_steps(0, 9, numbers(net, 9))
    assert done < 9
    assert executable.state.step == done
    assert executable.run_steps(done, 9, numbers(net, 9 - done)) == 9


def test_evaluation_within_an_epoch_leaves_its_totals_alone(backend: Backend) -> None:
    net, loaded = ready(SMALL, backend)
    executable = net.executable
    executable.begin_epoch(loaded, np.arange(90), 10)
    executable.run_steps(0, 3, numbers(net, 3))
    before = executable.totals()
    executable.evaluate(loaded, 32)
    assert executable.totals() == before


@pytest.mark.parametrize("batch_size", [1, 7, 90, 1000])
def test_evaluation_does_not_depend_on_the_batch_size(backend: Backend, batch_size: int) -> None:
    net, loaded = ready(SMALL, backend)
    metrics = net.executable.program.metrics
    whole = net.executable.evaluate(loaded, 90).means(metrics)
    assert net.executable.evaluate(loaded, batch_size).means(metrics) == pytest.approx(whole, rel=1e-12)


def test_totals_name_the_first_step_whose_loss_is_not_a_number(backend: Backend) -> None:
    net, loaded = ready(SMALL, backend)
    executable = net.executable
    bad = np.array(backend.to_numpy(loaded.x), np.float64)
    bad[45] = np.nan  # loading rejects NaN, but a computation may produce it
    executable.begin_epoch(replace(loaded, x=backend.asarray(bad)), np.arange(90), 10)
    executable.run_steps(0, 4, numbers(net, 4))
    assert executable.totals().nan_step == -1
    executable.run_steps(4, 9, numbers(net, 5))
    assert executable.totals().nan_step == 4
    assert np.isnan(executable.totals().loss)


def test_a_snapshot_restored_elsewhere_continues_bit_for_bit(backend: Backend) -> None:
    net, loaded = ready(SMALL, backend)
    net.executable.begin_epoch(loaded, np.arange(90), 10)
    net.executable.run_steps(0, 4, numbers(net, 4))
    other, other_loaded = ready(SMALL, backend)
    other.executable.restore(net.executable.snapshot())
    other.executable.begin_epoch(other_loaded, np.arange(90), 10)
    for each in (net, other):
        each.executable.run_steps(4, 9, numbers(each, 5))
    np.testing.assert_array_equal(parameters(net), parameters(other))


def test_a_snapshot_is_a_copy(backend: Backend) -> None:
    net, loaded = ready(SMALL, backend)
    snapshot = net.executable.snapshot()
    kept = {name: value.copy() for name, value in snapshot.parameters.items()}
    net.executable.begin_epoch(loaded, np.arange(90), 10)
    net.executable.run_steps(0, 9, numbers(net, 9))
    np.testing.assert_equal(dict(snapshot.parameters), kept)
    assert snapshot.state.step == 0


def test_the_same_run_gives_the_same_bits(backend: Backend) -> None:
    x, labels = data()
    runs = []
    for _ in range(2):
        net = SMALL.network(backend, "float32")
        net.fit(x, SMALL.targets(labels), epochs=3, batch_size=16, verbose=0)
        runs.append(parameters(net).tobytes())
    assert runs[0] == runs[1]


def test_integer_data_give_the_same_as_their_floats(backend: Backend) -> None:
    x, labels = data()
    nets = [SMALL.network(backend) for _ in range(2)]
    losses = [
        net.fit(samples, SMALL.targets(labels), verbose=0)["loss"]
        for net, samples in zip(nets, (x, x.astype(np.float64)), strict=True)
    ]
    assert losses[0] == losses[1]


def test_row_weights_of_zero_and_a_batch_of_nothing_but_them(backend: Backend) -> None:
    x, labels = data()
    weights = np.ones(90)
    weights[:30] = 0.0
    weighted, shorter = (SMALL.network(backend) for _ in range(2))
    y = SMALL.targets(labels)
    weighted.build(x.shape[1:])
    shorter.build(x.shape[1:])
    kept = weighted.evaluate(x, y, sample_weight=weights)
    assert kept == pytest.approx(shorter.evaluate(x[30:], y[30:]), rel=1e-12)
    history = weighted.fit(x, y, batch_size=30, shuffle=False, sample_weight=weights, verbose=0)
    assert np.isfinite(history["loss"]).all()
