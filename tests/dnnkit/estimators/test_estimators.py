"""What estimators do beyond scikit-learn's checks."""

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import dnnkit as dk
from dnnkit.errors import CheckpointError, ConfigurationError, DataError, UnknownName
from dnnkit.estimators import workers
from dnnkit.estimators.convergence import Convergence
from dnnkit.estimators.data import Curve

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::dnnkit.errors.TrainingWarning"
)
X, NUMBERS = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
Y = np.array(["setosa", "versicolor", "virginica"])[NUMBERS]
MLP = {"hidden_layer_sizes": (8,), "preset": "mlp", "max_iter": 4, "random_state": 0}
TABULAR = {"hidden_layer_sizes": (8,), "max_iter": 4, "n_ensemble": 2, "random_state": 0}
RNG = np.random.default_rng(0)
TABLE = {"size": RNG.normal(size=120), "kind": RNG.choice(["u", "v", "w"], 120), "is_new": RNG.random(120) < 0.5}
TABLE["size"][7] = np.nan
ANSWER = np.where((TABLE["kind"] == "u") ^ TABLE["is_new"], "yes", "no")


# -- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [MLP, {**MLP, "early_stopping": True, "batch_size": 16}, {**TABULAR, "encoder": None}]
)
def test_a_sparse_matrix_is_learned_as_a_dense_one(given: dict[str, Any]) -> None:
    sparse = scipy.sparse.csr_matrix(X)
    dense = dk.DNNClassifier(**given).fit(X, Y, validation_data=(X[:40], Y[:40]), sample_weight=np.arange(1.0, 151))
    other = dk.DNNClassifier(**given).fit(
        sparse, Y, validation_data=(sparse[:40], Y[:40]), sample_weight=np.arange(1.0, 151)
    )
    assert np.array_equal(dense.predict_proba(X), other.predict_proba(sparse))
    dense.partial_fit(X, Y, np.ones(150))
    assert np.array_equal(dense.predict_proba(X), other.partial_fit(sparse, Y, np.ones(150)).predict_proba(sparse))


