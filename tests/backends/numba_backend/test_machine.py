"""Partitions follow from facts: every process on a machine partitions alike, whatever else runs."""

import json
import os
import sys
from pathlib import Path

import pytest

from dnnkit.backends.numba_backend import machine as machines
from dnnkit.backends.numba_backend.machine import TOGETHER, machine
from tests import processes
from tests.backends.numba_backend.machines import usual
from tests.backends.numba_backend.partitions import busy

ROOT = Path(__file__).parents[3]
CHOICES = """
import json
from tests.backends.numba_backend.test_cost_model import choose, program

chosen = {}
for widths in [(2,), (10,), (16, 2), (128, 10), (512, 10), (64, 64, 64, 3), (512, 512, 10), (1024, 300, 7, 100)]:
    for features in (1, 20, 784):
        for threads in (1, 2, 3, 4, 8):
            network = program(*widths, features=features, threads=threads, optimizer="adam")
            for rows in (1, 16, 100, 128, 1024):
                chosen[f"{features} {widths} {threads} {rows}"] = str(choose(network, rows))
print(json.dumps(chosen))
"""
"""Prints the partition of 600 trainings, for a given number of processors."""


def choices(cache: Path) -> dict[str, str]:
    """Return the choice of another process, which finds no cache."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHOICES]
    result = processes.run(command, cwd=ROOT, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_processes_choose_the_same_partitions_under_any_load(tmp_path: Path) -> None:
    quiet = choices(tmp_path / "quiet")
    with busy(4):
        assert choices(tmp_path / "busy") == quiet
    assert len(quiet) == 600
    if machine().cores > 1:
        assert {partition.partition("/")[0] for partition in quiet.values()} == {"units", "rows"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be given up here")
def test_the_machine_is_the_same_to_a_process_that_may_use_less() -> None:
    """Only the number of threads depends on it."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.__wrapped__() == machine()
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0\n", 1), ("0-1\n", 2), ("0,64\n", 2), ("0-3,64-67\n", 8), ("", 1), ("all of them", 1), ("0-", 1)],
)
def test_shared_caches_are_read_from_the_system(
    text: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "SYSTEM", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    unknown = machine.__wrapped__()
    assert (unknown.cores, unknown.exchange, unknown.crossing) == (8, *machines.FAR)
    for name in (machines.SHARE_A_CORE, machines.SHARE_A_CACHE):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
        assert machines.sharing(name) == count
    here = machine.__wrapped__()
    assert here.cores == 8 // count
    assert (here.exchange, here.crossing) == (machines.NEAR if count == 8 else machines.FAR)


def test_workers_share_the_multipliers_of_a_core() -> None:
    here = usual(flops=1e10, cores=4)
    each = [here.flops_of_each(workers) for workers in (1, 2, 4, 5, 8)]
    assert each == pytest.approx([1e10, *(TOGETHER * share for share in (1e10, 1e10, 8e9, 5e9))])
