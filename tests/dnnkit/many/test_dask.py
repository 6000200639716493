"""Networks trained on the workers of a Dask cluster, some of which are killed."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import joblib
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError, WorkersLost
from dnnkit.many.executors import DaskExecutor, make_executor
from tests.dnnkit.many.faults import dies, ends, harmful
from tests.dnnkit.many.sweeps import data
from tests.dnnkit.many.test_executors import OPTIONS, STOPPING, Watch, outcome, sweep, trained_here
from tests.processes import Process, started

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore::dnnkit.errors.TrainingWarning"),  # about the network whose loss becomes NaN
]


@contextmanager
def processes(workers: int) -> Iterator[Any]:
    """A client of a cluster with this number of processes on this machine, all of which end afterwards."""
    distributed = pytest.importorskip("distributed")
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=workers, **options) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client
        pids = client.run(os.getpid).values()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


class See(Watch):
    """Also records which of our data the workers hold."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.held: list[set[str]] = []
        self.look = lambda: {key for key in client.who_has() if key.startswith("Shared")}

    def on_epoch_end(self, epoch: int, many: dk.ManyHistory) -> None:
        super().on_epoch_end(epoch, many)
        self.held.append(self.look())


@pytest.mark.parametrize(("workers", "killed"), [(2, 3), (4, 1)])
def test_networks_are_the_same_whichever_worker_is_killed(
    workers: int, killed: int, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("dnnkit.many.elsewhere.STRETCH", 0.05)
    with processes(workers) as client:
        watch, see = Watch(), See(client)
        expected, nets = trained_here(callbacks=watch), sweep()
        assert outcome(nets, dk.fit_many(nets, *data(), **OPTIONS, executor=client, callbacks=see)) == expected
        assert see.heard == watch.heard
        assert len({name for held in see.held for name in held}) == 1  # the data were sent once
        while see.look():  # and are forgotten; the scheduler takes a moment for that
            sleep(0.05)
        with joblib.parallel_config("dask", client=client):
            assert isinstance(make_executor("joblib"), DaskExecutor)
        metric = harmful([tmp_path / f"{number}" for number in range(killed)], dies)
        expected, nets = trained_here(metric, **STOPPING), sweep(metric)
        assert outcome(nets, dk.fit_many(nets, *data(), **OPTIONS, **STOPPING, executor=client)) == expected
        assert not [each for each in client.futures.values() if each.status == "pending"]
    assert not list(tmp_path.iterdir())


@contextmanager
def cluster(folder: Path, workers: int = 1) -> Iterator[tuple[Any, Process]]:
    """A client, and the process of the scheduler, which has workers in separate processes."""
    distributed = pytest.importorskip("distributed")
    file, command = folder / "scheduler.json", [sys.executable, "-W", "ignore", "-m"]
    with ExitStack() as stack:
        address = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
        scheduler = stack.enter_context(started([*command, "distributed.cli.dask_scheduler", *address]))
        for _ in range(workers):
            own = ["--scheduler-file", file, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
            stack.enter_context(started([*command, "distributed.cli.dask_worker", *own, "--local-directory", folder]))
        client = stack.enter_context(distributed.Client(scheduler_file=str(file), set_as_default=False))
        client.wait_for_workers(workers, timeout=60)
        yield client, scheduler


def test_a_lost_scheduler_leaves_a_folder_to_resume_from(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("dnnkit.many.elsewhere.STRETCH", 0.05)
    monkeypatch.setattr("dnnkit.many.executors.dask_executor.RECONNECTION", 0.5)
    with cluster(tmp_path) as (client, scheduler):
        metric = harmful([tmp_path / "fuse"], ends(scheduler.pid, signal.SIGKILL), after=60)
        expected, nets = trained_here(metric, **STOPPING), sweep(metric)
        options: dict[str, Any] = {**OPTIONS, **STOPPING, "checkpoint": tmp_path / "sweep"}
        with pytest.raises(WorkersLost, match=r"scheduler .* does not answer") as error:
            dk.fit_many(nets, *data(), **options, executor=client)
        assert re.findall(r"checkpoint='(.*?)'", str(error.value)) == [str(tmp_path / "sweep")]
        with pytest.raises(WorkersLost, match="does not answer"):
            dk.fit_many(nets, *data(), **{**options, "checkpoint": None}, executor=client)
    later = sweep(metric)
    assert outcome(later, dk.fit_many(later, *data(), **options, resume=True)) == expected


def test_ctrl_c_keeps_whole_stretches(tmp_path: Path, monkeypatch: Any) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("dnnkit.many.elsewhere.STRETCH", 0.05)
    metric = harmful([tmp_path / "fuse"], ends(os.getpid(), signal.SIGINT), after=60)
    expected, nets, options = trained_here(metric), sweep(metric), {**OPTIONS, "checkpoint": tmp_path / "sweep"}
    with pytest.raises(KeyboardInterrupt):
        dk.fit_many(nets, *data(), **options, executor="dask", num_workers=2)  # a separate cluster
    with pytest.raises(ValueError, match="No clients found"):
        distributed.Client.current()
    later = sweep(metric)
    assert outcome(later, dk.fit_many(later, *data(), **options, resume=True)) == expected


def test_an_asynchronous_client_is_rejected() -> None:
    distributed = pytest.importorskip("distributed")

    async def ask() -> None:
        cluster = distributed.LocalCluster(processes=False, dashboard_address=":0", asynchronous=True)
        async with cluster, distributed.Client(cluster, asynchronous=True, set_as_default=False) as client:
            with pytest.raises(ConfigurationError, match="asynchronous"):
                dk.fit_many(sweep(), *data(), **OPTIONS, executor=client)

    asyncio.run(ask())