def test_a_sparse_matrix_is_never_dense() -> None:
    rows = 15_000  # a dense copy would be larger than what each of many threads holds of the network
    places = RNG.integers(4000, size=(rows, 3))
    x = scipy.sparse.csr_matrix((np.ones(3 * rows), places.ravel(), np.arange(0, 3 * rows + 1, 3)), shape=(rows, 4000))
    estimator = dk.DNNClassifier(**{**MLP, "max_iter": 1})
    estimator.fit(x[:200], np.arange(200) % 2)  # created once
    tracemalloc.start()
    estimator.fit(x, np.arange(rows) % 2).predict(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * 4000 * 4 / 2


def test_tables_come_as_they_are() -> None:
    estimator = dk.DNNClassifier(**{**TABULAR, "max_iter": 30}).fit(TABLE, ANSWER)
    assert estimator.score(TABLE, ANSWER) > 0.95
    assert estimator.feature_names_in_.tolist() == list(TABLE)
    turned = dict(reversed(TABLE.items()))
    assert np.array_equal(estimator.predict_proba(turned), estimator.predict_proba(TABLE))
    rows = [list(row) for row in zip(*TABLE.values(), strict=True)]
    assert dk.DNNClassifier(**TABULAR).fit(rows, ANSWER).n_features_in_ == 3
    with pytest.raises(DataError, match="has no column 'kind', which training had"):
        estimator.predict({name: TABLE[name] for name in ("size", "is_new")})
    with pytest.raises(DataError, match="for columns of text use encoder='tabular'"):
        dk.DNNClassifier(**MLP).fit(np.array(rows, object), ANSWER)


@pytest.mark.extras
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_data_frame_is_accepted_directly(library: str) -> None:
    module = pytest.importorskip(library)
    frame = (module.table if library == "pyarrow" else module.DataFrame)(TABLE)
    by_frame = dk.DNNClassifier(**TABULAR).fit(frame, ANSWER)
    assert by_frame.feature_names_in_.tolist() == list(TABLE)
    assert np.array_equal(
        by_frame.predict_proba(frame), dk.DNNClassifier(**TABULAR).fit(TABLE, ANSWER).predict_proba(TABLE)
    )


def test_several_labels_and_several_numbers() -> None:
    x, y = make_multilabel_classification(60, n_classes=3, random_state=0)
    classifier = dk.DNNClassifier(**MLP, early_stopping=True, validation_fraction=0.3).fit(x, y)
    assert classifier.predict(x).shape == y.shape
    assert classifier.out_activation_ == "logistic"
    said = classifier.predict_proba(x)
    assert classifier.score(x, y) == np.mean(((said > 0.5) == y).all(axis=1))
    assert len(classifier.validation_scores_) == 4
    numbers = np.stack([x[:, 0], 1000 + 5 * x[:, 1]], axis=1)
    regressor = dk.DNNRegressor(**{**TABULAR, "max_iter": 60}).fit(x, numbers)
    assert regressor.predict(x).shape == numbers.shape
    assert regressor.score(x, numbers) > 0.8
    assert regressor.target_.centers == pytest.approx(numbers.mean(axis=0))


def test_a_constant_target_is_predicted() -> None:
    assert dk.DNNRegressor(**TABULAR).fit(X, np.full(150, 3.5)).predict(X[:5]) == pytest.approx([3.5] * 5)
    one = dk.DNNClassifier(**MLP).fit(X, ["a"] * 150)
    assert set(one.predict(X)) == {"a"}
    assert one.predict_proba(X).tolist() == [[1.0]] * 150


def test_class_weights_are_weights_of_rows() -> None:
    kept = np.r_[:60, 100:150]
    balanced = dk.DNNClassifier(**MLP, class_weight="balanced").fit(X[kept], Y[kept])
    of_classes = {name: 110 / 3 / np.sum(Y[kept] == name) for name in np.unique(Y)}
    named = dk.DNNClassifier(**MLP, class_weight=of_classes).fit(X[kept], Y[kept])
    weights = np.array([of_classes[name] for name in Y[kept]])
    weighted = dk.DNNClassifier(**{**MLP, "batch_size": 100}, class_weight="balanced").fit(X[kept], Y[kept])
    by_rows = dk.DNNClassifier(**{**MLP, "batch_size": 100}).fit(X[kept], Y[kept], weights)
    assert np.array_equal(balanced.predict_proba(X), named.predict_proba(X))
    assert np.array_equal(weighted.predict_proba(X), by_rows.predict_proba(X))


# -- training --------------------------------------------------------------------------------------------------------


def test_partial_fits_are_the_epochs_of_a_fit() -> None:
    whole = dk.DNNClassifier(**{**MLP, "max_iter": 3}).fit(X, Y)
    parts = dk.DNNClassifier(**MLP)
    for _ in range(3):
        parts.partial_fit(X, Y, classes=np.unique(Y))
    assert parts.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-4)
    assert (parts.n_iter_, parts.t_) == (1, 450)
    with pytest.raises(DataError, match="y has 'other' in row 0, not one of the 3 classes"):
        parts.partial_fit(X[:1], ["other"])
    with pytest.raises(ConfigurationError, match="classes must be passed on the first call"):
        dk.DNNClassifier(**MLP).partial_fit(X, Y)


def test_a_warm_start_continues() -> None:
    estimator = dk.DNNClassifier(**MLP, warm_start=True).fit(X, Y)
    before = estimator.loss_
    estimator.fit(X, Y)
    assert estimator.loss_ < before
    assert len(estimator.loss_curve_) == 8
    with pytest.raises(DataError, match="warm_start can only be used"):
        estimator.fit(X[:100], Y[:100])


