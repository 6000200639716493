"""`dk.DNNRegressor`: a regressor as scikit-learn has them, of dense networks."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError
from dnnkit.estimators.base import BaseDNN, data_errors
from dnnkit.estimators.data import Task

from sklearn.base import RegressorMixin  # isort: skip
from sklearn.utils.validation import column_or_1d, validate_data  # isort: skip


class DNNRegressor(RegressorMixin, BaseDNN):  # type: ignore[misc] # scikit-learn comes without types
    """A regressor of dense networks."""

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows; the optimizer goes on from where it is."""
        start = self._members if self.__sklearn_is_fitted__() else None
        return self._fit(X, y, sample_weight, start=start, epochs=1)

    @property
    def _task(self) -> Task:
        return "regression"

    def _checked(self, X: Any, y: Any, *, is_first: bool) -> tuple[Any, Any]:
        with data_errors():
            X, y = validate_data(
                self, X, y, multi_output=True, y_numeric=True, dtype=[np.float64, np.float32], reset=is_first
            )
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
        return X, y

    def _take_targets(self, y: NDArray[Any], *, is_first: bool, epochs: int | None) -> None:
        columns = 1 if y.ndim == 1 else y.shape[1]
        if is_first:
            self.n_outputs_, self.out_activation_ = columns, "identity"
        elif columns != self.n_outputs_:
            raise DataError(f"y has {columns} columns, but in the fit before it had {self.n_outputs_}")

    def _encoded(self, y: NDArray[Any], dtype: str) -> NDArray[Any]:
        return y.astype(dtype).reshape(len(y), -1)

    def predict(self, X: Any) -> NDArray[Any]:
        """The numbers of each row, (N,), or (N, K) if there were several."""
        scores = self._scores(X)
        return scores[:, 0] if self.n_outputs_ == 1 else scores
