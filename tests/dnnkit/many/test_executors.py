"""Networks trained in joblib's workers equal those trained here."""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy import sparse

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError, UnknownName, WorkersLost
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.many import executors
from dnnkit.many.elsewhere import Job, train_stretch
from dnnkit.many.executors import Executor, Shared, make_executor
from tests.dnnkit.many.faults import dies, harmful
from tests.dnnkit.many.sweeps import BATCH, data, everything, network, wide

OPTIONS: dict[str, Any] = {"batch_size": BATCH, "epochs": 7, "validation_split": 0.2, "verbose": 0}
STOPPING = {"early_stopping": {"patience": 2, "min_delta": 0.002, "restore_best_weights": True}}


def sweep(metric: Any = "mae", backend: Any = "numpy") -> list[dk.Sequential]:
    """Networks that differ in many ways; the loss of one becomes NaN."""
    slow, wild = {"optimizer": dk.SGD(1e-3)}, {"optimizer": dk.SGD(1e30), "units": 9}
    differs: list[dict[str, Any]] = [slow, {"dropout": 0.3}, wild, {"dtype": "float64"}]
    same: dict[str, Any] = {"loss": "mean_squared_error", "metrics": [metric]}
    return [network(backend, seed, **same, **each) for seed, each in enumerate(differs)]


def trained_here(metric: Any = "mae", backend: Any = "numpy", given: Any = None, **options: Any) -> tuple[Any, ...]:
    """The expected results."""
    nets = sweep(metric, backend)
    return outcome(nets, dk.fit_many(nets, *(given or data()), **OPTIONS, **options))


def outcome(nets: list[Any], many: dk.ManyHistory) -> tuple[Any, ...]:
    """Return everything that was learned and measured, as bits."""
    assert many.networks == nets
    learned = [{**everything(net), "history": told(net.history)} for net in nets]
    return learned, list(map(told, many.histories)), many.stopped


def told(history: dk.History) -> str:
    """Return everything that was measured, to the last bit, except for networks with NaN."""
    return repr((history.epoch, history.history, history.seed, history.ended))


# about the network whose loss becomes NaN
pytestmark = pytest.mark.filterwarnings("ignore::dnnkit.errors.TrainingWarning")


def test_processes_train_the_same_networks_though_one_is_killed(tmp_path: Path, caplog: Any) -> None:
    metric = harmful([tmp_path / "fuse"], dies)
    expected, nets = trained_here(metric, given=wide(), **STOPPING), sweep(metric)
    assert {"early stopping", "epochs"} < set(expected[2])
    many = dk.fit_many(nets, *wide(), **OPTIONS, **STOPPING, executor="loky", num_workers=2)
    assert outcome(nets, many) == expected
    assert not list(tmp_path.iterdir())
    assert "a worker process has ended" in caplog.text