@pytest.mark.parametrize("by_score", [False, True])
def test_training_ends_where_scikit_learns_does(by_score: bool) -> None:
    """Follow a given sequence of losses, or of scores: stopping is a function of them alone."""
    values = [1.0, 0.9, 0.85, 0.84, 0.845, 0.83, 0.8, 0.79, 0.795, 0.785, 0.79, 0.785, 0.7]
    best, waited, expected = np.inf, 0, len(values)
    for number, value in enumerate(values):  # BaseMultilayerPerceptron._update_no_improvement_count
        waited = waited + 1 if value > best - 0.02 else 0
        best = min(best, value)
        if waited > 3:
            expected = number + 1
            break

    class Settings:
        tol, n_iter_no_change, early_stopping, solver, learning_rate, schedule = 0.02, 3, by_score, "adam", "", None

    class Net:
        stop_training, optimizer, predicting_parameters = False, None, {}

        def set_parameters(self, values: Any) -> None:
            pass

    score = "val_accuracy" if by_score else None
    curve, net = Curve(), Net()
    given: dict[str, Any] = {"rows": 10, "reported": 1.0, "rate": 1.0, "score": score, "stops": True, "progress": None}
    watch = Convergence(Settings, curve, **given)  # type: ignore[arg-type]
    watch.set_model(net)  # type: ignore[arg-type]
    watch.on_train_begin()
    for number, value in enumerate(values):
        watch.on_epoch_end(number, {"loss": value, "val_accuracy": 1 - value})
        if net.stop_training:
            break
    assert curve.epochs == expected < len(values)
    assert (curve.best_score if by_score else curve.best_loss) == (1 - best if by_score else best)


