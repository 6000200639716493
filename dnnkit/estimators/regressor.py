"""`dk.DNNRegressor`: a regressor as scikit-learn has them, of dense networks."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.base_loss import LOSSES, Loss
from dnnkit.errors import DataError
from dnnkit.estimators.base import BaseDNN
from dnnkit.estimators.data import Task
from dnnkit.estimators.parameters import taken
from dnnkit.estimators.settings import AUTO, preset_of
from dnnkit.kernels import registry

from sklearn.base import RegressorMixin  # isort: skip


class DNNRegressor(RegressorMixin, BaseDNN):  # type: ignore[misc] # scikit-learn comes without types
    """A regressor of dense networks."""

    _task_is_numeric = True

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows; the optimizer goes on from where it is."""
        start = self._members if self.__sklearn_is_fitted__() else None
        return self._fit(X, y, sample_weight, start=start, epochs=1)

    @property
    def _task(self) -> Task:
        return "regression"

    def _take_targets(self, y: NDArray[Any], *, is_first: bool, epochs: int | None) -> None:
        columns = 1 if y.ndim == 1 else y.shape[1]
        if is_first:
            self.__dict__.pop("target_mean_", None)
            self.n_outputs_, self.out_activation_ = columns, "identity"
        elif columns != self.n_outputs_:
            raise DataError(f"y has {columns} columns, but in the fit before it had {self.n_outputs_}")

    def _scale_targets(
        self, y: NDArray[Any], weights: NDArray[np.float64] | None, parameters: Mapping[str, Any]
    ) -> None:
        y = y.reshape(len(y), -1).astype(np.float64)
        self.target_mean_, self.target_scale_ = np.zeros(y.shape[1]), np.ones(y.shape[1])
        if preset_of(parameters["preset"]).scales_targets and not _wants_some(parameters["loss"]):
            self.target_mean_ = np.average(y, axis=0, weights=weights)
            scale = np.sqrt(np.average((y - self.target_mean_) ** 2, axis=0, weights=weights))
            self.target_scale_ = np.where(scale > 0, scale, 1.0)

    def _encoded(self, y: NDArray[Any]) -> NDArray[Any]:
        y = y.reshape(len(y), -1)
        return (y - self.target_mean_) / self.target_scale_ if "target_mean_" in vars(self) else y

    def predict(self, X: Any) -> NDArray[Any]:
        """The numbers of each row, (N,), or (N, K) if there were several."""
        scores = self._scores(X) * self.target_scale_ + self.target_mean_
        return scores[:, 0] if self.n_outputs_ == 1 else scores

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _wants_some(given: Any) -> bool:
    """Whether a loss, as it was given to the estimator, takes not all numbers, such as counts only."""
    if isinstance(given, str) and given == AUTO:
        return False
    loss = LOSSES.make(taken("loss", given), Loss)
    return loss.kernel is not None and registry.loss(loss.kernel).target_range != "any"