class Watch:
    """Records its calls, and ends one network."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def on_epoch_end(self, epoch: int, many: dk.ManyHistory) -> None:
        self.heard.append(epoch)
        assert {len(many.histories[number].epoch) for number in many.running} == {epoch + 1}
        if epoch == 2:
            many.stop(1, "halving")


def test_callbacks_hear_of_all_networks_in_step(backend: Any) -> None:
    watches = Watch(), Watch()
    expected, nets = trained_here(backend=backend, callbacks=watches[0]), sweep(backend=backend)
    threads = joblib.Parallel(2, "threading")
    assert outcome(nets, dk.fit_many(nets, *data(), **OPTIONS, callbacks=watches[1], executor=threads)) == expected
    assert watches[0].heard == watches[1].heard == list(range(7))
    assert "halving" in expected[2]


def test_warnings_are_those_of_here_and_name_the_network(recwarn: Any) -> None:
    def said(**options: Any) -> list[str]:
        recwarn.clear()
        with pytest.warns(dk.errors.TrainingWarning):
            dk.fit_many(sweep(), *data(), **OPTIONS, **options)
        return sorted(str(each.message) for each in recwarn)

    assert said() == said(executor="threading")


class Failing(joblib.Parallel):  # type: ignore[misc]
    """Runs some calls, then none any more."""

    def __init__(self, calls: int) -> None:
        super().__init__(2, "threading")
        self.left = calls

    def __call__(self, work: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise BrokenProcessPool("A worker process was terminated")
        return super().__call__(work)


@pytest.mark.parametrize("is_named", [True, False])
def test_lost_workers_leave_a_folder_to_resume_from(is_named: bool, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("dnnkit.many.elsewhere.STRETCH", 0.0)  # one epoch
    expected, nets = trained_here(**STOPPING), sweep()
    checkpoint = {"checkpoint": tmp_path / "sweep"} if is_named else {}
    with pytest.raises(WorkersLost, match="4 times in a row") as error:
        dk.fit_many(nets, *data(), **OPTIONS, **STOPPING, **checkpoint, executor=Failing(3))
    (folder,) = re.findall(r"checkpoint='(.*?)'", str(error.value))
    assert Path(folder).parent == tmp_path
    assert [len(net.history.epoch) for net in nets] == [3, 3, 1, 3]
    later = sweep()
    many = dk.fit_many(later, *data(), **OPTIONS, **STOPPING, checkpoint=folder, resume=True)
    assert outcome(later, many) == expected


class Here(Executor):
    """A custom executor: it runs everything in this process, the last task first."""

    @classmethod
    def of(cls, given: Any, num_workers: int | None) -> Executor:
        return cls()

    @property
    def workers(self) -> int:
        return 1

    def open(self, shared: Shared) -> None:
        self.shared, self.work = shared, []

    def submit(self, number: int, function: Any, *arguments: Any) -> None:
        self.work.append((number, function, arguments))

    def completed(self) -> Iterator[tuple[int, Any]]:
        while self.work:
            number, function, arguments = self.work.pop()
            yield number, function(self.shared, *arguments)

    def close(self) -> None:
        self.work.clear()


CALLS = [0]


def interrupted(y_true: Any, y_pred: Any) -> Any:
    """A metric that presses Ctrl-C during one of its calls."""
    CALLS[0] += 1
    if CALLS[0] == 70:
        signal.raise_signal(signal.SIGINT)
    return np.abs(y_pred - y_true)


def test_ctrl_c_keeps_whole_stretches_and_resume_continues(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("dnnkit.many.elsewhere.STRETCH", 0.0)
    CALLS[0] = 0
    nets = sweep(interrupted)
    with pytest.raises(KeyboardInterrupt):
        dk.fit_many(nets, *data(), **OPTIONS, checkpoint=tmp_path, executor=Here())
    assert 0 < sum(len(net.history.epoch) for net in nets) < 22
    later, whole = sweep(interrupted), sweep(interrupted)
    many = dk.fit_many(later, *data(), **OPTIONS, checkpoint=tmp_path, resume=True, executor=Here())
    assert outcome(later, many) == outcome(whole, dk.fit_many(whole, *data(), **OPTIONS))


def test_it_is_found_by_name_and_reports_what_it_cannot_do(monkeypatch: Any) -> None:
    monkeypatch.setattr(executors.EXECUTORS, "_things", {**executors.EXECUTORS._things})
    dk.register("executor", "here", Here)
    assert isinstance(make_executor("here"), Here)
    threads = make_executor("threading", 3)
    assert threads.workers == 3
    with joblib.parallel_config("threading", n_jobs=2):
        assert make_executor("joblib").workers == 2
    with pytest.raises(UnknownName, match="did you mean 'joblib'"):
        make_executor("jobslib")
    with pytest.raises(ConfigurationError, match=r"expected one of .*joblib.*distributed\.Client"):
        make_executor(3)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dnnkit\[dask\]'"):
        make_executor("dask")


def refuses(y_true: Any, y_pred: Any) -> Any:
    """A metric that cannot be computed in another process."""
    if threading.current_thread() is not threading.main_thread():
        raise DataError("nothing to measure")
    return np.abs(y_pred - y_true)


def test_an_error_in_a_worker_names_the_network() -> None:
    with pytest.raises(DataError, match=r"networks\[\d\]: nothing to measure"):
        dk.fit_many(sweep(refuses), *data(), **OPTIONS, executor=joblib.Parallel(2, "threading"))
    with pytest.raises(ConfigurationError, match=r"a worker has dnnkit .*, this process 0\.0"):
        train_stretch(Shared(Job([], None, "0.0")), 0, None)  # type: ignore[arg-type]


def test_data_are_sent_to_processes_once_and_derived_data_kept() -> None:
    with make_executor("loky", 2) as executor:
        executor.open(Shared(CompressedRows.of(sparse.eye(1 << 14, format="csr"))))
        seen, files = {}, set()
        for _ in range(3):
            for number in range(4):
                executor.submit(number, look, number)
            for _, (pid, calls, file) in executor.completed():
                seen[pid] = max(calls, seen.get(pid, 0))
                files.add(file)
    assert sum(seen.values()) == 12
    assert len(files) == 1


def look(shared: Shared, number: int) -> tuple[int, int, Any]:
    """In a worker: return its process, its number of calls, and the file with its data."""
    shared.kept["calls"] = shared.kept.get("calls", 0) + 1
    return os.getpid(), shared.kept["calls"], shared.values.columns.filename
