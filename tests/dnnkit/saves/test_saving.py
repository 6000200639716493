"""Saves: whole at every moment, exact, without pickle, and clear about damage."""

import errno
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from safetensors.numpy import load_file

import dnnkit as dk
from dnnkit import files
from dnnkit.backends import Backend
from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.saves import saving
from tests.backends.networks import CASES, data, may_be_flat
from tests.threads import together

MANIFEST = "manifest.json"
FILES = {"architecture.json", "weights.safetensors", "optimizer.safetensors", "state.json", "history.json"}


def trained(name: str, backend: Backend | str = "numpy", dtype: str = "float32") -> dk.Sequential:
    x, labels = data()
    net = CASES[name].network(backend, dtype)
    net.fit(x, CASES[name].targets(labels), epochs=2, batch_size=20, verbose=0)
    return net


def saved(net: dk.Sequential, folder: Path) -> Path:
    net.save(folder)
    return folder


def version(folder: Path) -> Path:
    return folder / "versions" / json.loads((folder / "manifest.json").read_text())["version"]


@may_be_flat
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_a_loaded_network_predicts_and_trains_on_bit_for_bit(
    backend: Backend, name: str, dtype: str, tmp_path: Path
) -> None:
    x, labels = data()
    net = trained(name, backend, dtype)
    net.save(tmp_path / "run")
    loaded = dk.load(tmp_path / "run", backend=backend.name)
    np.testing.assert_array_equal(loaded.predict(x), net.predict(x))
    for each in (net, loaded):
        each.fit(x, CASES[name].targets(labels), epochs=2, batch_size=20, verbose=0)
    for parameter, value in net.parameters.items():
        np.testing.assert_array_equal(value, loaded.parameters[parameter])
    assert loaded.history["loss"] == net.history["loss"]
    assert len(loaded.history["loss"]) == 4
    assert loaded.seed == net.seed
    assert loaded.optimizer == net.optimizer


def test_a_loaded_network_finishes_an_epoch_that_was_interrupted(tmp_path: Path) -> None:
    name = next(iter(CASES))
    x, labels = data()
    y = CASES[name].targets(labels)
    net, whole = CASES[name].network("numpy"), CASES[name].network("numpy")

    class Interrupt(dk.Callback):
        def on_batch_end(self, batch, logs):
            if batch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, batch_size=10, callbacks=[Interrupt()], verbose=0)
    net.save(tmp_path)
    loaded = dk.load(tmp_path, backend="numpy")
    loaded.fit(x, y, batch_size=10, verbose=0)
    whole.fit(x, y, batch_size=10, verbose=0)
    for parameter, value in whole.parameters.items():
        np.testing.assert_array_equal(value, loaded.parameters[parameter])


def test_other_programs_can_read_the_files(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path)
    place = version(tmp_path)
    assert {file.name for file in place.iterdir()} == FILES
    np.testing.assert_equal(load_file(place / "weights.safetensors"), dict(net.parameters))
    assert set(load_file(place / "optimizer.safetensors")) == {
        f"{slot}/{name}" for slot in ("first_moment", "second_moment") for name in net.parameters
    }
    state = json.loads((place / "state.json").read_text())
    assert (state["step"], state["epoch"], state["position"]) == (10, 2, 0)
    assert state["plan"]["backend"] == "numpy"
    assert json.loads((place / "history.json").read_text())["history"]["loss"] == net.history["loss"]


def test_a_network_that_was_never_compiled(tmp_path: Path) -> None:
    net = dk.Sequential([dk.Dense(3, activation="gelu")], seed=4)
    net.build(2)
    net.save(tmp_path)
    x = np.ones((1, 2))
    np.testing.assert_array_equal(dk.load(tmp_path).predict(x), net.predict(x))


def test_a_new_save_replaces_the_old_one(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path)
    first = version(tmp_path)
    net.parameters["dense/bias"] = np.full(12, 7.0)
    net.save(tmp_path)
    assert not first.exists()
    assert dk.load(tmp_path).parameters["dense/bias"][0] == 7


