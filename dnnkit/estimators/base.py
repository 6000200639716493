"""Base of both estimators: parameters, checks of data, training and saving of members."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError
from dnnkit.estimators.data import Columns, EncodedData, Part, Task
from dnnkit.estimators.encoders import encoder_of
from dnnkit.estimators.members import Members, train_members
from dnnkit.estimators.settings import AUTO, resolve, value_of
from dnnkit.extras import require
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.network.whole import WholeNetwork
from dnnkit.tables.targets import Target

require("sklearn", "an estimator")

from scipy.sparse import issparse  # noqa: E402
from sklearn.base import BaseEstimator  # noqa: E402
from sklearn.utils.validation import check_is_fitted, check_random_state  # noqa: E402

from dnnkit.estimators.inputs import as_rows, as_weights, data_errors, distinct  # noqa: E402

FEW = 128
"""Number of rows up to which every preset uses a single batch."""

LITTLE = 1 << 20
"""Number of values up to which comparing rows takes negligible time."""


class BaseDNN(BaseEstimator):  # type: ignore[misc] # scikit-learn comes without types
    """Base of `DNNClassifier` and `DNNRegressor`."""

    networks_: list[WholeNetwork]
    encoder_: Any

    def __init__(
        self,
        hidden_layer_sizes: Any = "auto",
        activation: Any = "auto",
        *,
        preset: Any = "tabular",
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
        """Train on rows X and targets y.

        Arguments:
            X: table (N, F): an array, a DataFrame or other table, or a sparse matrix.
            y: targets (N,) or (N, K).
            sample_weight: weight of each row (N,); None for equal weights.
            validation_data: (X, y) or (X, y, sample_weight), rows that replace those held out of X.
            X_val, y_val, sample_weight_val: the same as separate arguments, for scikit-learn's metadata routing.

        Returns:
            The estimator.

        Raises:
            DataError: the data cannot be used.
            ConfigurationError: a parameter cannot be used.
        """
        held_out = _validation(validation_data, X_val, y_val, sample_weight_val)
        start = self._members if self.warm_start and self.__sklearn_is_fitted__() else None
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
        classes: Any = None,
    ) -> Self:
        data = self._encode(X, y, sample_weight, held_out, is_first=start is None, epochs=epochs, classes=classes)
        settings = resolve(self.get_params(deep=False), data)
        with data_errors():
            random = check_random_state(self.random_state)
        seeds = random.randint(np.iinfo(np.int32).max, size=settings.n_ensemble)
        progress = print if self.verbose else None
        self._members = train_members(
            data, settings, seeds=seeds.tolist(), progress=progress, start=start, epochs=epochs
        )
        return self

    def _encode(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        held_out: tuple[Any, Any, Any] | None = None,
        *,
        is_first: bool = True,
        epochs: int | None = None,
        classes: Any = None,
    ) -> EncodedData:
        """Return the data that the networks are trained on; if `is_first`, learn how to encode them."""
        parameters = self.get_params(deep=False)
        self._check_parameters()
        dtype = value_of("dtype", parameters)
        encoder = (
            self.encoder_ if not is_first else None if issparse(X) else encoder_of(value_of("encoder", parameters))
        )
        X = as_rows(self, X, is_first=is_first, is_table=encoder is not None)
        all_of_it = y = self._checked_targets(X, y)
        weights = as_weights(sample_weight, X)
        if _is_one_batch(X, parameters):
            X, y, weights = distinct(X, y, weights)
        if is_first:
            self._take_target(self._learned_target(y, all_of_it, weights, classes))
        elif epochs is None:
            self._check_warm_start(all_of_it)
        self.encoder_ = encoder.fit(X, y) if encoder is not None and is_first else encoder
        if is_first and encoder is not None and hasattr(encoder, "feature_names_in_"):
            self.feature_names_in_ = encoder.feature_names_in_  # also for tables whose names scikit-learn does not read
        train = self._part(X, y, weights, dtype)
        validation = None
        if held_out is not None:
            x_val, y_val, weights_val = held_out
            x_val = as_rows(self, x_val, is_first=False, is_table=encoder is not None)
            y_val = self._checked_targets(x_val, y_val)
            validation = self._part(x_val, y_val, as_weights(weights_val, x_val), dtype)
        return EncodedData(train, validation, self._columns(train.x.shape[1]), self._task, self.n_outputs_)

    def _columns(self, count: int) -> Columns:
        encoder: Any = self.encoder_
        if not hasattr(encoder, "groups_"):
            return Columns(numbers=tuple(range(count)))
        groups = encoder.groups_
        return Columns(tuple(groups["numbers"]), tuple(groups["one_hot"]), tuple(encoder.embedded_))

    def _part(self, X: Any, y: NDArray[Any], weights: NDArray[np.float64] | None, dtype: str) -> Part:
        encoded = self.target_.encode(y)
        encoded = encoded.astype(dtype) if encoded.ndim == 2 else encoded
        return Part(self._features(X, dtype), encoded, self._weights(y, weights))

    def _features(self, X: Any, dtype: str) -> Any:
        """Return rows as the networks take them."""
        x = X if self.encoder_ is None else self.encoder_.transform(X)
        return CompressedRows.of(x).astype(dtype) if issparse(x) else x.astype(dtype, copy=False)

    # -- implemented by the estimators -------------------------------------------------------------------------------

    n_outputs_: int
    target_: Target
    targets: ClassVar[tuple[type[Target], ...]]
    """Kinds of targets that the estimator has."""

    @property
    @abstractmethod
    def _task(self) -> Task:
        """The task."""

    @abstractmethod
    def _checked_targets(self, X: Any, y: Any) -> NDArray[Any]:
        """Return the checked targets of rows X, (N,) or (N, K)."""

    @abstractmethod
    def _learned_target(self, y: NDArray[Any], all_of_it: NDArray[Any], weights: Any, classes: Any) -> Target:
        """Return the encoding of targets.

        Arguments:
            y: targets of the distinct rows that are trained on.
            all_of_it: targets of all given rows.
            weights: weights of the rows, or None.
            classes: all classes, if they were given.
        """

    @abstractmethod
    def _take_target(self, target: Target) -> None:
        """Set the attributes that depend on the encoding of targets."""

    def _check_parameters(self) -> None:
        """Raise `ConfigurationError` for parameters that only the other estimator has."""

    def _check_warm_start(self, y: NDArray[Any]) -> None:
        """Raise `DataError` if targets differ from those of the previous fit."""

    def _weights(self, y: NDArray[Any], weights: NDArray[Any] | None) -> NDArray[Any] | None:
        """Return weights of rows, multiplied by those of their classes."""
        return weights

    # -- saving ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to a folder as JSON and safetensors; `dk.load_estimator` reads it.

        A `RandomState` in `random_state`, and callbacks, are not saved.

        Arguments:
            path: the folder; an existing save is replaced.

        Raises:
            NotFittedError: the estimator is not fitted.
            ConfigurationError: a parameter cannot be saved, such as an encoder of another library; use pickle
                instead.
            CheckpointError: the folder cannot be written.
        """
        from dnnkit.estimators.saving import save

        check_is_fitted(self)
        save(self, path)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_members" in state:
            from dnnkit.estimators.saving import state_of_members

            state["_members"] = state_of_members(state["_members"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "_members" in state:
            from dnnkit.estimators.saving import members_of_state

            state["_members"] = members_of_state(state["_members"])
        super().__setstate__(state)

    # -- fitted state ------------------------------------------------------------------------------------------------

    def _scores(self, X: Any) -> NDArray[Any]:
        """Return the members' combined predictions, (N, outputs)."""
        check_is_fitted(self)
        X = as_rows(self, X, is_first=False, is_table=self.encoder_ is not None)
        members = self._members
        return members.predict_scores(self._features(X, members.networks[0].dtype))

    def __getattr__(self, name: str) -> Any:
        find: Callable[[Members], Any] | None = LEARNED.get(name)
        if find is None or "_members" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return find(vars(self)["_members"])

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(LEARNED if self.__sklearn_is_fitted__() else ())]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        if value_of("encoder", self.get_params(deep=False)) is not None:
            tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "_members" in vars(self)


def _validation(given: Any, x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any] | None:
    """Return (X, y, sample_weight or None) of the validation rows, given in one of two ways, or None."""
    if given is None and x is None:
        return None
    if given is None:
        if y is None:
            raise ConfigurationError("X_val is given without y_val: expected both")
        return x, y, weights
    if x is not None:
        raise ConfigurationError("validation_data and X_val are both given: expected one of them")
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        parts = f"{len(given)} parts" if isinstance(given, tuple | list) else f"a {type(given).__name__}"
        raise ConfigurationError(f"validation_data is {parts}: expected (X, y) or (X, y, sample_weight)")
    return given[0], given[1], given[2] if len(given) == 3 else None


def _is_one_batch(X: Any, parameters: dict[str, Any]) -> bool:
    """Return whether X is numeric and every batch holds all its rows."""
    if not hasattr(X, "dtype") or X.dtype.kind != "f" or X.shape[0] > FEW or X.shape[0] * X.shape[1] > LITTLE:
        return False
    batch = parameters["batch_size"]
    return parameters["solver"] == "lbfgs" or (isinstance(batch, str) and batch == AUTO) or batch >= X.shape[0]


def _of_dense_layers(members: Members, own: str) -> list[NDArray[Any]]:
    values = members.networks[0].parameters
    return [np.array(values[name]) for name in values if name.startswith("dense") and name.endswith(f"/{own}")]


def _output(net: WholeNetwork) -> str:
    """Return scikit-learn's name of the last activation."""
    name = str(getattr(net.descriptions[-1], "activation", None) or "linear")
    return {"linear": "identity", "sigmoid": "logistic", "exponential": "exp"}.get(name, name)


LEARNED: dict[str, Callable[[Members], Any]] = {
    "networks_": lambda members: members.networks,
    "temperature_": lambda members: members.temperature,
    "coefs_": lambda members: _of_dense_layers(members, "kernel"),
    "intercepts_": lambda members: _of_dense_layers(members, "bias"),
    "n_layers_": lambda members: len(_of_dense_layers(members, "kernel")) + 1,
    "out_activation_": lambda members: _output(members.networks[0]),
    "n_iter_": lambda members: members.curves[0].epochs,
    "t_": lambda members: members.curves[0].rows_seen,
    "loss_": lambda members: members.curves[0].losses[-1],
    "loss_curve_": lambda members: members.curves[0].losses,
    "best_loss_": lambda members: members.curves[0].best_loss,
    "validation_scores_": lambda members: members.curves[0].scores,
    "best_validation_score_": lambda members: members.curves[0].best_score,
}
"""Attributes of a fitted estimator, as in scikit-learn's MLP; those of the first member if there are several."""
