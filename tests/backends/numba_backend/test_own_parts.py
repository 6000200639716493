"""Custom layers, losses and metrics in the compiled epoch: called once per step, by the thread that runs worker 0."""

import gc
import os
import signal
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.base import Backend
from dnnkit.backends.blas_threads import blas_threads
from dnnkit.backends.numba_backend.executable import NumbaExecutable
from dnnkit.kernels.array import namespace
from tests.backends.numba_backend.partitions import (
    DIVISIONS,
    LOCAL,
    check_close,
    check_same,
    classes,
    dividing,
    numbers,
    threads_ended,
)


@dataclass(frozen=True)
class Scale(dk.Layer):
    """A layer with trained numbers, one per column."""

    first: float = 1.5

    def parameters(self, input_shape):
        return {"scale": (input_shape, dk.initializers.Constant(self.first))}

    def forward(self, xp, x, scale):
        return x * scale, x

    def backward(self, xp, dy, x, scale):
        return dy * scale, xp.sum(x * dy, axis=0)


@dataclass(frozen=True)
class Pairs(dk.Layer):
    """A layer with another shape and no parameters: sums of neighbors, rows as tables."""

    def output_shape(self, input_shape):
        return (input_shape[0] - 1,)

    def forward(self, xp, x):
        return x[:, 1:] + x[:, :-1], None

    def backward(self, xp, dy, saved):
        zeros = xp.zeros((dy.shape[0], 1), dtype=dy.dtype)
        return (xp.concat([zeros, dy], axis=1) + xp.concat([dy, zeros], axis=1),)


@dataclass(frozen=True)
class WholeBatch(dk.losses.Loss):
    """A loss that is not a sum over rows: with a part of the batch it would be another number."""

    targets = "labels"

    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        rows, wanted = targets.shape[0], xp.take(xp.eye(5, dtype=predictions.dtype), targets, axis=0)
        difference = predictions - xp.mean(predictions) - wanted
        factors = xp.ones(rows, dtype=predictions.dtype) if weights is None else weights
        total = xp.sum(factors * xp.sum(difference**2, axis=1)) / rows
        gradient = 2 * factors[:, None] * difference / rows
        return total, scale * (gradient - xp.mean(gradient))


def worst(y_true, y_pred):
    """A value of the whole batch, in each row."""
    xp = namespace(y_pred)
    return xp.max(y_pred) - xp.mean(y_pred, axis=1) + xp.astype(y_true, y_pred.dtype)


LAYERS: dict[str, list[dk.Layer]] = {
    "first": [Scale(), dk.Dropout(0.2), dk.Dense(23, "tanh"), dk.Dense(17, "relu"), dk.Dense(5, "softmax")],
    "within a pair": [dk.Dense(23, "tanh"), Scale(), dk.Dropout(0.2), Pairs(), dk.Dense(17), dk.Dense(5, "softmax")],
    "between pairs": [dk.Dense(23, "relu"), dk.Dense(18), Pairs(), Scale(), dk.Dense(23), dk.Dense(5)],
    "last": [dk.Dropout(0.1), dk.Dense(23, "gelu"), dk.Dense(6), Pairs(), dk.Activation("softmax"), Scale()],
    "before all that is trained": [Pairs(), dk.Dense(23, "tanh"), dk.Dense(5, "softmax")],
    "alone": [dk.Dense(5), Scale()],
}


def network(
    layers: list[dk.Layer],
    backend: Any = "numba",
    loss: Any = None,
    metrics: Any = (worst, "accuracy"),
    *,
    clip: float | None = 0.7,
    **more: Any,
) -> dk.Sequential:
    net = dk.Sequential(layers, seed=3, backend=backend, **{"dtype": "float64", **more})
    net.compile(dk.Adam(0.01, epsilon=1e-4, global_clipnorm=clip), loss or WholeBatch(), metrics)
    return net


