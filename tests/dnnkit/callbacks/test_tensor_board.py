"""TensorBoard: what its own package reads from the files."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.callbacks import LambdaCallback, LearningRateScheduler, TensorBoard
from dnnkit.errors import CheckpointError, ConfigurationError

DATA = np.random.default_rng(1).normal(size=(20, 3))
LABELS = (DATA[:, 0] > 0).astype(int)


def network(rate: Any = 0.1) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(4, activation="tanh"), dk.Dense(2, activation="softmax")], seed=0)
    net.compile(dk.SGD(rate), "sparse_categorical_crossentropy", ["accuracy"])
    return net


def fit(net: dk.Sequential, *callbacks: dk.Callback, **options: Any) -> dk.History:
    options = {"batch_size": 5, "epochs": 3, "validation_data": (DATA, LABELS), "verbose": 0, **options}
    return net.fit(DATA, LABELS, callbacks=callbacks, **options)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the step and the value of every scalar, by its name, as the real package reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def by_epoch(values: list[float]) -> list[tuple[int, float]]:
    return [(epoch, float(np.float32(value))) for epoch, value in enumerate(values)]


real = pytest.mark.extras


@real
def test_the_package_reads_the_numbers_of_the_history(backend, tmp_path):
    history = fit(network(), TensorBoard(tmp_path))
    assert scalars(tmp_path / "train") == {
        "epoch_loss": by_epoch(history["loss"]),
        "epoch_accuracy": by_epoch(history["accuracy"]),
        "epoch_learning_rate": by_epoch([0.1] * 3),
    }
    validation = scalars(tmp_path / "validation")
    assert validation["epoch_loss"] == by_epoch(history["val_loss"])
    assert validation["epoch_accuracy"] == by_epoch(history["val_accuracy"])
    by_update = [(4 * epoch, value) for epoch, (_, value) in enumerate(validation["epoch_loss"], 1)]
    assert validation["evaluation_loss_vs_iterations"] == by_update
    assert set(validation) == {f"epoch_{name}" for name in ("loss", "accuracy")} | {
        f"evaluation_{name}_vs_iterations" for name in ("loss", "accuracy")
    }


@real
@pytest.mark.parametrize(("update_freq", "steps"), [("batch", [1, 2, 3, 4, 5, 6, 7, 8]), (3, [3, 6])])
def test_batches_may_be_written(update_freq, steps, tmp_path):
    fit(network(), TensorBoard(tmp_path, update_freq=update_freq), epochs=2)
    found = scalars(tmp_path / "train")
    assert [step for step, _ in found["batch_loss"]] == [step for step, _ in found["batch_accuracy"]] == steps


@real
def test_the_rate_is_that_of_the_epochs_last_update(tmp_path):
    schedule = dk.schedules.ExponentialDecay(0.1, 4, 0.5)
    fit(network(schedule), TensorBoard(tmp_path / "own"))
    assert scalars(tmp_path / "own/train")["epoch_learning_rate"] == by_epoch([schedule(step) for step in (3, 7, 11)])
    fit(network(), LearningRateScheduler(lambda epoch: 0.5**epoch), TensorBoard(tmp_path / "set"))
    assert scalars(tmp_path / "set/train")["epoch_learning_rate"] == by_epoch([1.0, 0.5, 0.25])


@real
def test_histograms_of_the_parameters(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    net = network()
    fit(net, TensorBoard(tmp_path, histogram_freq=2), epochs=3)
    events = EventAccumulator(str(tmp_path / "train")).Reload()
    assert events.Tags()["tensors"] == list(net.parameters)
    for name, values in net.parameters.items():
        (event,) = events.Tensors(name)
        assert event.step == 1
        assert make_ndarray(event.tensor_proto)[:, 2].sum() == values.size


@real
def test_an_evaluation_alone_is_written(tmp_path):
    net = network()
    fit(net, epochs=1)
    result = net.evaluate(DATA, LABELS, callbacks=TensorBoard(tmp_path))
    assert scalars(tmp_path / "validation")["evaluation_loss_vs_iterations"] == [(4, float(np.float32(result["loss"])))]


@real
def test_a_resumed_fit_leaves_the_files_of_an_uninterrupted_one(tmp_path):
    def stop(step: int) -> dk.Callback:
        def end(batch: int, logs: Any) -> None:
            if watcher.model.executable.state.step == step:
                raise RuntimeError("out of luck")

        watcher = LambdaCallback(on_train_batch_end=end)
        return watcher

    found = []
    for name, steps in (("whole", ()), ("cut", (2, 6, 11))):
        place = tmp_path / name
        for step in steps:
            with pytest.raises(RuntimeError, match="out of luck"):
                fit(
                    network(),
                    TensorBoard(place / "logs", update_freq=2),
                    stop(step),
                    checkpoint=place / "run",
                    checkpoint_every="3 steps",
                )
        fit(network(), TensorBoard(place / "logs", update_freq=2), checkpoint=place / "run")
        found.append([scalars(place / "logs" / part) for part in ("train", "validation")])
        assert len(list((place / "logs/train").iterdir())) == 1
    assert found[0] == found[1]


@real
def test_a_path_that_cannot_be_written_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("in its place")
    net = network()
    with pytest.raises(CheckpointError, match=r"cannot write to .*file/logs"):
        fit(net, TensorBoard(tmp_path / "file" / "logs"))
    assert net.executable.state.step == 0


@real
def test_training_continues_when_writing_fails(tmp_path, caplog):
    def in_its_place(epoch: int, logs: Any) -> None:
        if epoch == 1:
            (tmp_path / "train").rename(tmp_path / "elsewhere")
            (tmp_path / "train").write_text("in its place")

    assert fit(network(), LambdaCallback(on_epoch_begin=in_its_place), TensorBoard(tmp_path)).epoch == [0, 1, 2]
    assert "TensorBoard cannot write to" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update_freq": "often"}, "update_freq is 'often': expected 'epoch', 'batch' or a number"),
        ({"update_freq": 0}, "update_freq is 0"),
        ({"histogram_freq": -1}, "histogram_freq is -1"),
        ({"log_dir": 3}, "path is 3"),
    ],
)
def test_invalid_settings_are_rejected(options, message):
    with pytest.raises(ConfigurationError, match=message):
        TensorBoard(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"write_graph": True}, r"no argument 'write_graph': net.summary\(\) and"),
        ({"histogram_frequency": 0}, "no argument 'histogram_frequency': did you mean 'histogram_freq'"),
    ],
)
def test_unsupported_options_are_rejected(options, message):
    with pytest.raises(TypeError, match=message):
        TensorBoard(**options)


@real
def test_disabled_options_are_accepted(tmp_path):
    fit(network(), TensorBoard(tmp_path, write_graph=False, write_images=False, profile_batch=0))
    assert "epoch_loss" in scalars(tmp_path / "train")


def test_without_the_package_one_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConfigurationError, match=r"the package tensorboard.*pip install tensorboard"):
        TensorBoard()
    with pytest.raises(ConfigurationError, match=r"the package tensorboard.*pip install tensorboard"):
        fit(network(), "TensorBoard")
