"""What both estimators are: parameters, data as users have them, members that are trained on them."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError, DataError, DnnkitError
from dnnkit.estimators.data import Columns, EncodedData, Part, Task
from dnnkit.estimators.members import Members, train_members
from dnnkit.estimators.requirement import require_sklearn
from dnnkit.estimators.settings import Settings, resolve, value_of
from dnnkit.network.whole import WholeNetwork
from dnnkit.settings import shown

require_sklearn("an estimator")

from sklearn.base import BaseEstimator  # noqa: E402
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_random_state, validate_data  # noqa: E402


@contextmanager
def data_errors() -> Iterator[None]:
    """What scikit-learn says of data, as errors of dnnkit's family, which are its kinds, too."""
    try:
        yield
    except DnnkitError:
        raise
    except ValueError as error:
        raise DataError(str(error)) from error


class BaseDNN(BaseEstimator):  # type: ignore[misc] # scikit-learn comes without types
    """Base of `DNNClassifier` and `DNNRegressor`."""

    networks_: list[WholeNetwork]

    def __init__(
        self,
        hidden_layer_sizes: Any = "auto",
        activation: Any = "auto",
        *,
        preset: Any = "mlp",
        solver: Any = "auto",
        alpha: Any = "auto",
        batch_size: Any = "auto",
        learning_rate: Any = "auto",
        learning_rate_init: Any = "auto",
        power_t: Any = "auto",
        max_iter: Any = "auto",
        shuffle: Any = "auto",
        random_state: Any = None,
        tol: Any = "auto",
        verbose: Any = False,
        warm_start: bool = False,
        momentum: Any = "auto",
        nesterovs_momentum: Any = "auto",
        early_stopping: Any = "auto",
        validation_fraction: Any = "auto",
        beta_1: Any = "auto",
        beta_2: Any = "auto",
        epsilon: Any = "auto",
        n_iter_no_change: Any = "auto",
        max_fun: Any = "auto",
        dropout: Any = "auto",
        loss: Any = "auto",
        schedule: Any = "auto",
        normalization: Any = "auto",
        label_smoothing: Any = "auto",
        encoder: Any = "auto",
        n_ensemble: Any = "auto",
        calibration: Any = "auto",
        time_budget: Any = "auto",
        dtype: Any = "auto",
        backend: Any = None,
        n_jobs: Any = None,
        callbacks: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.preset = preset
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.loss = loss
        self.schedule = schedule
        self.normalization = normalization
        self.label_smoothing = label_smoothing
        self.encoder = encoder
        self.n_ensemble = n_ensemble
        self.calibration = calibration
        self.time_budget = time_budget
        self.dtype = dtype
        self.backend = backend
        self.n_jobs = n_jobs
        self.callbacks = callbacks

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on rows X and their targets y.

        Arguments:
            X: numbers (N, F).
            y: targets (N,) or (N, K).
            sample_weight: (N,), how much each row counts; None for all alike.
            validation_data: (X, y) or (X, y, sample_weight), rows of your own by which the training is watched, in
                place of a part of X.
            X_val, y_val, sample_weight_val: the same, one by one, as scikit-learn's metadata routing hands them over.

        Raises:
            DataError, ConfigurationError: data or a parameter cannot work.
        """
        held_out = _validation(validation_data, X_val, y_val, sample_weight_val)
        start = self._members if self.warm_start and hasattr(self, "networks_") else None
        return self._fit(X, y, sample_weight, held_out, start=start)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: tuple[Any, Any, Any] | None = None,
        *,
        start: Members | None = None,
        epochs: int | None = None,
    ) -> Self:
        parameters = self.get_params(deep=False)
        dtype = value_of("dtype", parameters)
        X, y = self._checked(X, y, is_first=start is None)
        self._take_targets(y, is_first=start is None, epochs=epochs)
        train = self._part(X, y, sample_weight, dtype)
        validation = None
        if held_out is not None:
            x_val, y_val, weights = held_out
            x_val, y_val = self._checked(x_val, y_val, is_first=False)
            validation = self._part(x_val, y_val, weights, dtype)
        data = EncodedData(train, validation, Columns(tuple(range(train.x.shape[1]))), self._task, self.n_outputs_)
        settings = resolve(parameters, data)
        progress = print if self.verbose else None
        random = check_random_state(self.random_state)
        seeds = random.randint(np.iinfo(np.int32).max, size=settings.n_ensemble).tolist()
        members = train_members(data, settings, seeds=seeds, progress=progress, start=start, epochs=epochs)
        self._take_members(members, settings)
        return self

    def _take_members(self, members: Members, settings: Settings) -> None:
        self.networks_, self._curves, self.temperature_ = members.networks, members.curves, members.temperature
        self._bounds = members.bounds
        curve = members.curves[0]
        self.n_iter_, self.t_, self.loss_curve_ = curve.epochs, curve.rows_seen, curve.losses
        self.loss_, self.best_loss_ = curve.losses[-1], curve.best_loss
        self.validation_scores_, self.best_validation_score_ = curve.scores, curve.best_score

    # -- what is asked of the two ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _task(self) -> Task:
        """What is learned."""

    @abstractmethod
    def _checked(self, X: Any, y: Any, *, is_first: bool) -> tuple[Any, Any]:
        """Rows and targets as arrays, by scikit-learn's own checks."""

    @abstractmethod
    def _take_targets(self, y: NDArray[Any], *, is_first: bool, epochs: int | None) -> None:
        """Learn from targets what they are, or see that they are what is known of them."""

    @abstractmethod
    def _encoded(self, y: NDArray[Any], dtype: str) -> NDArray[Any]:
        """Targets as `Part` has them."""

    def _weights(self, y: NDArray[Any], weights: NDArray[Any] | None) -> NDArray[Any] | None:
        """The weights of rows, with those of their classes."""
        return weights

    # -- data --------------------------------------------------------------------------------------------------------

    def _part(self, X: Any, y: Any, sample_weight: Any, dtype: str) -> Part:
        weights = None
        if sample_weight is not None:
            with data_errors():
                weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        weights = self._weights(y, weights)
        return Part(X.astype(dtype, copy=False), self._encoded(y, dtype), weights)

    def _rows(self, X: Any) -> Any:
        """Rows to predict for, as the networks take them."""
        check_is_fitted(self)
        with data_errors():
            X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X.astype(self.networks_[0].dtype, copy=False)

    def _scores(self, X: Any) -> NDArray[Any]:
        return self._members.predict_scores(self._rows(X))

    @property
    def _members(self) -> Members:
        return Members(self.networks_, self._curves, self._task, self.temperature_, self._bounds)

    # -- what scikit-learn's MLP has ---------------------------------------------------------------------------------

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """The kernels of the dense layers of the first network, (units before, units)."""
        return self._parameters("kernel")

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """Their biases."""
        return self._parameters("bias")

    def _parameters(self, own: str) -> list[NDArray[Any]]:
        if "networks_" not in vars(self):
            raise AttributeError("coefs_ and intercepts_ are there after fit")
        values = self.networks_[0].parameters
        return [np.array(values[name]) for name in values if name.startswith("dense") and name.endswith(f"/{own}")]

    @property
    def n_layers_(self) -> int:
        """Layers of units, with the inputs and the outputs."""
        return len(self.coefs_) + 1

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "networks_" in vars(self)


def _validation(given: Any, x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any] | None:
    """(X, y, sample_weight or None) of rows to validate with, said in one of two ways; None without any."""
    if given is None and x is None:
        return None
    if given is None:
        if y is None:
            raise ConfigurationError("X_val is given without y_val: expected both")
        return x, y, weights
    if x is not None:
        raise ConfigurationError("validation_data and X_val are both given: expected one of them")
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise ConfigurationError(f"validation_data is {shown(given)}: expected (X, y) or (X, y, sample_weight)")
    return given[0], given[1], given[2] if len(given) == 3 else None
