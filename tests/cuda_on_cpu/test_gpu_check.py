"""The script that checks a GPU, on the stand-in: it finds what is right and what is wrong, and records it."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu_check import bandwidth, correctness, steps
from benchmarks.gpu_check.__main__ import main
from benchmarks.gpu_check.parts import PARTS
from dnnkit.backends import get_backend
from dnnkit.backends.base import Backend
from dnnkit.backends.cupy_backend.backend import CupyBackend
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import products
from dnnkit.kernels.optimizer_step.reference import RULES
from tests import processes
from tests.cuda_on_cpu.cupy_stand_in import cublas, namespace, raw
from tests.cuda_on_cpu.gpu_check_on_stand_in import COMMAND, FAULTS
from tests.kernels.conftest import checked_on_cpu

ROOT = Path(__file__).parents[2]
SMALL = ["--quick", "--megabytes", "0.01", "--samples", "160", "--epochs", "2"]


@pytest.fixture
def gpu() -> Iterator[ModuleType]:
    """With every access checked, as for the conformance tests, whose compiled kernels are reused."""
    with checked_on_cpu() as cupy:
        yield cupy


def parts(*names: str) -> list[str]:
    return [word for name in names for word in ("--part", name)]


@pytest.mark.cuda_on_cpu
@pytest.mark.usefixtures("gpu")
def test_it_checks_everything_and_times_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu_check.bandwidth.CALLS", 2)
    path = tmp_path / "results" / "gpu.json"
    assert main(["--out", str(path), *SMALL, *parts(*PARTS)]) == 0
    found = json.loads(path.read_text())
    assert list(found) == list(PARTS)
    assert {part["status"] for part in found.values()} == {"done"}
    assert found["machine"]["gpu"] == "GPU 0, Stand-in"
    assert found["machine"]["cuda_of_cupy"] == 13000
    checked = [found[name] for name in (*correctness.FAMILIES, "trajectories", "steps")]
    assert not any(part["wrong"] for part in checked)
    assert sum(part["checks"] for part in checked) > 500
    ways = {(each["way"], each["step"].partition(";")[2]) for each in found["steps"]["times"]}
    assert ways == {
        ("launch by launch", ""),
        ("recorded", " no CUDA graph: switched off"),
        ("graphs", " 2 steps per CUDA graph"),
    }
    timed = {record["kernel"] for record in found["bandwidth"]["kernels"]}
    assert {f"update {rule}" for rule in RULES} <= timed
    assert {f"{loss}, 10 columns" for loss in registry.names("loss")} <= timed
    assert {f"{kind} {way}" for kind in bandwidth.KINDS for way in ("forward", "backward")} <= timed
    assert {"copy", "gather uint8", "dropout mask", "dense relu dz and db", "softmax forward"} <= timed
    assert all(record["bytes_per_second"] > 0 for record in found["bandwidth"]["kernels"])
    assert len(found["training"]["seconds_per_epoch"]) == 2
    assert found["training"]["test_accuracy"] > 0.5
    assert "CUDA kernels" in found["training"]["execution"]


@pytest.mark.cuda_on_cpu
@pytest.mark.usefixtures("gpu")
def test_a_wrong_kernel_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = CupyBackend.dropout

    def wrong(self: Any, x: Any, keep: Any, rate: float, out: Any = None) -> Any:
        return right(self, x, keep, rate * 1.001, out)

    monkeypatch.setattr(CupyBackend, "dropout", wrong)
    path = tmp_path / "gpu.json"
    assert main(["--out", str(path), *SMALL, *parts("inputs", "machine")]) == 1
    found = json.loads(path.read_text())
    assert {check["check"] for check in found["inputs"]["wrong"]} == {"dropout, 7 x 3", "dropout, 65 x 127"}
    assert [part["status"] for part in found.values()] == ["wrong", "done"]
    assert "dropout, 7 x 3, float64" in capsys.readouterr().out


@pytest.mark.cuda_on_cpu
def test_a_part_that_crashes_or_hangs_is_recorded_and_others_continue(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    asked = ("machine", "dense", "losses", "updates", "training")
    absent = [f"{name}=absent" for name in PARTS if name not in asked]
    faults = ",".join(["dense=crash", "losses=hang", "training=raise", *absent])
    for limit in ("5", "20", "120"):  # a busy machine needs longer until a part hangs
        path.write_text(json.dumps({"updates": {"status": "done"}}))  # of another run
        command = [*COMMAND, "--out", str(path), *SMALL, "--limit", limit]
        result = processes.run(command, cwd=ROOT, env={**os.environ, FAULTS: faults})
        found = json.loads(path.read_text())
        if found["losses"].get("checks") == 3 and [part["status"] for part in found.values()].count("hung") == 1:
            break
    assert result.returncode == 1, result.stderr
    assert list(found) == [name for name in PARTS if name in asked]
    ended = {name: part["status"] for name, part in found.items()}
    crashed = dict.fromkeys(asked, "crashed")
    assert ended == {**crashed, "machine": "done", "losses": "hung", "updates": "done"}
    assert "CUDARuntimeError 700" in found["training"]["last_words"][-1]
    assert found["dense"]["exit"] == -11
    for name in ("dense", "losses"):
        assert any("in run" in line for line in found[name]["last_words"]), name
        assert (found[name]["checks"], found[name]["wrong"]) == (3, [])
    assert f"dense crashed, after: {found['dense']['last']}" in result.stdout


@pytest.fixture(params=[*correctness.FAMILIES, "trajectories", "steps"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _stored_nothing(result: Any, out: Any, *sources: Any) -> Any:
    return namespace.wrap(np.zeros_like(np.asarray(result))) if out is None else out


def _checks(backend: Backend, family: str) -> list[dict[str, Any]]:
    if family == "trajectories":
        return list(correctness.trajectories(backend, 64, epochs=1, quick=True))
    if family == "steps":
        return [check for _, check in steps.measure(backend, 64, quick=True)]
    return list(correctness.operations(backend, family, quick=True))


@pytest.mark.cuda_on_cpu
@pytest.mark.filterwarnings("ignore")  # about losses that are NaN
@pytest.mark.parametrize("spoilt", [True, False])
def test_a_gpu_that_computes_nothing_passes_no_check(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, family: str, spoilt: bool
) -> None:
    """Not even where all memory comes from a correct run; many kernels would pass if it were not overwritten."""
    made, taken, empty = list[Any](), Counter[str](), gpu.empty

    def used_before(shape: Any, dtype: Any = float, order: str = "C") -> Any:
        """As from a pool: the memory that this place of the run got before."""
        place = taken["arrays"]
        taken["arrays"] += 1
        if place == len(made):
            made.append(empty(shape, dtype, order))
        return made[place]

    monkeypatch.setattr(gpu, "empty", used_before)
    if not spoilt:
        monkeypatch.setattr(correctness, "poisoned", lambda backend: nullcontext())
    backend = get_backend("cupy")
    assert isinstance(backend, CupyBackend)
    assert all(check["passed"] for check in _checks(backend, family))
    taken.clear()
    backend.forget_scratch()
    products.forget()
    for place, name in ((raw.RawKernel, "__call__"), (gpu.cuda.driver, "launchKernel"), (cublas, "_multiply")):
        monkeypatch.setattr(place, name, lambda *arguments, **options: None)
    monkeypatch.setattr(namespace, "_store", _stored_nothing)
    passed = [check["check"] for check in _checks(backend, family) if check["passed"]]
    # The sums of an epoch begin with zeros from the host, so no epoch looks right.
    assert bool(passed) == (not spoilt and family in correctness.FAMILIES)


def test_without_a_gpu_it_says_why_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(path), "--device", "cupy:9999"]
    result = processes.run(command, cwd=ROOT)
    assert result.returncode == 2
    assert result.stderr.startswith("no GPU to check: backend 'cupy")
    assert "What works here" in result.stderr or "there is no GPU '9999'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not path.exists()
