"""Networks trained together equal those trained one by one."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import (
    BackendUnavailable,
    CheckpointError,
    ConcurrentUse,
    ConfigurationError,
    DataError,
    DnnkitError,
    NotReady,
    ShapeError,
    TrainingWarning,
)
from dnnkit.training.epoch_order import epoch_order
from tests import conftest
from tests.dnnkit.many.sweeps import BATCH, SAMPLES, data, everything, measured, network, wide

REGRESSION = {"loss": "mean_squared_error", "metrics": ["mae"]}

OPTIMIZERS = [
    lambda rate: dk.SGD(rate, momentum=0.9),
    lambda rate: dk.Adam(rate),
    lambda rate: dk.RMSprop(rate, global_clipnorm=1.0),
    lambda rate: dk.AdamW(dk.schedules.ExponentialDecay(rate, 10, 0.5)),
]

differences = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 99),
        "units": st.sampled_from([3, 6, 16]),
        "activation": st.sampled_from(["relu", "tanh", "sigmoid"]),
        "dropout": st.sampled_from([0.0, 0.3]),
        "kind": st.sampled_from([{}, {}, REGRESSION]),
        "optimizer": st.tuples(st.sampled_from(OPTIMIZERS), st.sampled_from([0.003, 0.05])),
        "dtype": st.sampled_from(["float32", "float32", "float64"]),
        "first": st.sampled_from([(), (), (dk.Rescaling(0.5),), (dk.Rescaling(0.5, 1.0),)]),
    }
)


def of(backend: Backend, drawn: dict[str, Any], num_threads: int | None = 1) -> dk.Sequential:
    """Return a network from drawn settings."""
    drawn = dict(drawn)
    make, rate = drawn.pop("optimizer")
    return network(backend, **drawn.pop("kind"), **drawn, optimizer=make(rate), num_threads=num_threads)


@pytest.mark.filterwarnings("ignore::dnnkit.errors.TrainingWarning")  # about networks as they are drawn
@settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(differences, min_size=2, max_size=4),
    st.sampled_from(["none", "data", "split", "rows"]),
    st.booleans(),
    st.sampled_from([None, 2]),
    st.sampled_from([True, False, "with_replacement"]),
    st.sampled_from([data, wide]),
)
def test_each_network_equals_its_own_fit(backend, drawn, held_out, weighted, patience, shuffle, source):
    x, y = source()
    nets, twins = [of(backend, each, None) for each in drawn], [of(backend, each) for each in drawn]
    weights = np.linspace(0.5, 2, SAMPLES) if weighted else None
    options: dict[str, Any] = {"batch_size": BATCH, "epochs": 4, "shuffle": shuffle, "verbose": 0}
    many_options, of_each = dict(options), [(x, y, {**options, "sample_weight": weights}) for _ in nets]
    if held_out == "data":
        many_options["validation_data"] = (x[:20], y[:20])
        of_each = [(x, y, {**own, "validation_data": (x[:20], y[:20])}) for _, _, own in of_each]
    elif held_out == "split":
        many_options["validation_split"] = 0.25
        of_each = [(x, y, {**own, "validation_split": 0.25}) for _, _, own in of_each]
    elif held_out == "rows":
        folds = np.arange(SAMPLES) % len(nets)
        many_options["rows"] = [(np.flatnonzero(folds != fold), folds == fold) for fold in range(len(nets))]
        for fold, (_, _, own) in enumerate(of_each):
            train, test = folds != fold, folds == fold
            own["sample_weight"] = None if weights is None else weights[train]
            own["validation_data"] = (x[test], y[test], *(() if weights is None else (weights[test],)))
            of_each[fold] = x[train], y[train], own
    monitor = "loss" if held_out == "none" else "val_loss"
    watching = None if patience is None else dk.EarlyStopping(monitor, patience=patience, min_delta=0.01)
    many = dk.fit_many(nets, x, y, sample_weight=weights, early_stopping=watching, **many_options)
    for number, (twin, (own_x, own_y, own)) in enumerate(zip(twins, of_each, strict=True)):
        callbacks = [] if patience is None else [dk.EarlyStopping(monitor, patience=patience, min_delta=0.01)]
        history = twin.fit(own_x, own_y, callbacks=callbacks, **own)
        assert everything(nets[number]) == everything(twin)
        assert measured(many.histories[number]) == measured(history)
        stopped = bool(callbacks) and callbacks[0].stopped_epoch is not None
        assert many.stopped[number] == ("early stopping" if stopped else history.ended or "epochs")
    before = [everything(net) for net in nets]
    dk.fit_many(nets, x, y, sample_weight=weights, **{**many_options, "epochs": 1})  # continues as fit does
    for twin, (own_x, own_y, own) in zip(twins, of_each, strict=True):
        twin.fit(own_x, own_y, **{**own, "epochs": 1})
    assert [everything(net) for net in nets] == [everything(twin) for twin in twins] != before


def test_shared_orders_are_those_of_a_seed(backend: Backend) -> None:
    x, y = data()
    nets, twins = [network(backend, seed) for seed in (3, 4)], [network(backend, seed) for seed in (3, 4)]
    dk.fit_many(nets, x, y, batch_size=BATCH, epochs=3, shuffle="shared", order_seed=4, verbose=0)
    for net, twin in zip(nets, twins, strict=True):
        for epoch in range(3):
            order = epoch_order(True, SAMPLES, SAMPLES, 4, epoch)
            twin.fit(x[order], y[order], batch_size=BATCH, shuffle=False, epochs=1, verbose=0)
        assert everything(net) == everything(twin)
    by_itself = network(backend, 4)
    by_itself.fit(x, y, batch_size=BATCH, epochs=3, verbose=0)
    assert everything(nets[1]) == everything(by_itself)


def test_folds_are_rows_of_data_loaded_once(backend: Backend) -> None:
    x, y = data()
    folds = [np.arange(SAMPLES) % 3 == fold for fold in range(3)]
    nets, twins = [network(backend, 1) for _ in folds], [network(backend, 1) for _ in folds]
    many = dk.fit_many(
        nets, x, y, rows=[(~fold, np.flatnonzero(fold)) for fold in folds], batch_size=BATCH, epochs=2, verbose=0
    )
    for net, twin, fold, history in zip(nets, twins, folds, many.histories, strict=True):
        held_out = x[fold], y[fold]
        own = twin.fit(x[~fold], y[~fold], validation_data=held_out, batch_size=BATCH, epochs=2, verbose=0)
        assert everything(net) == everything(twin)
        assert measured(history) == measured(own)


def test_an_optimizer_of_full_batches_is_one_of_many(backend: Backend) -> None:
    def sweep() -> list[dk.Sequential]:
        return [network(backend, 1, activation="tanh", optimizer=make) for make in (dk.LBFGS(), dk.Adam(0.01))]

    x, y = data()
    nets, twins, folds = sweep(), sweep(), [np.arange(SAMPLES) % 2 == fold for fold in range(2)]
    dk.fit_many(nets, x, y, rows=[(fold, ~fold) for fold in folds], epochs=5, verbose=0)
    for net, twin, fold in zip(nets, twins, folds, strict=True):
        twin.fit(x[fold], y[fold], validation_data=(x[~fold], y[~fold]), epochs=5, verbose=0)
        assert everything(net) == everything(twin)


class Watch:
    """Records its calls, and does something after an epoch."""

    def __init__(self, epoch: int = -1, act=lambda many: None) -> None:
        self.heard: list[int] = []
        self._epoch, self._act = epoch, act

    def on_epoch_end(self, epoch, many):
        self.heard.append(epoch)
        assert all(len(many.histories[number].epoch) == epoch + 1 for number in many.running)
        if epoch == self._epoch:
            self._act(many)


def test_a_callback_ends_one_and_the_others_continue(backend: Backend) -> None:
    nets, twins = [network(backend, seed) for seed in range(3)], [network(backend, seed) for seed in range(3)]
    watch = Watch(1, lambda many: many.stop(1, "halving"))
    many = dk.fit_many(nets, *data(), batch_size=BATCH, epochs=4, callbacks=watch, verbose=0)
    assert watch.heard == [0, 1, 2, 3]
    assert many.stopped == ["epochs", "halving", "epochs"]
    for net, twin, epochs in zip(nets, twins, [4, 2, 4], strict=True):
        twin.fit(*data(), batch_size=BATCH, epochs=epochs, verbose=0)
        assert everything(net) == everything(twin)
    assert "2 epochs, 1 halving" in repr(many)
    with pytest.raises(ConfigurationError, match="not being trained"):
        many.stop(0)


def test_one_whose_loss_is_nan_leaves_alone(backend: Backend) -> None:
    nets = [
        network(backend, seed, **REGRESSION, optimizer=dk.SGD(rate)) for seed, rate in enumerate([0.01, 1e30, 0.01])
    ]
    twin = network(backend, 2, **REGRESSION, optimizer=dk.SGD(0.01))
    with pytest.warns(TrainingWarning, match=r"networks\[1\]"):
        many = dk.fit_many(nets, *data(), batch_size=BATCH, epochs=5, verbose=0)
    twin.fit(*data(), batch_size=BATCH, epochs=5, verbose=0)
    assert many.stopped[0] == many.stopped[2] == "epochs"
    assert "loss is NaN in step" in many.stopped[1]
    assert len(many.histories[1].epoch) < 5
    assert everything(nets[2]) == everything(twin)


def press(many: dk.ManyHistory) -> None:
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_keeps_the_results_and_resume_continues(backend: Backend, tmp_path: Path, caplog: Any) -> None:
    def sweep() -> list[dk.Sequential]:
        return [network(backend, seed, dropout=0.2 * (seed % 2)) for seed in range(4)]

    options: dict[str, Any] = {"batch_size": BATCH, "epochs": 6, "validation_split": 0.2, "verbose": 0}
    options["early_stopping"] = {"patience": 1, "monitor": "val_accuracy"}
    whole, stopped, later = sweep(), sweep(), sweep()
    expected = dk.fit_many(whole, *data(), **options)
    watch = Watch(1, press)
    with pytest.raises(KeyboardInterrupt):
        dk.fit_many(stopped, *data(), checkpoint=tmp_path, callbacks=[watch], **options)
    assert all(net.executable.state.epoch >= 2 for net in stopped)
    with pytest.raises(CheckpointError, match="resume=True"):
        dk.fit_many(sweep(), *data(), checkpoint=tmp_path, **options)
    many = dk.fit_many(later, *data(), checkpoint=tmp_path, resume=True, **options)
    assert [everything(net) for net in later] == [everything(net) for net in whole]
    assert many.stopped == expected.stopped
    assert list(map(measured, many.histories)) == list(map(measured, expected.histories))
    again = dk.fit_many(sweep(), *data(), checkpoint=tmp_path, resume=True, **options)  # which has nothing to do
    assert again.stopped == expected.stopped
    assert list(map(measured, again.histories)) == list(map(measured, expected.histories))
    nets = [network(backend, seed) for seed in range(9, 13)]
    with pytest.raises(CheckpointError, match=r"networks\[0\].*seed is 0 there, 9 here"):
        dk.fit_many(nets, *data(), checkpoint=tmp_path, resume=True, **options)
    with pytest.raises(CheckpointError, match="checkpoints of 4 networks, but 2"):
        dk.fit_many(sweep()[:2], *data(), checkpoint=tmp_path, resume=True, **options)


def test_an_error_names_the_network() -> None:
    x, y = data()

    def new(seed: int = 0, **differs: Any) -> dk.Sequential:
        return network("numpy", seed, **differs)  # type: ignore[arg-type]

    def refused(kind: type[DnnkitError], words: str, nets: Any, **options: Any) -> None:
        with pytest.raises(kind, match=words):
            dk.fit_many(nets, x, y, verbose=0, **options)

    one, other = new(), new(1)
    small, bare = new(2), dk.Sequential([dk.Dense(3)])
    small.build(4)
    features = dk.Dense(4)
    shared = [dk.Model(i := dk.Input((7,)), dk.Dense(3, activation="softmax")(features(i))) for _ in range(2)]
    for each in shared:
        each.compile("sgd", "sparse_categorical_crossentropy")
    elsewhere = dk.Sequential([dk.Input((7,)), dk.Dense(3, activation="softmax")], backend="numba")
    elsewhere.compile("sgd", "sparse_categorical_crossentropy")
    refused(ConfigurationError, "expected a list", one)
    refused(ConfigurationError, "at least one", [])
    refused(ConfigurationError, r"networks\[1\] is 'net': expected a dk.Sequential", [one, "net"])
    refused(ConfigurationError, r"networks\[2\] is the same network as networks\[0\]", [one, other, one])
    refused(NotReady, r"networks\[1\]: .*compile", [one, bare])
    refused(ShapeError, r"networks\[1\]: x has shape", [one, small])
    refused(ConfigurationError, r"networks\[1\] shares the layer .* with networks\[0\]", shared)
    refused(DataError, r"rows\[1\]\[0\], of networks\[1\], has row 53", [one, other], rows=[None, ([0, 53], None)])
    refused(DataError, r"rows\[0\]\[1\].*shape", [one, other], rows=[([0], [[1]]), None])
    refused(ConfigurationError, "1 entries for 2", [one, other], rows=[([0], [1])])
    refused(ConfigurationError, "give one", [one], rows=[([0], [1])], validation_split=0.5)
    refused(ConfigurationError, "callbacks has", [one], callbacks=[dk.TerminateOnNaN()])
    refused(ConfigurationError, "early_stopping", [one], early_stopping="soon")
    refused(ConfigurationError, "early_stopping", [one], early_stopping={"patients": 2})
    refused(ConfigurationError, "num_workers", [one], num_workers=0)
    refused(ConfigurationError, "resume=True", [one], resume=True)
    refused(ConfigurationError, "order_seed", [one], order_seed=1)
    refused(ConfigurationError, "between epochs", [one], checkpoint="run", checkpoint_every="5 steps")
    with pytest.raises(ConcurrentUse, match=r"networks\[0\]"), one.turns.fitting():
        dk.fit_many([one], x, y)
    assert not one.turns._fitting
    if "numba" in conftest.tested_backends():
        refused(BackendUnavailable, r"networks\[2\] runs on 'numba', networks\[0\] on 'numpy'", [one, other, elsewhere])


def test_lines_say_how_all_stand(capsys: Any) -> None:
    nets = [network("numpy", seed) for seed in range(2)]  # type: ignore[arg-type]
    many = dk.fit_many(nets, *data(), batch_size=BATCH, epochs=2, validation_split=0.2)
    said = capsys.readouterr().out
    assert said.startswith("2 networks - 4 epochs - ")
    assert " - best val_loss " in said
    assert many.values("val_loss") == [history["val_loss"][-1] for history in many.histories]
    assert np.isnan(many.values("recall")).all()
