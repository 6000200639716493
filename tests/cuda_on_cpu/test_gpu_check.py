"""The script that checks a GPU, on the stand-in: it finds what is right and what is wrong, and writes it down."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_check.__main__ import main
from dnnkit.backends.cupy_backend.backend import CupyBackend
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES
from tests.backends.networks import CASES
from tests.kernels.conftest import checked_on_cpu

ROOT = Path(__file__).parents[2]
SMALL = ["--megabytes", "0.01", "--samples", "160", "--epochs", "2"]


@pytest.fixture
def _gpu() -> Iterator[None]:
    """With every access checked: so are the kernels of the conformance tests, and what they compiled is taken."""
    with checked_on_cpu():
        yield


@pytest.mark.cuda_on_cpu
@pytest.mark.usefixtures("_gpu")
def test_it_checks_everything_and_times_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu_check.correctness.SHAPES", ((7, 3), (65, 127)))
    monkeypatch.setattr("benchmarks.gpu_check.bandwidth.ROUNDS", 2)
    monkeypatch.setattr("benchmarks.gpu_check.bandwidth.CALLS", 2)
    for name in list(CASES)[2:]:
        monkeypatch.delitem(CASES, name)
    path = tmp_path / "results" / "gpu.json"
    assert main(["--out", str(path), *SMALL]) == 0
    found = json.loads(path.read_text())
    assert found["machine"]["gpu"] == "GPU 0, Stand-in"
    assert found["machine"]["cuda"] == 13000
    assert found["correctness"]["wrong"] == []
    assert found["correctness"]["checks"] > 500
    timed = {record["kernel"] for record in found["kernels"]}
    assert {f"update {rule}" for rule in RULES} <= timed
    assert {f"{loss}, 10 columns" for loss in registry.names("loss")} <= timed
    assert {"copy", "gather uint8", "dropout mask", "dense relu dz and db", "softmax forward"} <= timed
    assert all(record["bytes_per_second"] > 0 for record in found["kernels"])
    assert len(found["training"]["seconds_an_epoch"]) == 2
    assert found["training"]["test_accuracy"] > 0.5
    assert "CUDA kernels" in found["training"]["execution"]


@pytest.mark.cuda_on_cpu
@pytest.mark.usefixtures("_gpu")
def test_a_wrong_kernel_is_named_and_nothing_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = CupyBackend.dropout

    def wrong(self: Any, x: Any, keep: Any, rate: float, out: Any = None) -> Any:
        return right(self, x, keep, rate * 1.001, out)

    monkeypatch.setattr(CupyBackend, "dropout", wrong)
    monkeypatch.setattr("benchmarks.gpu_check.correctness.SHAPES", ((7, 3),))
    for name in list(CASES)[1:]:
        monkeypatch.delitem(CASES, name)
    path = tmp_path / "gpu.json"
    assert main(["--out", str(path), *SMALL]) == 1
    found = json.loads(path.read_text())
    assert {check["check"] for check in found["correctness"]["wrong"]} == {"dropout, 7 x 3"}
    assert "kernels" not in found
    assert "dropout, 7 x 3, float64" in capsys.readouterr().out


def test_without_a_gpu_it_says_why_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(path), "--device", "cupy:9999"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("no GPU to check: backend 'cupy")
    assert "What works here" in result.stderr or "there is no GPU '9999'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not path.exists()
