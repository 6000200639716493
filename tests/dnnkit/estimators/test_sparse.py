"""Estimators multiply the nonzero numbers of a sparse matrix: they learn what dense rows teach, within rounding."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.kernels.compressed_rows import CompressedRows

ROWS, COLUMNS = 150, 700
rng = np.random.default_rng(0)
PLACES = np.stack([np.repeat(np.arange(ROWS), 9), rng.integers(0, COLUMNS, 9 * ROWS)])
X = scipy.sparse.csr_matrix((rng.normal(size=9 * ROWS), PLACES), shape=(ROWS, COLUMNS))
Y = rng.integers(0, 3, ROWS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("preset", "options"),
    [("mlp", {"solver": "adam", "alpha": 0.1}), ("mlp", {"solver": "lbfgs"}), ("plain", {"batch_size": 16})],
)
def test_it_trains_as_on_dense_rows(backend: Backend, preset: str, options: dict[str, Any]) -> None:
    made, held_out = [], (X[:20], Y[:20])
    for x, validation in ((X, held_out), (X.toarray(), (X[:20].toarray(), Y[:20]))):
        given = {"max_iter": 5, "dtype": "float64", "random_state": 0, "encoder": None, **options}
        made.append(dk.DNNClassifier((8,), "tanh", preset=preset, backend=backend.name, n_ensemble=2, **given))
        made[-1].fit(x, Y, validation_data=None if preset == "plain" else validation, sample_weight=1.0 + Y)
    some, every = made
    epoch = some.networks_[1].executable.epoch
    if backend.name in ("numpy", "numba") and options.get("solver") != "lbfgs":
        data = epoch.batches.data if backend.name == "numba" else epoch.batches._data
        assert isinstance(data.x, CompressedRows)
    np.testing.assert_allclose(some.loss_curve_, every.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(some.predict_proba(X), every.predict_proba(X.toarray()), rtol=1e-6)
    assert np.array_equal(some.predict(X[:3]), every.predict(X[:3].toarray()))
