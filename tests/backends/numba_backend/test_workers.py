"""Workers: the same results in every partition, within rounding in float64."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends.numba_backend.partition import Partition, roles
from dnnkit.errors import TrainingWarning
from tests.backends.networks import CASES, data
from tests.backends.numba_backend.partitions import DIVISIONS, OPTIMIZERS, check_close, classes, classifier, dividing


@pytest.mark.parametrize("name", CASES)
def test_the_test_networks_cover_division_by_units(name: str) -> None:
    net = CASES[name].network("numpy")
    net.build((4, 4))
    assert {"columns", "rows"} < set(roles(net.executable.program.stages, Partition("units", 4)))


@pytest.mark.parametrize("name", CASES)
def test_every_network_trains_alike_in_every_partition_and_on_numpy(name: str) -> None:
    x, labels = data()
    case = CASES[name]
    fits = {"batch_size": 32, "epochs": 2, "verbose": 0}  # the last batch has 26 rows
    by_numpy = case.network("numpy")
    expected = by_numpy.fit(x, case.targets(labels), **fits)
    for partition in DIVISIONS:
        with dividing(partition):
            net = case.network("numba")
            history = net.fit(x, case.targets(labels), **fits)
            assert history.plan.details["partition"] == partition
            check_close(net, by_numpy)
            for measured in ("loss", "accuracy"):
                assert history[measured] == pytest.approx(expected[measured], rel=1e-9), partition
            assert net.predict(x) == pytest.approx(by_numpy.predict(x), rel=1e-8, abs=1e-10)
            assert net.evaluate(x, case.targets(labels)) == pytest.approx(by_numpy.evaluate(x, case.targets(labels)))


SMOOTH = ["linear", "tanh", "sigmoid", "softplus", "relu", "gelu"]


@dataclass(frozen=True)
class Task:
    """A network and how it is trained."""

    features: int
    layers: tuple[dk.Layer, ...]
    loss: str
    outputs: int
    optimizer: str
    clip: float | None
    weights: str
    samples: int
    batch_size: int
    seed: int

    def network(self, backend: str) -> dk.Sequential:
        net = dk.Sequential(self.layers, seed=self.seed, backend=backend, dtype="float64", num_threads=3)
        metrics = [] if self.loss.endswith("squared_error") and self.outputs > 1 else ["accuracy"]
        with warnings.catch_warnings():
            # the numbers matter here, not whether training makes sense
            warnings.simplefilter("ignore", TrainingWarning)
            net.compile(optimizer=OPTIMIZERS[self.optimizer](self.clip), loss=self.loss, metrics=metrics)
        return net

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng(self.seed)
        x, y = rng.normal(size=(self.samples, self.features)), rng.normal(size=(self.samples, self.outputs))
        if self.loss.startswith("sparse"):
            y = rng.integers(0, self.outputs, self.samples)
        elif self.loss.endswith("crossentropy"):
            y = (y > 0).astype(np.float64)
        weights = {
            "none": None,
            "some": rng.uniform(0, 2, self.samples),
            "zeros": (rng.random(self.samples) < 0.3).astype(np.float64),
            "one": np.zeros(self.samples),
        }[self.weights]
        if weights is not None:
            weights[-1] = 0.5
        return x, y, weights


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    features = draw(st.integers(1, 20))
    layers: list[dk.Layer] = []
    width = features
    others = st.sampled_from(
        [dk.Dropout(0.3), dk.Activation("tanh"), dk.Activation("softmax"), dk.Rescaling(0.5, 0.1), dk.Flatten()]
    )
    for _ in range(draw(st.integers(0, 5))):
        layers += draw(st.lists(others, max_size=1))
        width = draw(st.integers(1, 40))
        activation = draw(st.sampled_from(SMOOTH))
        layers.append(
            dk.Dense(width, activation=activation, use_bias=draw(st.booleans()), bias_initializer="random_normal")
        )
    layers += draw(st.lists(others, max_size=1))
    loss = draw(st.sampled_from(["sparse", "binary", "mean", "sum"]))
    if loss == "sparse":
        width = draw(st.integers(2, 6))
        layers.append(dk.Dense(width, activation="softmax"))
    elif loss == "binary":
        width = 1
        layers.append(dk.Dense(1, activation="sigmoid", use_bias=draw(st.booleans())))
    elif not layers or draw(st.booleans()):
        width = draw(st.integers(1, 40))
        layers.append(dk.Dense(width))
    names = {
        "sparse": "sparse_categorical_crossentropy",
        "binary": "binary_crossentropy",
        "mean": "mean_squared_error",
        "sum": "sum_squared_error",
    }
    return Task(
        features,
        tuple(layers),
        names[loss],
        width,
        draw(st.sampled_from(sorted(OPTIMIZERS))),
        0.3 if loss == "sum" else draw(st.sampled_from([None, 0.3])),
        draw(st.sampled_from(["none", "some", "zeros", "one"])),
        samples := draw(st.integers(1, 60)),
        draw(st.one_of(st.integers(1, 5), st.integers(1, samples + 5))),
        draw(st.integers(0, 1000)),
    )


PLAIN = Task(4, (dk.Dense(3),), "mean_squared_error", 3, "sgd", None, "none", 10, 4, 0)


@given(tasks(), st.sampled_from(DIVISIONS[1:]), st.booleans())
@example(PLAIN, "units/2", True)
@example(PLAIN, "rows/4", True)
@example(replace(PLAIN, layers=(dk.Dense(1), dk.Dense(1), dk.Dense(1)), outputs=1), "units/4", True)
@example(replace(PLAIN, layers=(dk.Flatten(),), outputs=4), "units/2", True)
@example(replace(PLAIN, layers=(dk.Activation("tanh"), dk.Dropout(0.5)), outputs=4), "rows/3", True)
@example(replace(PLAIN, samples=1, batch_size=1, optimizer="adam", clip=0.3), "rows/4", True)
@example(replace(PLAIN, samples=13, batch_size=4, weights="one"), "rows/4", True)
@settings(max_examples=120)
@pytest.mark.filterwarnings("ignore::dnnkit.errors.TrainingWarning")  # as in `Task.network`
def test_networks_of_all_kinds_train_alike_in_every_division(task: Task, partition: str, joined: bool) -> None:
    x, y, weights = task.data()
    nets, measured = [], []
    for backend, divided in (("numpy", "units/1"), ("numba", "units/1"), ("numba", partition)):
        with dividing(divided, joined=joined):
            net = task.network(backend)
            history = net.fit(x, y, batch_size=task.batch_size, epochs=2, sample_weight=weights, verbose=0)
            loss, gradients = net.get_gradients(x, y, with_input=True, sample_weight=weights)
            measured.append((history, loss, gradients, net.predict(x), net.evaluate(x, y, sample_weight=weights)))
            nets.append(net)
    history, loss, gradients, predictions, evaluated = measured[2]
    assert history.plan.execution == "compiled epoch"
    assert history.plan.details["partition"] == partition
    for other, (expected, their_loss, their_gradients, predicted, found) in zip(nets[:2], measured[:2], strict=True):
        check_close(nets[2], other)
        for name, values in expected.history.items():
            assert history[name] == pytest.approx(values, rel=1e-8, abs=1e-9), name
        assert loss == pytest.approx(their_loss, rel=1e-8, abs=1e-9)
        assert gradients.keys() == their_gradients.keys()
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, their_gradients[name], rtol=1e-7, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(predictions, predicted, rtol=1e-7, atol=1e-9)
        assert evaluated == pytest.approx(found, rel=1e-8, abs=1e-9)


def test_a_batch_of_many_thousand_rows_is_divided_as_any_other() -> None:
    x, labels, weights = classes(20_011)
    fits = {"batch_size": 20_000, "sample_weight": weights, "verbose": 0}
    by_numpy = classifier("numpy", num_threads=1)
    by_numpy.fit(x, labels, **fits)
    for partition in ("units/2", "rows/2", "rows/4"):
        with dividing(partition, joined=None):
            net = classifier()
            net.fit(x, labels, **fits)
        check_close(net, by_numpy)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_steps_with_few_and_many_rows_alternate_as_on_numpy(partition: str) -> None:
    x, labels, weights = classes()
    nets = [classifier("numpy"), classifier()]
    with dividing(partition):
        for turn, rows in enumerate((1, 3, 2, 64, 1, 5, 4, 128, 3)):
            given = weights[:rows] if turn < 4 else None  # then the same workers run without weights
            losses = [net.train_step(x[:rows], labels[:rows], given) for net in nets]
            assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    check_close(*nets)


def test_in_float32_the_divisions_agree_within_its_rounding() -> None:
    x, labels, _ = classes()
    nets = []
    for partition in DIVISIONS:
        with dividing(partition):
            net = classifier(dtype="float32")
            net.fit(x, labels, epochs=2, verbose=0)
            nets.append(net)
    for net in nets[1:]:
        for name, value in nets[0].parameters.items():
            np.testing.assert_allclose(net.parameters[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/2"])
def test_metrics_of_one_network_have_thresholds_of_their_own(partition: str) -> None:
    """The second metric reads scores, of which those above 0 are yes; the first has no threshold that matters."""
    x, labels = data()
    y, histories = np.eye(10)[labels], []
    with dividing(partition):
        for backend in ("numpy", "numba"):
            layers = [dk.Flatten(), dk.Dense(8, activation="relu"), dk.Dense(10, activation="sigmoid")]
            net = dk.Sequential(layers, seed=0, backend=backend, dtype="float64")
            net.compile("adam", "binary_crossentropy", ["categorical_accuracy", "binary_accuracy"])
            histories.append(net.fit(x, y, epochs=2, verbose=0))
    for name in ("loss", "categorical_accuracy", "binary_accuracy"):
        assert histories[1][name] == pytest.approx(histories[0][name], rel=1e-9), name
    assert {metric.threshold for metric in net.executable.program.metrics} == {0.0, 0.5}
