"""The losses generated from formulas: the files are those of the formulas, and need no SymPy."""

import subprocess
import sys

import pytest

from dnnkit.formula import write_losses
from dnnkit.kernels import registry

NAMES = write_losses.with_formula()


def test_they_are_those_that_keras_has_and_two_more():
    hand_written = {"mean_squared_error", "sum_squared_error", "binary_crossentropy", "categorical_crossentropy"}
    assert set(registry.names("loss")) - set(NAMES) == {
        *hand_written,
        "softmax_cross_entropy",
        "sigmoid_cross_entropy",
        "inner_product",
    }
    assert len(NAMES) == 12


@pytest.mark.parametrize("name", NAMES)
def test_the_files_equal_newly_generated_ones(name: str) -> None:
    for file, text in write_losses.files(name).items():
        assert (write_losses.FOLDER / name / file).read_text(encoding="utf-8") == text, (
            f"{name}/{file} is of another formula: python -m dnnkit.formula.write_losses"
        )


def test_training_with_one_and_its_options_imports_no_sympy() -> None:
    program = """
import sys
sys.modules["sympy"] = None
import dnnkit as dk
for loss in ("huber", dk.losses.Huber(0.5), dk.losses.Quantile([0.1, 0.9]), dk.losses.LogCosh(output_weights=[1, 2])):
    net = dk.Sequential([dk.Dense(2)], seed=0, backend="numpy")
    net.compile("sgd", loss)
    net.fit([[0.0], [1.0]], [[1.0, 2.0], [2.0, 1.0]], epochs=1, verbose=0)
assert sys.modules["sympy"] is None and "mpmath" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