def test_members_share_the_processors_and_bits_do_not_depend_on_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "processors", lambda: 8)
    for name in workers.BOUNDS:
        monkeypatch.delenv(name, raising=False)
    assert [workers.at_once(None, members) for members in (1, 3, 8, 20)] == [(1, 8), (3, 2), (8, 1), (8, 1)]
    assert workers.at_once(2, 4) == (2, 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in joblib's processes
    assert workers.at_once(-1, 4) == (1, 1)
    monkeypatch.undo()
    one, two = (dk.DNNClassifier(**MLP, n_ensemble=3, n_jobs=n_jobs).fit(X, Y) for n_jobs in (1, 2))
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
    means = np.mean([net.predict(X.astype(np.float32)) for net in one.networks_], axis=0)
    assert one.predict_proba(X) == pytest.approx(means, abs=1e-6)


def test_solvers_are_optimizers_of_dnnkit() -> None:
    solver = dk.AdamW(3e-3)
    estimator = dk.DNNClassifier(**MLP, solver=solver, activation="silu", dropout=0.1, normalization="layer").fit(X, Y)
    assert estimator.networks_[0].optimizer == solver
    assert estimator.networks_[0].optimizer is not solver
    lines = estimator.networks_[0].descriptions
    assert [type(layer).__name__ for layer in lines] == [
        "Dense",
        "LayerNormalization",
        "Activation",
        "Dropout",
        "Dense",
    ]
    assert dk.DNNRegressor(**MLP, solver="lbfgs").fit(X, NUMBERS).networks_[0].dtype == "float64"
    slow = dk.DNNRegressor(**MLP, solver="sgd", learning_rate="invscaling").fit(X, NUMBERS)
    assert slow.networks_[0].optimizer.learning_rate == pytest.approx(0.5 * 1e-3 / 601**0.5)


class Interrupting(dk.Callback):
    """Presses Ctrl-C after the second epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:training was interrupted")
@pytest.mark.parametrize("x", [X, scipy.sparse.csr_matrix(X)], ids=["dense", "sparse"])
def test_ctrl_c_keeps_the_results(x: Any) -> None:
    estimator = dk.DNNClassifier(**MLP, callbacks=[Interrupting()]).fit(x, Y)
    two = dk.DNNClassifier(**{**MLP, "max_iter": 2}, callbacks=[dk.Callback()]).fit(x, Y)
    assert np.array_equal(estimator.predict_proba(x), two.predict_proba(x))
    assert estimator.n_iter_ == 2


def test_a_time_budget_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    for module in ("mlp", "convergence"):
        monkeypatch.setattr(f"dnnkit.estimators.{module}.perf_counter", lambda: float(next(clock)))
    estimator = dk.DNNClassifier(**{**MLP, "max_iter": 1000}, time_budget=20, n_ensemble=2, n_jobs=1).fit(X, Y)
    assert [curve.ended for curve in estimator._members.curves] == [
        f"time budget spent after {n} epochs" for n in (10, 8)
    ]


WRONG = {
    "hidden_layer_sizes": [(0,), "hidden_layer_sizes is (0,): expected sizes"],
    "activation": ["reluu", "did you mean 'relu'"],
    "solver": ["adan", "did you mean 'adam'"],
    "alpha": [-1, "alpha is -1: expected a finite number, 0 or more"],
    "loss": ["huber", "loss is 'huber', which is not a loss of the probabilities of a multiclass target"],
    "schedule": ["cosinedekay", "unknown schedule"],
    "class_weight": [{"rose": 2}, "class_weight names a class 'rose'"],
    "encoder": ["table", "did you mean 'tabular'"],
    "preset": ["fast", "unknown preset 'fast': choose one of mlp, tabular"],
    "n_jobs": [0, "n_jobs is 0: expected"],
    "calibration": ["temperature", "which the preset 'mlp' does not support"],
    "random_state": ["x", "cannot be used to seed"],
    "validation_data": [(X,), "validation_data is 1 parts: expected"],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_parameter_is_one_line(name: str) -> None:
    value, words = WRONG[name]
    asked = {} if name == "validation_data" else {name: value}
    held_out = value if name == "validation_data" else None
    with pytest.raises((ConfigurationError, UnknownName, DataError)) as caught:
        dk.DNNClassifier(**{**MLP, **asked}).fit(X, Y, validation_data=held_out)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_for_classes_are_rejected_for_numbers() -> None:
    with pytest.raises(ConfigurationError, match=r"label_smoothing is 0\.1: leave it out, it is for classifiers"):
        dk.DNNRegressor(**MLP, label_smoothing=0.1).fit(X, NUMBERS)


# -- saves and pickles -----------------------------------------------------------------------------------------------

KEPT = {
    "plain": dk.DNNClassifier(**MLP, class_weight={"setosa": 2.0}, n_iter_no_change=np.inf),
    "tabular": dk.DNNClassifier(**TABULAR, solver=dk.AdamW(1e-3), encoder=dk.TabularEncoder(rare=3)),
    "regressor": dk.DNNRegressor(**TABULAR, loss=dk.losses.Huber(delta=2.0)),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_save_a_pickle_and_a_clone_predict_alike(name: str, tmp_path: Path) -> None:
    estimator = clone(KEPT[name]).fit(X, NUMBERS if name == "regressor" else Y)
    estimator.save(tmp_path / "saved")
    joblib.dump(estimator, tmp_path / "dumped")
    predict = "predict" if name == "regressor" else "predict_proba"
    expected = getattr(estimator, predict)(X)
    for other in (
        dk.load_estimator(tmp_path / "saved"),
        pickle.loads(pickle.dumps(estimator)),
        joblib.load(tmp_path / "dumped"),
    ):
        assert np.array_equal(getattr(other, predict)(X), expected)
        assert np.array_equal(other.predict(X), estimator.predict(X))
        assert repr(other) == repr(estimator)
        assert other.loss_curve_ == estimator.loss_curve_
        other.partial_fit(X, NUMBERS if name == "regressor" else Y)
        assert len(other.loss_curve_) == len(estimator.loss_curve_) + 1
    files = {path.suffix for path in (tmp_path / "saved" / "versions" / "000001").iterdir()}
    assert files == {".json", ".safetensors"}
    with pytest.raises(CheckpointError, match=r"use dk\.load_estimator"):
        dk.load(tmp_path / "saved")
    estimator.networks_[0].save(tmp_path / "network")
    with pytest.raises(CheckpointError, match=r"use dk\.load"):
        dk.load_estimator(tmp_path / "network")
    with pytest.raises(sklearn.exceptions.NotFittedError):
        clone(estimator).save(tmp_path / "none")


@pytest.mark.extras
def test_skops_keeps_it() -> None:
    io = pytest.importorskip("skops.io")
    estimator = dk.DNNClassifier(**TABULAR, solver=dk.AdamW(1e-3)).fit(TABLE, ANSWER)
    data = io.dumps(estimator)
    types = io.get_untrusted_types(data=data)
    assert all(name.startswith("dnnkit.") for name in types)
    assert np.array_equal(io.loads(data, trusted=types).predict_proba(TABLE), estimator.predict_proba(TABLE))


# -- with other parts of scikit-learn --------------------------------------------------------------------------------


def test_it_works_in_pipelines_searches_and_calibration() -> None:
    pipeline = make_pipeline(StandardScaler(), dk.DNNClassifier(**{**MLP, "max_iter": 60, "learning_rate_init": 0.02}))
    search = GridSearchCV(pipeline, {"dnnclassifier__dropout": [0.0, 0.1]}, cv=2).fit(X, Y)
    assert search.best_score_ > 0.8
    found = cross_validate(pipeline, X, Y, cv=2, return_estimator=True)
    assert np.mean([each.score(X, Y) for each in found["estimator"]]) > 0.8
    assert CalibratedClassifierCV(pipeline, cv=2).fit(X, Y).score(X, Y) > 0.8
    importance = permutation_importance(search.best_estimator_, X, Y, n_repeats=2, random_state=0).importances_mean
    assert importance.argmax() in (2, 3)
    assert "DNNClassifier" in pipeline._repr_html_()
    kinds, rows = TABLE["kind"][:, None], {**MLP, "max_iter": 2}
    columns = make_column_transformer((OneHotEncoder(), [0]))
    assert make_pipeline(columns, dk.DNNClassifier(**rows)).fit(kinds, ANSWER).predict(kinds).shape == (120,)


def test_metadata_is_routed_to_it() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        estimator = dk.DNNClassifier(**MLP).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        pipeline = Pipeline([("scale", scaler), ("net", estimator)], transform_input=["X_val"])
        pipeline.fit(X * 100, Y, sample_weight=np.ones(150), X_val=X * 100, y_val=Y)
    assert len(pipeline[-1].validation_scores_) == 4
    direct = dk.DNNClassifier(**MLP).fit(X, Y, np.ones(150), validation_data=(X, Y))
    assert pipeline[-1].validation_scores_ == pytest.approx(direct.validation_scores_)


@pytest.mark.slow
def test_searches_in_processes_have_a_thread_each() -> None:
    given = {"hidden_layer_sizes": [(4,), (8,)]}
    search = GridSearchCV(dk.DNNClassifier(**MLP), given, cv=2, n_jobs=2).fit(X, Y)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    found = cross_validate(dk.DNNClassifier(**MLP), X, Y, cv=2, n_jobs=2, return_estimator=True)
    most = max(1, workers.processors() // 2)
    assert all(each.networks_[0].num_threads <= most for each in found["estimator"])
    alone = [clone(each) for each in found["estimator"]]
    assert all(
        hasattr(each, "classes_") and not hasattr(bare, "classes_")
        for each, bare in zip(found["estimator"], alone, strict=True)
    )


def test_the_preset_plain_trains_for_a_fixed_number_of_epochs():
    x = np.random.default_rng(0).normal(size=(120, 3))
    y = 1000 + 50 * x[:, 0]
    options = {"preset": "plain", "learning_rate_init": 1e-2, "max_iter": 40, "random_state": 0}
    estimator = dk.DNNRegressor((16,), warm_start=True, **options).fit(x, y)
    assert estimator.n_iter_ == 40
    assert estimator.score(x, y) > 0.95  # targets are standardized
    before = estimator.loss_
    assert len(estimator.fit(x, y).loss_curve_) == 80
    assert estimator.loss_ < before
    with pytest.raises(ConfigurationError, match="early_stopping is True, but the preset 'plain' trains for max_iter"):
        dk.DNNRegressor((16,), early_stopping=True, **options).fit(x, y)
