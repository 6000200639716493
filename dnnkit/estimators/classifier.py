"""`dk.DNNClassifier`: a scikit-learn classifier of dense networks."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError, DataError
from dnnkit.estimators.base import BaseDNN
from dnnkit.estimators.data import Task
from dnnkit.estimators.inputs import as_targets, data_errors
from dnnkit.settings import NOT_NEGATIVE, shown
from dnnkit.tables.targets import ClassTarget, LabelTarget, Target

from sklearn.base import ClassifierMixin  # isort: skip
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels  # isort: skip


class DNNClassifier(ClassifierMixin, BaseDNN):  # type: ignore[misc] # scikit-learn comes without types
    """Classifier of dense networks for tables of any kind.

    A parameter that is "auto" has the value of the preset, given below as tabular / mlp where they differ. Parameters
    of scikit-learn's `MLPClassifier` keep their names and meaning.

    Arguments:
        hidden_layer_sizes: units of the hidden layers. Default (128, 128) / (100,).
        activation: activation of the hidden layers: a name, including scikit-learn's "identity" and "logistic", or a
            formula. Default "mish" / "relu".
        preset: "tabular", an ensemble that needs no tuning; "mlp", which behaves like `MLPClassifier`; or a `Preset`.
        solver: "adam" (default), "sgd", "lbfgs", another optimizer's name, or an optimizer object, such as
            `dk.AdamW(1e-3)`, whose settings replace the parameters below.
        alpha: L2 penalty ½ α Σw² of kernels, divided by the rows of a batch. Default 0 / 1e-4.
        batch_size: rows per batch, at most all of them. Default 32 to 256, growing with the number of rows / 200.
        learning_rate: schedule of "sgd": "constant" (default), "invscaling" (see `power_t`), or "adaptive", which
            divides the rate by 5 when training stalls.
        learning_rate_init: the initial learning rate. Default 0.04 / 1e-3.
        power_t: exponent of "invscaling". Default 0.5.
        max_iter: maximum number of epochs. Default 32, fewer for more than 160,000 rows / 200.
        shuffle: whether rows are reordered in each epoch. Default True.
        random_state: seed, a `RandomState`, or None for a different seed each time.
        tol: minimum improvement of loss or score. Default 0 / 1e-4.
        verbose: whether to print lines about the training.
        warm_start: whether `fit` continues with the networks of the previous fit.
        momentum, nesterovs_momentum: for "sgd". Default 0.9, True.
        early_stopping: whether to hold rows out, which decide when training ends and which epoch is kept. Default
            True / False.
        validation_fraction: the share of rows that is held out. Default 0.125 / 0.1.
        beta_1, beta_2, epsilon: for "adam". Default 0.9, 0.95 / 0.999, 1e-8.
        n_iter_no_change: epochs without improvement after which training ends. Default 16 / 10.
        max_fun: maximum number of loss evaluations of "lbfgs". Default 15000.
        dropout: rate of dropout after each hidden layer. Default 0.
        loss: "log_loss" (default), the name of another loss of probabilities, such as
            "categorical_focal_crossentropy", or a loss object.
        class_weight: "balanced", a dictionary of weights by class, or None.
        schedule: learning-rate schedule: the name of one that takes an initial rate and a number of steps, such as
            "CosineDecay"; a schedule object; or None. Default "CosLog4" / None.
        normalization: before activations: "batch", "layer", "rms", or None (default).
        label_smoothing: share of the probability that targets spread over all classes. Default 0.1 / 0.
        encoder: "tabular", which is `dk.TabularEncoder`; any transformer; or None for numbers unchanged. Default
            "tabular" / None.
        n_ensemble: number of networks whose probabilities are averaged. Default 8 / 1.
        calibration: "temperature" to calibrate probabilities on held-out rows, or None. Default "temperature" / None.
        time_budget: approximate time limit of `fit` in seconds; None (default) for no limit.
        dtype: "float32" (default; "mlp" with "lbfgs": "float64") or "float64".
        backend: name of a backend, or None for the current one.
        n_jobs: maximum number of networks that train at the same time; None for one per available thread. Results do
            not depend on it.
        callbacks: callbacks for each network's training, as in `net.fit`.

    Attributes:
        classes_: the sorted classes, or the indices of the labels.
        networks_: the networks, usually `dk.Sequential`.
        encoder_: the fitted encoder, or None.
        target_: the encoding of targets.
        temperature_: divisor of the logits.
        n_features_in_, feature_names_in_: number of columns of the table, and their names if it has any.
        coefs_, intercepts_, n_layers_, n_outputs_, out_activation_, loss_, best_loss_, loss_curve_,
        validation_scores_, best_validation_score_, n_iter_, t_: as in `MLPClassifier`, for the first network.

    Source:
        scikit-learn's `MLPClassifier`; for "tabular" see docs/default.md.
    """

    classes_: NDArray[Any]
    target_: ClassTarget | LabelTarget
    targets = (ClassTarget, LabelTarget)

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
        class_weight: Any = None,
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
        super().__init__(
            hidden_layer_sizes,
            activation,
            preset=preset,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            dropout=dropout,
            loss=loss,
            schedule=schedule,
            normalization=normalization,
            label_smoothing=label_smoothing,
            encoder=encoder,
            n_ensemble=n_ensemble,
            calibration=calibration,
            time_budget=time_budget,
            dtype=dtype,
            backend=backend,
            n_jobs=n_jobs,
            callbacks=callbacks,
        )
        self.class_weight = class_weight

    # -- fitting -----------------------------------------------------------------------------------------------------

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train one epoch on these rows, continuing with the current optimizer state.

        Arguments:
            X, y, sample_weight: as for `fit`.
            classes: all classes that can occur; required in the first call.

        Raises:
            ConfigurationError: `classes` is missing in the first call, or differs from an earlier call.
            DataError: the data cannot be used.
        """
        is_first = not self.__sklearn_is_fitted__()
        if is_first and classes is None and not type_of_target(y).startswith("multilabel"):
            raise ConfigurationError("classes must be passed on the first call to partial_fit")
        if classes is not None:
            with data_errors():
                classes = unique_labels(classes)
            if not is_first and not np.array_equal(classes, self.classes_):
                raise ConfigurationError(
                    f"classes is {shown(classes.tolist())}, but in an earlier call of partial_fit it was "
                    f"{shown(self.classes_.tolist())}"
                )
        start = None if is_first else self._members
        return self._fit(X, y, sample_weight, start=start, epochs=1, classes=classes)

    @property
    def _task(self) -> Task:
        if isinstance(self.target_, LabelTarget):
            return "multilabel"
        return "binary" if len(self.classes_) <= 2 else "multiclass"

    def _checked_targets(self, X: Any, y: Any) -> NDArray[Any]:
        checked = as_targets(self, X, y, is_numeric=False)
        with data_errors():
            check_classification_targets(checked)
        if type_of_target(checked).startswith("multiclass-multioutput"):
            raise DataError(
                "y has several columns with more than two classes: expected one column, or a 0/1 column per label"
            )
        return checked

    def _learned_target(self, y: NDArray[Any], all_of_it: NDArray[Any], weights: Any, classes: Any) -> Target:
        if type_of_target(all_of_it).startswith("multilabel"):
            return LabelTarget.fit(all_of_it)
        return ClassTarget.fit(all_of_it if classes is None else classes)

    def _take_target(self, target: Target) -> None:
        assert isinstance(target, ClassTarget | LabelTarget)
        self.target_ = target
        self.classes_ = target.classes if isinstance(target, ClassTarget) else np.arange(target.labels)
        self.n_outputs_ = 1 if self._task == "binary" else len(self.classes_)

    def _check_warm_start(self, y: NDArray[Any]) -> None:
        found = np.unique(y)
        if self._task != "multilabel" and not np.array_equal(found, self.classes_):
            raise DataError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {found}"
            )

    def _weights(self, y: NDArray[Any], weights: NDArray[Any] | None) -> NDArray[Any] | None:
        given = self.class_weight
        if given is None:
            return weights
        if self._task == "multilabel":
            raise ConfigurationError("class_weight is given, but a row may have several labels: give sample_weight")
        numbers = self.target_.encode(y)
        counts = np.bincount(numbers, weights, minlength=len(self.classes_))
        if isinstance(given, str) and given == "balanced":
            table = counts.sum() / (len(self.classes_) * np.maximum(counts, np.finfo(float).tiny))
        elif isinstance(given, Mapping):
            table = np.ones(len(self.classes_))
            for name, weight in given.items():
                where = np.flatnonzero(self.classes_ == name)
                if not len(where):
                    raise ConfigurationError(f"class_weight names a class {name!r}: the classes are {self.classes_}")
                table[where[0]] = NOT_NEGATIVE.of(f"class_weight[{name!r}]", weight)
        else:
            raise ConfigurationError(f"class_weight is {shown(given)}: expected a dictionary, 'balanced' or None")
        found: NDArray[Any] = table[numbers]
        return found if weights is None else found * weights

    # -- predictions -------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted classes (N,), or (N, labels) rows of 0 and 1 for multilabel targets."""
        scores = self._scores(X)
        if self._task == "multiclass":
            return self.target_.decode(scores.argmax(axis=1))
        said = (scores > 0.5).astype(np.int64)
        if len(self.classes_) == 1:
            said[...] = 0
        return self.target_.decode(said if self._task == "multilabel" else said[:, 0])

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return probabilities (N, classes), in the order of `classes_`, or (N, labels)."""
        scores = self._scores(X).astype(np.float64)
        if self._task == "multilabel":
            return scores
        if self._task == "multiclass":
            return scores / scores.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
        if len(self.classes_) == 1:
            return np.ones_like(scores)
        return np.hstack([1 - scores, scores])

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))  # type: ignore[no-any-return]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
