"""Every figure of the notes, on every backend."""

import numpy as np
import pytest

from tests.notes import binary_classifier, from_scratch, image_classifier, one_neuron
from tests.notes.figure import Figure, figures_of
from tests.test_documents import has_mnist

NOTES = {
    "one neuron": one_neuron,
    "from scratch": from_scratch,
    "binary classifier": binary_classifier,
    "image classifier": image_classifier,
}
FIGURES = [
    pytest.param(figure, id=f"{note}: {figure.name}") for note, module in NOTES.items() for figure in figures_of(module)
]


@pytest.mark.parametrize("figure", FIGURES)
def test_figure(figure: Figure, backend) -> None:
    if figure.needs_mnist and not has_mnist():
        pytest.skip("needs MNIST in DNNKIT_DATA_DIR")
    if figure.needs_mnist and backend.name == "strict":
        pytest.skip("minutes, on a library that is here to be strict, not fast")
    value = figure.compute()
    assert figure.holds(value), f"{np.asarray(value)} is {figure.difference(value):.3g} from {figure.expected}"
