"""The lowest versions that dnnkit supports: `make test-lowest` installs them, trains and reads files.

An untested lower bound is a guess. Each requirement of the core and of the given extras becomes `==` its lower bound;
pip chooses their own requirements. Then a short program runs that uses all of them.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
EXTRAS = ("sklearn", "plot", "formula")

PROGRAM = """
import numpy as np
import dnnkit as dk
(x, y), (x_test, y_test) = dk.datasets.digits.load_data()
def net(backend, activation):
    hidden, output = dk.Dense(32, activation=activation), dk.Dense(10, activation="softmax")
    made = dk.Sequential([dk.Rescaling(1 / 16), dk.Flatten(), hidden, output], seed=0, backend=backend)
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made
swish = dk.activation("swish", "x / (1 + exp(-x))")
for backend in ("numpy", "numba"):
    for activation in ("gelu", swish):
        made = net(backend, activation)
        history = made.fit(x, y, epochs=5, verbose=0, validation_data=(x_test, y_test))
        assert made.evaluate(x_test, y_test)["accuracy"] > 0.85, backend
        made.save("saved-" + backend + str(activation))
        assert np.array_equal(dk.load("saved-" + backend + str(activation)).predict(x_test), made.predict(x_test))
history.plot("curves.png")
classifier = dk.DNNClassifier(hidden_layer_sizes=(8,), max_iter=4, n_ensemble=1, random_state=0)
assert classifier.fit(x.reshape(-1, 64), y).score(x_test.reshape(-1, 64), y_test) > 0.5
print(dk.TabularEncoder().fit_transform({"a": [1.0, 2.0, 3.0, 5.0] * 5, "b": ["u", "v", "u", "w"] * 5}).shape)
"""


def lowest(text: str) -> str:
    """Return the requirement pinned to the lowest version that it allows."""
    requirement = Requirement(text)
    (bound,) = (each.version for each in requirement.specifier if each.operator == ">=")
    return f"{requirement.name}=={bound}"


def pins() -> list[str]:
    """Return all lowest versions according to pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for name in EXTRAS for line in project["optional-dependencies"][name])]
    return [lowest(line) for line in lines]


def main() -> int:
    """Install them together, and run the program and two commands."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        print("installing", *pins(), flush=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        subprocess.run([*install, ROOT, *pins()], check=True)
        work = Path(folder) / "work"
        work.mkdir()
        for arguments in (
            ["-c", PROGRAM],
            ["-m", "dnnkit", "train", "--epochs", "3", "--out", "run"],
            ["-m", "dnnkit", "doctor"],
        ):
            done = subprocess.run([python, *arguments], cwd=work, capture_output=True, text=True)
            print(re.sub(r"(?m)^Epoch.*\n", "", done.stdout), done.stderr, sep="", flush=True)
            if done.returncode:
                print(f"with the lowest versions, status {done.returncode} of: {' '.join(arguments)[:200]}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
