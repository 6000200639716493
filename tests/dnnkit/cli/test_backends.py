"""`dnnkit backends`: what works here, what is chosen, and why."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dnnkit as dk
from tests import processes
from tests.dnnkit.cli.command import dnnkit


def dnnkit_backends(**variables: str) -> subprocess.CompletedProcess[str]:
    return dnnkit(Path.cwd(), "backends", COLUMNS="200", **variables)


def test_every_backend_is_listed_with_whether_it_works():
    command, environment = [sys.executable, "-m", "dnnkit", "backends"], {**os.environ, "COLUMNS": "200"}
    done = processes.run(command, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {words[0]: words[1:] for line in done.stdout.splitlines() if (words := line.split())}
    for info in dk.backends.available():
        assert rows[info.name][0] == ("yes" if info.available else "no")
    assert rows["numpy"][0] == "yes"


def test_without_a_choice_the_default_is_named():
    chosen, small, wide = dnnkit_backends().stdout.splitlines()[-3:]
    assert chosen == (
        f"chosen: {dk.get_backend().name} (default: auto, the first of numba and numpy that works; "
        "a network may get a GPU)"
    )
    gpu = r"(, .* on a GPU|; cupy cannot work: .*)"  # where a GPU might be faster and CuPy is installed, it is asked
    assert re.fullmatch(rf"  784-128-10 in batches of 32: numba: \d+ µs per step predicted here{gpu}", small)
    assert re.match(r"  784-4096-4096-10 in batches of 512: (numba|cupy): [\d,]+ µs per step predicted ", wide)


@pytest.mark.parametrize("name", ["numpy", "auto"])
def test_a_choice_of_the_environment_is_named_with_its_variable(name):
    done = dnnkit_backends(DNNKIT_BACKEND=name)
    (last,) = (line for line in done.stdout.splitlines() if line.startswith("chosen: "))
    chosen = "numpy" if name == "numpy" else dk.get_backend().name
    assert done.returncode == 0
    assert last.startswith(f"chosen: {chosen} (environment variable DNNKIT_BACKEND: {name}")


def test_the_cache_is_named_with_its_variable():
    by_default = dnnkit_backends(DNNKIT_CACHE_DIR="").stdout
    assert re.search(r"^cache: .* \(default\)$", by_default, re.MULTILINE)
    assert "\ncache: /opt/kept (DNNKIT_CACHE_DIR)\n" in dnnkit_backends(DNNKIT_CACHE_DIR="/opt/kept").stdout


def test_an_unknown_choice_is_one_line_after_the_list():
    done = dnnkit_backends(DNNKIT_BACKEND="nonsense")
    assert done.returncode == 2
    assert "numpy" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("dnnkit: there is no backend 'nonsense' (from: environment variable DNNKIT_BACKEND)")
    assert "numpy" in line.partition("What works here:")[2]