def test_a_writer_that_dies_at_any_point_leaves_a_whole_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path)
    kept = net.parameters["dense/bias"]
    net.parameters["dense/bias"] = kept + 1
    flush = files._flush
    for last in range(len(FILES) + 1):  # the manifest is the last one written
        written: list[BinaryIO] = []

        def dying(file: BinaryIO, last: int = last, written: list[BinaryIO] = written) -> None:
            if len(written) == last:
                file.truncate(file.tell() // 2)
                raise KeyboardInterrupt
            written.append(file)
            flush(file)

        with monkeypatch.context() as patch:
            patch.setattr(files, "_flush", dying)
            with pytest.raises(KeyboardInterrupt):
                net.save(tmp_path)
        assert len(written) == last
        np.testing.assert_array_equal(dk.load(tmp_path).parameters["dense/bias"], kept)
    net.save(tmp_path)
    np.testing.assert_array_equal(dk.load(tmp_path).parameters["dense/bias"], kept + 1)
    assert [entry.name for entry in (tmp_path / "versions").iterdir()] == [version(tmp_path).name]


@pytest.mark.parametrize("existed", [True, False])
def test_a_save_that_fails_leaves_nothing_behind(
    existed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: on a full disk, each attempt left a version and made the disk fuller."""
    net, folder = trained(next(iter(CASES))), tmp_path / "run"
    if existed:
        net.save(folder)
    before = sorted(tmp_path.rglob("*"))

    def full(file: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files, "_flush", full)
        with pytest.raises(CheckpointError, match="No space left"):
            net.save(folder)
    assert sorted(tmp_path.rglob("*")) == before
    net.save(folder)
    assert dk.load(folder).executable.state == net.executable.state


def test_an_interrupt_after_the_manifest_leaves_the_new_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path)
    net.parameters["dense/bias"] = np.full(12, 7.0)
    sync = files.sync_folder

    def interrupted(folder: Path) -> None:
        sync(folder)
        if folder == tmp_path:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            net.save(tmp_path)
    assert dk.load(tmp_path).parameters["dense/bias"][0] == 7
    net.save(tmp_path)
    assert [entry.name for entry in (tmp_path / "versions").iterdir()] == [version(tmp_path).name]


@pytest.mark.parametrize(
    "foreign",
    [
        "versions/20240115/data",
        "versions/240115/data",
        "versions/1.0.2/notes",
        "versions/notes",
        "versions",
        "manifest.json",
    ],
)
def test_files_of_others_are_not_touched(foreign: str, tmp_path: Path) -> None:
    """F4: folders named by six or more digits were removed, and another program's manifest was overwritten."""
    net, folder = trained(next(iter(CASES))), tmp_path / "run"
    path = folder / foreign
    path.parent.mkdir(parents=True)
    path.write_text("not ours")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="was not written by dnnkit"):
            net.save(folder)
        assert path.read_text() == "not ours"
    assert dk.load(saved(net, tmp_path / "other")).seed == net.seed


def test_links_and_files_next_to_a_save_stay(tmp_path: Path) -> None:
    net, folder, elsewhere = trained(next(iter(CASES))), tmp_path / "run", tmp_path / "elsewhere" / "000001"
    elsewhere.mkdir(parents=True)
    (elsewhere / "architecture.json").write_text("somebody's")
    folder.mkdir()
    (folder / "curves.png").write_text("a picture")
    (folder / "versions").symlink_to(elsewhere.parent, target_is_directory=True)
    with pytest.raises(CheckpointError, match="was not written by dnnkit"):
        net.save(folder)
    (folder / "versions").unlink()
    net.save(folder)
    net.save(folder)
    assert (elsewhere / "architecture.json").read_text() == "somebody's"
    assert (folder / "curves.png").read_text() == "a picture"


def test_files_left_by_killed_writers_are_removed(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path)
    (tmp_path / "versions" / "000002").mkdir()
    (tmp_path / "versions" / "000002" / "architecture.json").write_text("{")
    (tmp_path / ".manifest.json-123-456.part").write_text("{")
    net.save(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} - {".lock"} == {"manifest.json", "versions"}
    assert [entry.name for entry in (tmp_path / "versions").iterdir()] == ["000003"]


def test_a_damaged_save_can_be_replaced(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    net.save(tmp_path)
    assert dk.load(tmp_path).seed == net.seed


def test_weights_that_many_threads_write_to_one_file_are_whole(tmp_path: Path) -> None:
    """F17."""
    net, path = trained(next(iter(CASES))), tmp_path / "weights.safetensors"

    def write() -> None:
        for _ in range(20):
            net.save_weights(path)
            load_file(path)

    assert together(write, write, write, write) == []
    assert os.listdir(tmp_path) == [path.name]


def test_concurrent_readers_always_find_a_whole_save(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path)
    stop, failures = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                bias = dk.load(tmp_path).parameters["dense/bias"]
                assert len(set(bias.tolist())) == 1 or not stop.is_set()
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(30):
        net.parameters["dense/bias"] = np.full(12, float(number))
        net.save(tmp_path)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_named(tmp_path: Path, name: str, damage: str) -> None:
    trained(next(iter(CASES))).save(tmp_path)
    file = version(tmp_path) / name
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content if damage == "flip" else content[:-3])
    with pytest.raises(CheckpointError, match=f"is damaged: .*{name}"):
        dk.load(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "../../x", "files": {}}', '{"version": "1"}'])
def test_a_damaged_manifest(tmp_path: Path, content: str) -> None:
    trained(next(iter(CASES))).save(tmp_path)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match="damaged"):
        dk.load(tmp_path)