FITS: dict[str, Any] = {"batch_size": 32, "epochs": 2, "verbose": 0}  # the last batch has 26 rows


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("place", LAYERS)
def test_custom_parts_train_as_on_numpy_in_every_partition(place: str, weighted: bool) -> None:
    x, labels, weights = classes()
    fits = FITS | ({"sample_weight": weights} if weighted else {})
    clip = None if weighted else 0.7
    by_numpy = network(LAYERS[place], "numpy", clip=clip)
    expected = by_numpy.fit(x, labels, **fits)
    for partition in DIVISIONS:
        nets = [network(LAYERS[place], clip=clip) for _ in range(2)]
        histories = []
        for net, joined in zip(nets, (False, True), strict=True):
            with dividing(partition, joined=joined):
                histories.append(net.fit(x, labels, **fits))
        plan = histories[0].plan
        assert (plan.execution, plan.reason, plan.details["partition"]) == ("compiled epoch", None, partition)
        assert "loss WholeBatch, metric worst" in plan.details["called in Python"]
        check_close(nets[0], by_numpy)
        check_same(*nets)
        for measured in ("loss", "worst", "accuracy"):
            assert histories[0][measured] == histories[1][measured]
            assert histories[0][measured] == pytest.approx(expected[measured], rel=1e-9), partition


