"""The doctor reports what is installed and what is wrong, and says what to do."""

from pathlib import Path

import pytest

from dnnkit import doctor
from dnnkit.backends.diagnosis import Finding


def findings() -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor.examine()}


def test_a_sound_machine_has_no_problem() -> None:
    import scipy.linalg  # noqa: F401 - only libraries that are loaded are told

    found = findings()
    assert {finding.state for finding in found.values()} <= {"good", "note"}
    for subject in ("Python", "dnnkit", "numpy", "numba", "chosen backend", "backend numba", "backend numpy"):
        assert found[subject].state == "good", subject
    assert "threads" in found["BLAS of numpy"].message
    assert "threads" in found["BLAS of scipy"].message
    assert "compiled-" in found["compiled kernels"].message
    assert "x86-64" in found["archive of kernels"].message or found["archive of kernels"].state == "note"
    assert "GPU" in found
    assert "data folder" in found


def test_an_unusable_backend_is_a_problem_if_it_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNNKIT_BACKEND", "nonsense")
    found = findings()["chosen backend"]
    assert found.state == "problem"
    assert "nonsense" in found.message
    assert found.advice


def test_a_broken_backend_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    found = findings()["backend numba"]
    assert found.state == "note"
    assert "NUMBA_DISABLE_JIT" in found.message
    assert found.advice == "pip install numba scipy-openblas32"


def test_an_old_or_missing_package_comes_with_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=999", "no-such-package>=1", "torch; extra == 'peers'", "scipy>=1"]
    monkeypatch.setattr(doctor, "requires", lambda name: lines)
    found = findings()
    assert found["numpy"].state == "problem"
    assert found["numpy"].advice == "pip install 'numpy>=999'"
    assert found["no-such-package"].message == "is not installed"
    assert "torch" not in found
    assert found["scipy"].state == "good"


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "(default)" in findings()["cache folder"].message
    monkeypatch.setenv("DNNKIT_CACHE_DIR", str(tmp_path / "deep" / "cache"))
    assert findings()["cache folder"].message == f"{tmp_path / 'deep' / 'cache'} (DNNKIT_CACHE_DIR)"
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert findings()["cache folder"].state == "note"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "cache").write_text("")
    assert findings()["cache folder"].state == "problem"


def test_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DNNKIT_DATA_DIR", str(tmp_path / "deep" / "data"))
    assert "no data set yet" in findings()["data folder"].message
    (tmp_path / "deep" / "data" / "mnist").mkdir(parents=True)
    found = findings()["data folder"]
    assert "holds mnist" in found.message
    assert "DNNKIT_DATA_DIR" in found.message
