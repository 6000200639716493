"""Extras: one error that names the command where one is missing; NumPy alone trains."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dnnkit.errors import ConfigurationError
from dnnkit.extras import EXTRAS, require
from tests import processes

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
OPTIONAL = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}

WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

from importlib import util
MISSING = set(sys.argv.pop(1).split(","))
real = util.find_spec
util.find_spec = lambda name, package=None: None if name.partition(".")[0] in MISSING else real(name, package)
sys.meta_path.insert(0, Missing())
"""
"""As on a machine without these packages."""

ALL_BUT_NUMPY = (
    "scipy,sklearn,joblib,narwhals,matplotlib,sympy,mpmath,safetensors,numba,llvmlite,scipy_openblas32,rich,typer"
)

BARE = """
import numpy as np, dnnkit as dk
(x, y), (x_test, y_test) = dk.datasets.digits.load_data()
layers = [dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(16, activation="gelu"), dk.Dense(10, activation="softmax")]
net = dk.Sequential(layers, seed=0)
net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = net.fit(x, y, epochs=2, verbose=1, validation_data=(x_test, y_test), checkpoint="run")
net.save("saved")
again = dk.load("saved")
again.fit(x, y, epochs=1, verbose=0)
assert np.array_equal(net.predict(x_test), dk.load("saved").predict(x_test)), "saved and loaded"
print(net.backend.name, net.predict(x_test[:2]).shape)
for use in (
    lambda: history.plot(),
    lambda: net.plot("net.svg"),
    lambda: dk.plots.plot_images(x[:3]),
    lambda: dk.DNNClassifier(),
    lambda: dk.TabularEncoder(),
    lambda: dk.activation("swish", "x / (1 + exp(-x))"),
    lambda: dk.loss("steep", "(y - t)**4"),
    lambda: dk.set_backend("numba"),
    lambda: dk.Lion,
):
    try:
        use()
    except dk.errors.DnnkitError as error:
        print("error:", error)
    else:
        print("no error")
"""


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_has_the_package_that_the_error_is_about(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name = EXTRAS[extra]
    assert {requirement.name.lower() for requirement in OPTIONAL[extra]} & {module, name.lower()}
    assert not {Requirement(line).name for line in PROJECT["dependencies"]} & {
        requirement.name for requirement in OPTIONAL[extra]
    }
    require(extra, "a test")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"a test needs {name}, .*pip install 'dnnkit\[{extra}\]'$"):
        require(extra, "a test")


def test_the_test_extra_has_what_tests_need() -> None:
    (own,) = (requirement for requirement in OPTIONAL["test"] if requirement.name == "dnnkit")
    assert own.extras == set(EXTRAS)
    (own,) = (requirement for requirement in OPTIONAL["all"] if requirement.name == "dnnkit")
    assert set(EXTRAS) <= own.extras


def test_numpy_alone_trains_predicts_and_saves(tmp_path: Path) -> None:
    done = processes.run([sys.executable, "-c", WITHOUT + BARE, ALL_BUT_NUMPY], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" - ")[0] for line in lines[:2]] == ["Epoch 1/2", "Epoch 2/2"]
    assert lines[2] == "numpy (2, 10)"
    extras = ["plot"] * 3 + ["sklearn"] * 2 + ["formula"] * 2
    for line, extra in zip(lines[3:], extras, strict=False):
        assert re.fullmatch(rf"error: .* needs .*: pip install 'dnnkit\[{extra}\]'", line), line
    assert "pip install numba" in lines[10]
    assert lines[11] == "error: dnnkit has no 'Lion': use dk.optimizers.Lion"


@pytest.mark.parametrize(
    ("missing", "arguments", "status", "words"),
    [
        ("typer", ["--help"], 2, "dnnkit: the command line needs typer: pip install typer"),
        ("sklearn", ["train", "t.csv", "--target", "b"], 2, "pip install 'dnnkit[sklearn]'"),
        pytest.param(
            "matplotlib",
            ["bench", "step", "--report", "r.html"],
            2,
            "pip install 'dnnkit[plot]'",
            marks=pytest.mark.slow,
        ),
        (
            "matplotlib",
            ["train", "--epochs", "1", "--hidden", "2", "--backend", "numpy"],
            0,
            "pip install 'dnnkit[plot]'",
        ),
    ],
)
def test_commands_report_a_missing_extra_in_one_line(
    tmp_path: Path, missing: str, arguments: list[str], status: int, words: str
) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(30)))
    code = WITHOUT + "import runpy; sys.argv[0] = 'dnnkit'; runpy.run_module('dnnkit', run_name='__main__')"
    done = processes.run([sys.executable, "-c", code, missing, *arguments], cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert words in (done.stdout if status == 0 else done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