@pytest.mark.parametrize("place", LAYERS)
def test_predictions_evaluations_and_gradients_follow_numpy(place: str) -> None:
    x, labels, weights = classes()
    net, by_numpy = network(LAYERS[place]), network(LAYERS[place], "numpy")
    for each in (net, by_numpy):
        each.build(x.shape[1])
    assert isinstance(net.executable, NumbaExecutable)
    evaluations = []
    for joined in (False, True):
        with dividing("units/1", joined=joined):
            for rows in (1, 64, 250):
                predictions = net.predict(x[:rows], batch_size=100)
                np.testing.assert_allclose(predictions, by_numpy.predict(x[:rows], batch_size=100), rtol=1e-9)
            evaluations.append(net.evaluate(x, labels, batch_size=100, sample_weight=weights))
            for with_input in (False, True):
                mine, others = (each.get_gradients(x, labels, with_input=with_input) for each in (net, by_numpy))
                assert mine[0] == pytest.approx(others[0], rel=1e-9)
                for name, gradient in others[1].items():
                    np.testing.assert_allclose(mine[1][name], gradient, rtol=1e-9, atol=1e-12)
    expected = by_numpy.evaluate(x, labels, batch_size=100, sample_weight=weights)
    assert evaluations[0] == pytest.approx(evaluations[1], rel=1e-12)
    assert evaluations[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("backend_name", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_know_nothing_of_the_loss_and_the_metrics(
    backend_name: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Custom or built in, fused or not: predictions have the same bits and call neither loss nor metric."""
    x, _, _ = classes(3000)
    layers = [dk.Dense(40, "relu"), dk.Dropout(0.2), dk.Dense(5, "softmax")]
    built_in = network(layers, backend_name, "sparse_categorical_crossentropy", ["accuracy"], dtype=dtype)
    own = [
        network(layers, backend_name, dtype=dtype),
        network(layers, backend_name, dk.losses.SparseCategoricalCrossentropy(epsilon=1e-7), dtype=dtype),
    ]
    if backend_name == "numba":
        from dnnkit.backends.numba_backend.own_parts import OwnParts

        monkeypatch.setattr(OwnParts, "begin", None)  # a call would fail
    for net in (built_in, *own):
        net.build(x.shape[1])
    for rows in (1, 64, 65, 3000):
        expected = built_in.predict(x[:rows])
        for net in own:
            np.testing.assert_array_equal(net.predict(x[:rows]), expected)


class Failing:
    """Raises at one call, once."""

    def __init__(self, at: int, error: BaseException | None = None) -> None:
        self.calls, self.at, self.error = 0, at, error or ValueError("planted")

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise self.error


def failing(where: str, fail: Failing) -> dk.Sequential:
    """Return a network with one failing part."""

    class FailingScale(Scale):
        def forward(self, xp, x, scale):
            if where == "forward":
                fail()
            return super().forward(xp, x, scale)

        def backward(self, xp, dy, x, scale):
            if where == "backward":
                fail()
            return super().backward(xp, dy, x, scale)

    class FailingLoss(WholeBatch):
        def loss_and_gradient(self, *arguments):
            if where == "loss":
                fail()
            return super().loss_and_gradient(*arguments)

    def measured(y_true, y_pred):
        if where == "metric":
            fail()
        return worst(y_true, y_pred)

    layers = [dk.Dense(23, "tanh"), FailingScale(), dk.Dense(17), dk.Dense(5, "softmax")]
    if where == "metric":  # the step has no other custom part
        layers.pop(1)
    built_in = where in ("metric", "backward")  # whose sum is taken back
    loss = "sparse_categorical_crossentropy" if built_in else FailingLoss()
    return network(layers, loss=loss, metrics=["accuracy", measured], clip=None)


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("partition", LOCAL)
@pytest.mark.parametrize("where", ["forward", "backward", "loss", "metric"])
def test_their_exceptions_are_raised_after_whole_steps(where: str, partition: str, joined: bool) -> None:
    x, labels, _ = classes()
    fail = Failing(5)
    net, other = failing(where, fail), failing(where, Failing(0))
    fits: dict[str, Any] = {"batch_size": 32, "shuffle": False, "verbose": 0}
    with dividing(partition, joined=joined):
        with pytest.raises(ValueError, match="planted") as caught:
            net.fit(x, labels, **fits)
        assert caught.value is fail.error
        assert fail.calls == 5, "it is not called again after the error"
        assert threads_ended()
        other.fit(x[:128], labels[:128], **fits)
    mine, expected = numbers(net), numbers(other)
    for name in expected:
        np.testing.assert_array_equal(mine[name], expected[name], err_msg=name)
    assert net.executable.state.step == 4
    assert net.executable.totals() == other.executable.totals()


def test_ctrl_c_within_one_is_heard_wherever_it_runs() -> None:
    x, labels, _ = classes()

    def interrupted() -> None:
        handler = signal.getsignal(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        noted = getattr(getattr(handler, "__self__", None), "received", [signal.SIGINT])
        deadline = time.monotonic() + 60
        while not noted and time.monotonic() < deadline:  # the main thread checks when it is scheduled
            time.sleep(0.01)
        time.sleep(0.1)  # and stops the run

    for joined in (False, True):
        for call in ("fit", "evaluate"):

            def measured(y_true, y_pred):
                interrupted()
                return worst(y_true, y_pred)

            net = network([dk.Dense(5)], metrics=[measured])
            net.build(x.shape[1])
            with dividing("units/1", joined=joined), pytest.raises(KeyboardInterrupt):
                net.fit(x, labels, **FITS) if call == "fit" else net.evaluate(x, labels)
            assert threads_ended()
            assert net.executable.state.step <= 1


def test_ctrl_c_before_the_call_can_note_it_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from dnnkit.backends.numba_backend import own_parts

    x, labels, _ = classes()
    monkeypatch.setattr(own_parts.OwnParts, "_call", lambda *arguments: 0)
    net = network([dk.Dense(5)])
    with pytest.raises(KeyboardInterrupt):
        net.fit(x, labels, **FITS)
    assert net.executable.state.step == 0


@pytest.mark.parametrize("partition", LOCAL)
def test_they_may_read_the_network_that_is_trained(partition: str) -> None:
    """From any thread: the state is that after the last whole step."""
    x, labels, _ = classes()

    def run(backend: str) -> list[Any]:
        seen = []

        def measured(y_true, y_pred):
            seen.append(np.array(net.parameters["dense/kernel"]))
            seen.append(net.predict(x[:3]))
            return worst(y_true, y_pred)

        net = network([dk.Dense(23, "tanh"), dk.Dense(5)], backend, metrics=[measured])
        net.fit(x, labels, **FITS)
        return [*seen, np.array(net.parameters["dense/kernel"])]

    expected = run("numpy")
    with dividing(partition):
        for mine, other in zip(run("numba"), expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("partition", LOCAL)
def test_a_save_with_a_custom_part_resumes_bit_for_bit(partition: str, tmp_path: Path) -> None:
    x, labels, _ = classes()
    whole, first = network(LAYERS["within a pair"]), network(LAYERS["within a pair"])
    with dividing(partition, joined=None):
        whole.fit(x, labels, **FITS)
        first.fit(x, labels, batch_size=32, steps=11, verbose=0)
        first.save(tmp_path / "run")
        known = {"Scale": Scale, "Pairs": Pairs, "WholeBatch": WholeBatch, "worst": worst}
        again = dk.load(tmp_path / "run", custom_objects=known)
        again.fit(x, labels, batch_size=32, steps=5, verbose=0)
    check_same(again, whole)


def test_custom_parts_may_use_denormals_and_wrong_shapes_are_errors() -> None:
    x, labels, _ = classes()
    tiny = []

    def measured(y_true, y_pred):
        tiny.append(float(np.float32(1e-30) * np.float32(1e-10)))
        return worst(y_true, y_pred)

    net = network([dk.Dense(5)], metrics=[measured])
    net.fit(x, labels, **FITS)
    assert min(tiny) > 0, "compiled code flushes them to zero"

    class OneRow(Scale):
        def forward(self, xp, x, scale):
            return x[:1], x

    with pytest.raises(ValueError, match="reshape"):
        network([OneRow(), dk.Dense(5)]).fit(x, labels, **FITS)


def test_gradients_alone_call_no_metric() -> None:
    x, labels, _ = classes()
    net = failing("metric", Failing(1))
    net.build(x.shape[1])
    net.get_gradients(x, labels)


def test_a_loss_that_is_no_number_is_seen_with_its_step() -> None:
    x, labels, _ = classes()
    calls = Failing(0)

    class Lost(WholeBatch):
        def loss_and_gradient(self, predictions, *arguments):
            calls()
            total, gradient = super().loss_and_gradient(predictions, *arguments)
            return (np.nan if calls.calls == 3 else total), gradient

    with pytest.warns(dk.errors.TrainingWarning, match="the loss has been NaN since epoch 1, step 3"):
        network([dk.Dense(5)], loss=Lost()).fit(x, labels, **FITS | {"epochs": 1})


def test_networks_in_other_threads_do_not_wait_for_blas_threads() -> None:
    """A metric that waits for a NumPy network with another number of BLAS threads."""
    x, labels, _ = classes()
    other = dk.Sequential([dk.Dense(5)], seed=0, backend="numpy", num_threads=1)
    other.build(x.shape[1])

    def measured(y_true, y_pred):
        assert np.isfinite(other.predict(x)).all()
        return worst(y_true, y_pred)

    for joined in (False, True):
        with dividing("units/2", joined=joined):
            network([dk.Dense(8), dk.Dense(5)], metrics=[measured], num_threads=2).fit(x, labels, **FITS)


@pytest.mark.parametrize("joined", [False, True])
def test_another_number_of_blas_threads_waits_for_one_call_at_most(joined: bool) -> None:
    x, labels, _ = classes()
    has_come = threading.Event()

    def come() -> None:
        with blas_threads().bounded(2):
            has_come.set()

    other = threading.Thread(target=come)
    seen = []

    def measured(y_true, y_pred):
        if not seen:
            other.start()
        seen.append(has_come.wait(0.05))
        return worst(y_true, y_pred)

    with dividing("units/1", joined=joined):
        network([dk.Dense(5)], metrics=[measured], num_threads=1).fit(x, labels, **FITS | {"epochs": 1})
    other.join()
    assert seen[-1]


def test_a_network_that_nobody_has_any_more_is_freed() -> None:
    x, labels, _ = classes()
    net = network(LAYERS["first"])
    net.fit(x, labels, **FITS)
    net.predict(x[:1])
    memory = weakref.ref(net.executable.epoch.team._memory.base)
    del net
    gc.collect()
    assert memory() is None


def test_step_by_step_is_as_the_whole(backend: Backend) -> None:
    """`train_step`, and gradients applied from outside."""
    x, labels, _ = classes(64)
    whole, stepped = (network(LAYERS["within a pair"], backend) for _ in range(2))
    whole.fit(x, labels, batch_size=32, shuffle=False, verbose=0)
    stepped.train_step(x[:32], labels[:32])
    stepped.train_step(x[32:], labels[32:])
    check_close(whole, stepped)


def test_inspection_names_them() -> None:
    x, labels, _ = classes()
    with dividing("units/2", joined=None):
        net = network(LAYERS["within a pair"])
        net.build(x.shape[1])
        text = " ".join(net.inspect(x, labels).step.schedule.split())
    assert "own_forward" in text
    assert "Call Scale's user-defined backward" in text
    assert text.count("own_measures") == 1


@dataclass(frozen=True)
class MeanCubed(dk.losses.Loss):
    """A loss of rows of numbers without a mean over rows: more rows, a larger gradient."""

    targets = "values"

    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        difference = predictions - targets - xp.mean(predictions)
        factors = xp.ones(targets.shape[0], dtype=predictions.dtype) if weights is None else weights
        total = xp.sum(factors * xp.sum(xp.abs(difference) ** 3, axis=1))
        gradient = 3 * factors[:, None] * xp.abs(difference) * difference
        return total, scale * (gradient - xp.mean(gradient))


def of_three_outputs(backend: str, metric: Any = worst) -> dk.Model:
    x = dk.Input((11,))
    trunk = dk.Dense(11, "tanh")(x)
    outputs = {
        "kind": dk.Dense(5, "softmax")(trunk),
        "size": dk.Dense(2, kernel_regularizer="l2")(trunk),
        "free": dk.Dense(3)(trunk),
    }
    net = dk.Model(x, outputs, backend=backend, seed=3, dtype="float64")
    size = [lambda t, y: abs(y - t).max(axis=1), "mae"]
    losses = {"kind": "sparse_categorical_crossentropy", "size": MeanCubed()}
    net.compile(
        dk.Adam(0.01, epsilon=1e-4), losses, {"kind": ["accuracy", metric], "size": size}, {"kind": 1.5, "size": 0.5}
    )
    return net


@pytest.mark.parametrize("weighted", ["no", "all", "each"])
def test_those_of_one_of_several_outputs_are_called_too(weighted: str) -> None:
    x, labels, weights = classes()
    y = {"kind": labels, "size": x[:, :2] * x[:, 2:4]}
    fits: dict[str, Any] = FITS | {}
    if weighted != "no":
        fits["sample_weight"] = weights if weighted == "all" else {"kind": weights, "size": weights[::-1] + 0.5}
    by_numpy = of_three_outputs("numpy")
    expected = by_numpy.fit(x, y, **fits)
    for partition in LOCAL:
        nets = [of_three_outputs("numba") for _ in range(2)]
        for net, joined in zip(nets, (False, True), strict=True):
            with dividing(partition, joined=joined):
                history = net.fit(x, y, **fits)
        assert (history.plan.reason, history.plan.details["partition"]) == (None, partition)
        assert history.plan.details["called in Python"].startswith("loss MeanCubed, metric ")
        check_close(nets[0], by_numpy)
        check_same(*nets)
        assert set(history.history) == set(expected.history)
        for measured in set(expected.history) & set(by_numpy.evaluate(x, y).keys()):
            assert history[measured] == pytest.approx(expected[measured], rel=1e-9), measured
    asked = {"sample_weight": fits.get("sample_weight")}
    evaluations = [net.evaluate(x, y, **asked) for net in (nets[0], by_numpy)]
    assert dict(evaluations[0]) == pytest.approx(dict(evaluations[1]), rel=1e-9)
    mine, others = (net.get_gradients(x, y, **asked) for net in (nets[0], by_numpy))
    assert mine[0] == pytest.approx(others[0], rel=1e-9)
    for name, gradient in others[1].items():
        np.testing.assert_allclose(mine[1][name], gradient, rtol=1e-9, atol=1e-12)


def test_one_of_several_outputs_that_fails_leaves_no_trace() -> None:
    x, labels, _ = classes()
    y = {"kind": labels, "size": x[:, :2]}
    fail = Failing(5)

    def failing(y_true, y_pred):
        return fail() or worst(y_true, y_pred)

    net, other = of_three_outputs("numba", failing), of_three_outputs("numba")
    with pytest.raises(ValueError, match="planted"):
        net.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    other.fit(x[:128], {name: each[:128] for name, each in y.items()}, batch_size=32, shuffle=False, verbose=0)
    mine, expected = numbers(net), numbers(other)
    for name in expected:
        np.testing.assert_array_equal(mine[name], expected[name], err_msg=name)
    assert net.executable.totals() == other.executable.totals()
