"""Columns of codes have trained embeddings, in every preset."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.estimators.data import Columns
from dnnkit.estimators.embedding import SIZE, assembled, inputs_of


def test_codes_are_looked_up_and_numbers_are_not() -> None:
    columns = Columns(numbers=(0, 1, 3), embedded=((2, 4), (4, 3)))
    x = np.array([[0.5, 1.0, 3.0, -2.0, 1.0], [1.5, 0.0, 0.0, 1.0, 2.0]], "float32")
    net = assembled([dk.Scale()], columns, 5, seed=0)
    said = net.predict(inputs_of(net, x))
    values = net.parameters
    first, second = values["embedding_2/embeddings"], values["embedding_4/embeddings"]
    assert (first.shape, second.shape) == ((4, SIZE), (3, SIZE))
    expected = [[*row[:2], *first[int(row[2])], row[3], *second[int(row[4])]] for row in x]
    assert said == pytest.approx(np.array(expected))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("preset", ["tabular", "mlp"])
def test_an_estimator_learns_from_codes(preset: str) -> None:
    rng = np.random.default_rng(0)
    towns = rng.integers(12, size=400)
    wealth = rng.normal(size=12)
    sizes = rng.normal(size=400)
    x = np.array([[f"town {number}", size] for number, size in zip(towns, sizes, strict=True)], dtype=object)
    y = wealth[towns] + 0.1 * sizes
    encoder = dk.TabularEncoder(embeddings="auto")
    model = dk.DNNRegressor(preset=preset, encoder=encoder, n_ensemble=2, max_iter=40, random_state=0).fit(x, y)
    assert len(model.networks_[0].graph.inputs) == 2
    assert model.score(x, y) > 0.95
