"""`dk.DNNRegressor`: a scikit-learn regressor of dense networks."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.base_loss import LOSSES, Loss
from dnnkit.errors import ConfigurationError
from dnnkit.estimators.base import BaseDNN
from dnnkit.estimators.data import Task
from dnnkit.estimators.inputs import as_targets
from dnnkit.estimators.parameters import taken
from dnnkit.estimators.settings import AUTO, preset_of
from dnnkit.kernels import registry
from dnnkit.settings import shown
from dnnkit.tables.targets import NumberTarget, Target

from sklearn.base import RegressorMixin  # isort: skip


class DNNRegressor(RegressorMixin, BaseDNN):  # type: ignore[misc] # scikit-learn comes without types
    """Regressor of dense networks for tables of any kind, with one or several targets.

    With the preset "tabular", targets are standardized for training, and `loss_` refers to standardized targets.

    Arguments:
        hidden_layer_sizes, activation, preset, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t,
        max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping,
        validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun, dropout, schedule, normalization,
        encoder, n_ensemble, time_budget, dtype, backend, n_jobs, callbacks: see `dk.DNNClassifier`. "auto" is 0.07
            for
            `learning_rate_init` with the preset "tabular".
        loss: "squared_error", "absolute_error", "poisson" (with an exponential output), the name of another loss of
            values, such as "huber", or a loss object, such as `dk.losses.Quantile(0.9)`. Default "squared_error".
        label_smoothing, calibration: for classifiers only.

    Attributes:
        networks_, encoder_, target_, n_features_in_, feature_names_in_, coefs_, ...: see `dk.DNNClassifier`.

    Source:
        scikit-learn's `MLPRegressor`; for "tabular" see docs/default.md.
    """

    target_: NumberTarget
    targets = (NumberTarget,)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows, continuing with the current optimizer state.

        Arguments:
            X, y, sample_weight: as for `fit`.
        """
        start = self._members if self.__sklearn_is_fitted__() else None
        return self._fit(X, y, sample_weight, start=start, epochs=1)

    @property
    def _task(self) -> Task:
        return "regression"

    def _checked_targets(self, X: Any, y: Any) -> NDArray[Any]:
        return as_targets(self, X, y, is_numeric=True)

    def _check_parameters(self) -> None:
        for name in ("label_smoothing", "calibration"):
            if getattr(self, name) not in (AUTO, None, 0):
                raise ConfigurationError(f"{name} is {shown(getattr(self, name))}: leave it out, it is for classifiers")

    def _learned_target(self, y: NDArray[Any], all_of_it: NDArray[Any], weights: Any, classes: Any) -> Target:
        rows = y.reshape(len(y), -1).astype(np.float64)
        means, spreads = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        if preset_of(self.preset).scales_targets and not _wants_some(self.loss):
            means = np.average(rows, axis=0, weights=weights)
            spreads = np.sqrt(np.average((rows - means) ** 2, axis=0, weights=weights))
        return NumberTarget(tuple(means.tolist()), tuple(spreads.tolist()), y.ndim == 1)

    def _take_target(self, target: Target) -> None:
        assert isinstance(target, NumberTarget)
        self.target_, self.n_outputs_ = target, len(target.centers)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted numbers, (N,), or (N, K) for several targets."""
        scores = self._scores(X).astype(np.float64)
        return self.target_.decode(scores)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _wants_some(given: Any) -> bool:
    """Return whether a loss, as given to the estimator, accepts only some numbers, such as counts."""
    if isinstance(given, str) and given == AUTO:
        return False
    loss = LOSSES.make(taken("loss", given), Loss)
    return loss.kernel is not None and registry.loss(loss.kernel).target_range != "any"
