"""`dk.DNNClassifier`: a classifier as scikit-learn has them, of dense networks."""

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
    """A classifier of dense networks, for tables of any kind.

    Every parameter that is "auto" takes its value from the preset. Those of scikit-learn's `MLPClassifier` keep their
    names and meaning.

    Arguments:
        hidden_layer_sizes: units of the hidden layers, such as (128, 128).
        activation: of the hidden layers: a name, scikit-learn's "identity" and "logistic" among them, or a formula.
        preset: "tabular", an ensemble that needs no tuning; "mlp", what `MLPClassifier` does; or one of your own.
        solver: "adam", "sgd", "lbfgs", another optimizer's name, or an optimizer, such as `dk.AdamW(1e-3)`, whose
            numbers count then in place of the parameters below.
        alpha: penalty ½ α Σw² of kernels, over the rows of a batch.
        batch_size: rows of a batch, all of them at most.
        learning_rate: of "sgd": "constant", "invscaling" (`power_t`), or "adaptive", a fifth where it no longer helps.
        learning_rate_init: the first learning rate.
        power_t: exponent of "invscaling".
        max_iter: epochs at most.
        shuffle: whether each epoch has the rows in another order.
        random_state: a number, a `RandomState`, or None for another seed each time.
        tol: by how much loss or score must improve.
        verbose: whether lines about the training are printed.
        warm_start: whether `fit` goes on from the networks of the fit before.
        momentum, nesterovs_momentum: of "sgd".
        early_stopping: whether rows are held out, by which training ends and the best epoch is chosen.
        validation_fraction: the share of rows that is held out then.
        beta_1, beta_2, epsilon: of "adam".
        n_iter_no_change: epochs without improvement after which training ends.
        max_fun: evaluations of the loss at most, of "lbfgs".
        dropout: share of hidden units that are dropped.
        loss: "log_loss", or the name of a loss of probabilities, such as "categorical_focal_crossentropy", or one.
        class_weight: "balanced", a dictionary of weights by class, or None.
        schedule: of the learning rate: the name of one that takes the first rate and a number of steps, such as
            "CosineDecay"; one that is made; or None.
        normalization: before activations: "batch", "layer", "rms", or None.
        label_smoothing: what targets give up of their certainty.
        encoder: "tabular", which is `dk.TabularEncoder`; any transformer; or None for numbers as they are.
        n_ensemble: networks, whose probabilities are averaged.
        calibration: "temperature", by which logits are divided so that probabilities are right on rows held out; None.
        time_budget: seconds that `fit` may take, about; None for any.
        dtype: "float32" or "float64".
        backend: the name of a backend, or None for the default.
        n_jobs: networks that are trained at once, at most; None for as many as there are processors. It changes no bit.
        callbacks: what hears of epochs, as of `net.fit`.

    Attributes:
        classes_: the classes, sorted, or the numbers of the labels.
        networks_: the networks, each a `dk.Sequential`.
        encoder_: the fitted encoder, or None.
        target_: how targets are encoded.
        temperature_: what logits are divided by.
        n_features_in_, feature_names_in_: columns of the table, and their names if it has any.
        coefs_, intercepts_, n_layers_, n_outputs_, out_activation_, loss_, best_loss_, loss_curve_,
        validation_scores_, best_validation_score_, n_iter_, t_: as of `MLPClassifier`, of the first network.

    Source:
        scikit-learn's `MLPClassifier`; of "tabular", docs/default.md.
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
        """Train one epoch on these rows; the optimizer goes on from where it is.

        Arguments:
            X, y, sample_weight: as for `fit`.
            classes: all classes that will ever come, in the first call; None later.
        """
        is_first = not self.__sklearn_is_fitted__()
        if is_first and classes is None and not type_of_target(y).startswith("multilabel"):
            raise ConfigurationError("classes must be passed on the first call to partial_fit")
        if classes is not None:
            with data_errors():
                classes = unique_labels(classes)
            if not is_first and not np.array_equal(classes, self.classes_):
                raise ConfigurationError(
                    f"classes is {shown(classes.tolist())}, but in the call of partial_fit before it was "
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
                "y has several columns of several classes: expected one column, or one of 0 and 1 for each label"
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
        """The class of each row, or for several labels rows of 0 and 1."""
        scores = self._scores(X)
        if self._task == "multiclass":
            return self.target_.decode(scores.argmax(axis=1))
        said = (scores > 0.5).astype(np.int64)
        if len(self.classes_) == 1:
            said[...] = 0
        return self.target_.decode(said if self._task == "multilabel" else said[:, 0])

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, in the order of `classes_`, or of each label."""
        scores = self._scores(X).astype(np.float64)
        if self._task == "multilabel":
            return scores
        if self._task == "multiclass":
            return scores / scores.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
        if len(self.classes_) == 1:
            return np.ones_like(scores)
        return np.hstack([1 - scores, scores])

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))  # type: ignore[no-any-return]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