def test_folders_that_are_not_saves(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(CheckpointError, match="is not a save"):
            dk.load(path)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        net.save(tmp_path / "file" / "run")
    with pytest.raises(CheckpointError, match="cannot write"):
        net.save_weights(tmp_path / "file" / "w.safetensors")
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(CheckpointError, match="cannot write"):
            net.save(tmp_path / "locked")


def test_weights_alone(tmp_path: Path) -> None:
    name = next(iter(CASES))
    net, other = trained(name), CASES[name].network("numpy", "float32", seed=99)
    other.build((4, 4))
    net.save_weights(tmp_path / "deep" / "w.safetensors")
    other.load_weights(tmp_path / "deep" / "w.safetensors")
    np.testing.assert_equal(dict(other.parameters), dict(net.parameters))
    net.parameters["dense/bias"] = np.ones(12)
    net.save(tmp_path / "run")
    other.load_weights(tmp_path / "run")
    np.testing.assert_equal(dict(other.parameters), dict(net.parameters))


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    net.save_weights(tmp_path / "w.safetensors")
    other = dk.Sequential([dk.Dense(3)], seed=0)
    other.build(2)
    before = other.parameters["dense/kernel"]
    with pytest.raises(CheckpointError, match="do not fit"):
        other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other.parameters["dense/kernel"], before)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        other.load_weights(tmp_path / "text")
    with pytest.raises(CheckpointError, match="cannot read"):
        other.load_weights(tmp_path / "missing")


@dataclass(frozen=True)
class Factor(dk.Layer):
    """y = s x with one trained number."""

    first: float = 1.0

    def parameters(self, input_shape):
        return {"scale": ((1,), dk.initializers.Constant(self.first))}

    def forward(self, xp, x, scale):
        return x * scale, x

    def backward(self, xp, dy, x, scale):
        return dy * scale, xp.reshape(xp.sum(x * dy), (1,))


@dataclass(frozen=True)
class AbsoluteError(dk.losses.Loss):
    """Mean over rows of the summed distance."""

    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        difference = predictions - targets
        rows = xp.sum(xp.abs(difference), axis=1)
        gradient = xp.sign(difference) * scale
        if weights is not None:
            rows, gradient = rows * weights, gradient * weights[:, None]
        return xp.sum(rows, dtype=xp.float64), gradient


def largest(y_true, y_pred):
    return np.max(np.abs(y_pred - y_true), axis=1)


def test_your_own_layer_loss_and_metric(backend: Backend, tmp_path: Path) -> None:
    """They train on every backend, History says that they are not compiled, and a save holds only their names."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = x @ np.array([[1.0], [2.0], [-1.0]])
    net = dk.Sequential([Factor(0.5), dk.Dense(1)], seed=0, backend=backend, dtype="float64")
    net.compile(optimizer=dk.Adam(0.05), loss=AbsoluteError(), metrics=[largest])
    history = net.fit(x, y, epochs=60, verbose=0)
    assert history["loss"][-1] < history["loss"][0] / 4
    assert history["largest"][-1] < history["largest"][0]
    said = history.plan.reason or history.plan.details["called in Python"]
    assert "layer Factor, loss AbsoluteError, metric largest" in said
    result = dk.check_gradients(net, x, y)
    assert result.errors["factor/scale"] < 1e-6
    net.save(tmp_path)
    with pytest.raises(CheckpointError, match=r"'Factor'.*custom_objects"):
        dk.load(tmp_path)
    known = {"Factor": Factor, "AbsoluteError": AbsoluteError, "largest": largest}
    loaded = dk.load(tmp_path, backend=backend.name, custom_objects=known)
    np.testing.assert_array_equal(loaded.predict(x), net.predict(x))
    assert loaded.evaluate(x, y) == net.evaluate(x, y)


def test_parts_that_cannot_be_saved_are_named(tmp_path: Path) -> None:
    class Plain(dk.schedules.Schedule):
        def __call__(self, step):
            return 0.1

    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile(optimizer=dk.SGD(Plain()), loss="mean_squared_error")
    net.build(2)
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        net.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_save_can_be_moved(tmp_path: Path) -> None:
    net = trained(next(iter(CASES)))
    net.save(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    np.testing.assert_equal(dict(dk.load(tmp_path / "b").parameters), dict(net.parameters))


def test_a_save_of_a_later_format_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained(next(iter(CASES)))
    with monkeypatch.context() as patch:
        patch.setattr(saving, "FORMAT", 99)
        net.save(tmp_path)
    with pytest.raises(CheckpointError, match="format 99"):
        dk.load(tmp_path)
