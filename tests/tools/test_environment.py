"""What `make` does for its environment: created, repaired, left unchanged, with visible progress. A script plays
pip."""

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import processes
from tools import environment

OLDEST = (3, 11)

PIP = """#!/bin/sh
case "$*" in
*import*) echo "VERSION" ;;
*venv*) echo "no venv here"; exit 1 ;;
*) echo "Collecting numpy>=2.1"
   echo "  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (16.6 MB)"
   SLEEP
   STATUS
   echo "Installing collected packages: numpy, rich, dnnkit"
   LATER ;;
esac
"""
"""A Python of an environment: it reports its version, and installs as pip does."""


def environment_in(folder: Path, version: str = "3 12", **parts: str) -> Path:
    """As `python -m venv` leaves it, with that Python in it."""
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    script = PIP.replace("VERSION", version)
    for word in ("SLEEP", "STATUS", "LATER"):
        script = script.replace(word, parts.get(word.lower(), ":"))
    python = folder / "bin" / "python"
    python.write_text(script)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return folder


def stamp(folder: Path, extra: str, place: Path | None = None) -> Path:
    path = folder / f"installed-{extra}"
    path.write_text(f"{extra} {json.dumps(str(place or folder.absolute()))}")
    return path


def test_it_installs_once_and_says_that_it_is_alive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = environment_in(tmp_path / "venv")
    environment.main(str(folder), "plot")
    assert capsys.readouterr().out.splitlines() == [f"installing dnnkit[plot] in {folder}", "installed in 0 s"]
    assert not (folder / environment.INSTALLING).exists()
    environment.main(str(folder), "plot")
    assert capsys.readouterr().out == ""
    os.utime(folder / "installed-plot", (0, 0))  # older than pyproject.toml
    environment.main(str(folder), "plot")
    assert "installed" in capsys.readouterr().out


def test_the_test_extra_brings_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = environment_in(tmp_path / "venv")
    stamp(folder, "test")
    environment.main(str(folder), "plot")
    assert capsys.readouterr().out == ""


def test_signs_of_life(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LINE", 0.05)
    environment.main(str(environment_in(tmp_path / "venv", sleep="sleep 0.4", later="sleep 0.4")), "plot")
    shown = capsys.readouterr().out
    assert "downloading numpy 2.4.6 (16.6 MB)" in shown
    assert "unpacking 3 packages" in shown


def test_a_failure_of_pip_shows_its_output(tmp_path: Path) -> None:
    folder = environment_in(tmp_path / "venv", status='echo "ERROR: no matching distribution"; exit 3')
    with pytest.raises(environment.Failed, match=r"(?s)with status 3:.*no matching distribution"):
        environment.main(str(folder), "plot")
    assert environment.state_of(str(folder), OLDEST) == "good", "nothing was unpacked"
    assert not (folder / "installed-plot").exists()


def test_faults_of_an_environment(tmp_path: Path) -> None:
    assert environment.state_of(str(tmp_path / "none"), OLDEST) == "missing"
    old = environment_in(tmp_path / "old", version="3 9")
    assert environment.state_of(str(old), OLDEST) == "has Python 3.9, but dnnkit needs 3.11"
    broken = environment_in(tmp_path / "broken", version="no module named pip")
    assert environment.state_of(str(broken), OLDEST) == "has no working Python with pip"
    cut = environment_in(tmp_path / "cut", later="exit 1")
    with pytest.raises(environment.Failed):
        environment.main(str(cut), "plot")
    assert environment.state_of(str(cut), OLDEST) == "has an incomplete installation"
    moved = environment_in(tmp_path / "moved")
    stamp(moved, "plot", tmp_path / "where-it-was")
    assert environment.state_of(str(moved), OLDEST) == "was moved from another folder"


def test_other_folders_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    work = tmp_path / "venv" / "thesis.txt"
    work.write_text("years of work")
    with pytest.raises(environment.Failed, match="move it away"):
        environment.main(str(tmp_path / "venv"), "plot")
    assert work.read_text() == "years of work"
    work.unlink()
    (tmp_path / "venv" / "lib").mkdir()  # as far as it got
    assert environment.is_an_environment(str(tmp_path / "venv"))


def test_a_python_that_is_too_old_looks_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.oldest_python() == OLDEST
    assert environment.newest_python(OLDEST) == sys.executable
    monkeypatch.setattr(environment, "sys", SimpleNamespace(version_info=(3, 8, 1), executable="/usr/bin/python3"))
    shutil.copy(environment_in(tmp_path / "venv") / "bin" / "python", tmp_path / "python3.12")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.newest_python(OLDEST) == str(tmp_path / "python3.12")
    (tmp_path / "python3.12").unlink()
    with pytest.raises(environment.Failed, match=r"needs Python 3\.11 or later, and .* is 3\.8.*PYTHON="):
        environment.newest_python(OLDEST)


@pytest.mark.slow
def test_a_half_made_one_is_made_anew_and_works(tmp_path: Path) -> None:
    """With the real venv; pip asks no index, because what it would find there is already on the path."""
    folder = environment_in(tmp_path / "venv", version="3 9")
    command = [sys.executable, Path(environment.__file__), folder, "nothing"]
    done = processes.run(command, env={**os.environ, "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"})
    assert "has Python 3.9, but dnnkit needs 3.11: recreating it" in done.stdout
    assert "pip could not install" in done.stderr, "no index, no setuptools to build with"
    assert environment.version_of(str(folder / "bin" / "python"), "sys, pip") == sys.version_info[:2]
