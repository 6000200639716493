"""Results of many networks: intervals, rankings, folds, halving, tables."""

from itertools import product
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.many.folds import classes_of, division_of, folds_of
from dnnkit.many.intervals import interval_of_mean, student
from dnnkit.many.ranking import HALVING, Run, rank
from dnnkit.many.standing import Standing
from dnnkit.many.text_table import lines_of

ROWS = 60
EPOCHS = 4


def blobs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(ROWS) % 3
    return (rng.normal(size=(ROWS, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32), y


def network(seed: int, *, rate: float = 0.01, name: str | None = None, backend: str | None = None) -> dk.Sequential:
    layers = [dk.Dense(6, activation="relu"), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=seed, name=name, backend=backend, num_threads=1)
    net.compile(dk.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


# -- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freedom", "level", "t"),  # from SciPy 1.17
    [
        (1, 0.95, 12.706204736432095),
        (2, 0.95, 4.302652729696142),
        (3, 0.95, 3.182446305284263),
        (4, 0.95, 2.7764451051977987),
        (9, 0.99, 3.249835541592126),
        (30, 0.5, 0.6827556933212927),
        (1000, 0.95, 1.9623390808264078),
        (10**6, 0.95, 1.959966363),
    ],
)
def test_students_t_is_that_of_the_tables(freedom, level, t):
    assert student(freedom, level) == pytest.approx(t, rel=1e-5 if freedom > 1000 else 1e-9)


def test_an_interval_has_its_coverage_and_is_wider_for_shared_rows():
    rng = np.random.default_rng(0)
    found = [interval_of_mean(rng.normal(3.0, 2.0, 5).tolist()) for _ in range(2000)]
    assert np.mean([3.0 in each for each in found]) == pytest.approx(0.95, abs=0.015)
    values = [1.0, 2.0, 4.0]
    plain, shared = interval_of_mean(values), interval_of_mean(values, share=1 / 4)
    assert shared.reach / plain.reach == pytest.approx(np.sqrt((1 / 3 + 1 / 4) / (1 / 3)))
    assert isnan(interval_of_mean([1.0]).low)
    assert interval_of_mean([1.0]).mean == 1.0


# -- rankings --------------------------------------------------------------------------------------------------------


def runs_of(values: list[float], ended: str = "", epochs: int = EPOCHS) -> list[Run]:
    return [Run(value, 1.0, epochs, ended) for value in values]


def test_a_ranking_has_the_trained_then_the_stopped_then_those_without_value():
    runs = [
        *runs_of([0.1, 0.1], HALVING, 1),
        *runs_of([nan, 0.2], "loss is NaN in step 1 of epoch 2", 2),
        *runs_of([0.5, 0.6]),
        *runs_of([0.3, 0.2], HALVING, 2),
        *runs_of([0.4, 0.5]),
    ]
    names = [name for name in "abcde" for _ in range(2)]
    found = rank(runs, names, "val_loss", higher_is_better=False)
    assert [place.name for place in found] == ["e", "c", "d", "a", "b"]
    assert [place.rank for place in found] == [1, 2, 3, 4, 5]
    assert found[1].networks == (4, 5)
    assert found[0].mean == pytest.approx(0.45)
    assert "loss is NaN" in found[4].ended[0]
    assert found.to_json()["places"][4]["mean"] is None
    assert [place.name for place in rank(runs, names, "val_accuracy", higher_is_better=True)][:2] == ["c", "e"]


def test_close_to_the_first_means_differing_by_chance_per_fold():
    folds = [0.30, 0.50, 0.40, 0.60, 0.20]  # which differ more than the networks do
    slightly = [value + 0.02 + 0.001 * number for number, value in enumerate(folds)]
    at_random = [value + change for value, change in zip(folds, (0.2, -0.15, 0.1, -0.1, 0.05), strict=True)]
    names = [name for name in ("best", "slightly", "at random") for _ in folds]
    found = rank(runs_of(folds + slightly + at_random), names, "val_loss", higher_is_better=False, share=1 / 4)
    assert {place.name: place.is_close for place in found} == {"best": True, "slightly": False, "at random": True}
    single = rank(runs_of([0.1, 0.1]), ["a", "b"], "val_loss", higher_is_better=False)
    assert not single[1].is_close  # with one network each nothing is known about chance
    assert " = " not in repr(single)


# -- folds -----------------------------------------------------------------------------------------------------------


@given(st.integers(2, 7), st.integers(0, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_folds_hold_out_every_row_once_in_equal_shares(folds, more, classes, repeats, seed):
    rows = folds + more
    labels = np.random.default_rng(seed).integers(classes, size=rows)
    found = folds_of(rows, folds, labels=labels, repeats=repeats, seed=seed)
    assert len(found) == folds * repeats
    for repeat in range(repeats):
        own = found[repeat * folds : (repeat + 1) * folds]
        assert np.array_equal(np.sort(np.concatenate([held_out for _, held_out in own])), np.arange(rows))
        assert np.ptp([len(held_out) for _, held_out in own]) <= 1
        for label in range(classes):
            assert np.ptp([(labels[held_out] == label).sum() for _, held_out in own]) <= 1
        for train, held_out in own:
            assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(rows))
    again = folds_of(rows, folds, labels=labels, repeats=repeats, seed=seed)
    assert all(
        np.array_equal(*pair) for one, other in zip(found, again, strict=True) for pair in zip(one, other, strict=True)
    )


def test_classes_are_known_by_their_kind():
    assert classes_of(np.array([3, 1, 3])).tolist() == [1, 0, 1]
    assert classes_of(np.array([[True], [False]])).tolist() == [1, 0]
    assert classes_of(np.eye(3)[[2, 0]]).tolist() == [2, 0]
    assert classes_of(np.array([0.5, 1.5])) is None
    assert classes_of(np.array([[1, 1], [0, 1]])) is None  # several labels at once


@pytest.mark.parametrize(
    ("folds", "error", "words"),
    [
        (1, ConfigurationError, "folds is 1"),
        (61, DataError, "60 rows cannot be divided into 61 folds"),
        ([], ConfigurationError, "folds is empty"),
        ([3, 4], ConfigurationError, r"folds\[0\] is 3"),
        ([([0, 1], [1, 2])], DataError, "trains on held-out rows"),
        ([([0, 1], [60])], DataError, "expected 0 to 59"),
        ([([0, 1], [])], DataError, "at least one"),
    ],
)
def test_folds_that_cannot_be_are_one_clear_error(folds, error, words):
    with pytest.raises(error, match=words):
        division_of(folds, ROWS, None, 1, 0)


# -- cross-validation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_sparse", [False, True])
def test_cross_validation_predicts_each_row_by_a_network_without_it(backend, is_sparse):
    x, y = blobs()
    x = sparse.csr_array(np.pad(x, ((0, 0), (100, 200)))) if is_sparse else x
    made: list[int] = []

    def make(seed: int) -> dk.Sequential:
        made.append(seed)
        return network(seed, backend=backend)

    found = dk.cross_validate(
        make, x.tocoo() if is_sparse else x, y, folds=3, seed=7, epochs=EPOCHS, batch_size=8, verbose=0
    )
    assert made == [7, 8, 9]
    predictions = np.full((ROWS, 3), np.nan, np.float32)
    for number, (train, held_out) in enumerate(found.rows):
        assert np.bincount(y[held_out]).tolist() in ([7, 7, 6], [7, 6, 7], [6, 7, 7])
        alone = network(7 + number, backend=backend)
        alone.fit(x[train], y[train], batch_size=8, epochs=EPOCHS, verbose=0)
        predictions[held_out] = alone.predict(x[held_out])
        assert found.scores["loss"][number] == alone.evaluate(x[held_out], y[held_out])["loss"]
    assert np.array_equal(found.predictions, predictions)
    interval = found.interval("accuracy")
    assert interval.mean == pytest.approx(np.mean(found.scores["accuracy"]))
    assert np.allclose(found.predict(x), np.mean([net.predict(x) for net in found.networks], axis=0))
    assert f"accuracy {interval.mean:.4f} ± {interval.reach:.4f}" in repr(found)
    with pytest.raises(ConfigurationError, match="did you mean 'accuracy'"):
        found.interval("acuracy")


def test_repeats_split_anew_and_rows_never_held_out_have_no_prediction():
    x, y = blobs()
    found = dk.cross_validate(lambda: network(0), x, y, folds=2, repeats=2, epochs=1, verbose=0)
    assert not np.array_equal(found.rows[0][1], found.rows[2][1])
    first = [found.networks[number].predict(x[:1])[0] for number in range(4) if 0 in found.rows[number][1]]
    assert np.allclose(found.predictions[0], np.mean(first, axis=0))
    one = dk.cross_validate(network(0), x, y, folds=[(np.arange(50), np.arange(50, 60))], epochs=1, verbose=0)
    assert np.isnan(one.predictions[:50]).all()
    assert np.isfinite(one.predictions[50:]).all()
    with pytest.raises(ConfigurationError, match="was trained before"):
        dk.cross_validate(one.networks[0], x, y, epochs=1)
    with pytest.raises(ConfigurationError, match="cross_validate does not accept rows"):
        dk.cross_validate(network(0), x, y, rows=[])
    with pytest.raises(DataError, match="stratified=True"):
        dk.cross_validate(network(0), x, x[:, 0], stratified=True)


# -- halving ---------------------------------------------------------------------------------------------------------


def test_halving_stops_all_but_the_best_which_equal_their_own_fit(tmp_path):
    x, y = blobs()
    rates = [1e-4, 1e-3, 1e-2, 1e-1, 1e30, 3e-4, 3e-3, 3e-2, 3e-1]
    pairs = [(rate, seed) for rate in rates for seed in range(2)]
    given = {"epochs": 9, "batch_size": 8, "validation_split": 0.25, "verbose": 0}

    def networks() -> list[dk.Sequential]:
        return [network(seed, rate=rate, name=f"rate {rate:g}") for rate, seed in pairs]

    with np.errstate(all="ignore"), pytest.warns(dk.errors.TrainingWarning):
        many = dk.fit_many(networks(), x, y, callbacks=[dk.SuccessiveHalving(factor=3)], **given)
    lengths = [len(history.epoch) for history in many.histories]
    assert sorted(lengths) == [1] * 12 + [3] * 4 + [9] * 2
    # the seeds of a configuration continue together
    assert all(one == other for one, other in zip(lengths[::2], lengths[1::2], strict=True))
    first = [np.mean([many.histories[2 * place + seed]["val_loss"][0] for seed in range(2)]) for place in range(9)]
    going_on = {place for place in range(9) if lengths[2 * place] > 1}
    assert going_on == set(np.argsort(np.where(np.isnan(first), np.inf, first))[:3])
    assert {why for why, length in zip(many.stopped, lengths, strict=True) if length == 9} == {"epochs"}
    best = many.ranking()[0]
    assert lengths[best.networks[0]] == 9
    rate, seed = pairs[best.networks[0]]
    alone = network(seed, rate=rate)
    alone.fit(x, y, **given)
    for name, value in alone.parameters.items():
        assert np.array_equal(value, many.networks[best.networks[0]].parameters[name])
    with pytest.raises(ConfigurationError, match=r"'val_acuracy', which is not measured: did you mean 'val_accuracy'"):
        many.ranking("val_acuracy")


def test_halving_repeats_its_choice_where_a_sweep_resumes():
    """After a kill some networks have trained beyond the choice, and others have already been stopped."""
    x, y = blobs()
    chooses = dk.SuccessiveHalving(factor=2)
    nets = [network(0, rate=rate) for rate in (1e-4, 1e-3, 1e-2, 1e-1, 3e-1)]
    many = dk.fit_many(nets, x, y, epochs=5, validation_split=0.25, callbacks=[chooses], verbose=0)
    lengths = [len(history.epoch) for history in many.histories]
    assert sorted(lengths) == [1, 1, 1, 2, 5]
    for done in (1, 2, 4):
        for before in (done - 1, done):  # whether the stopped ones had been saved when the process ended
            stopped = [HALVING if length <= before and length < 5 else "" for length in lengths]
            again: list[int] = []
            later = dk.ManyHistory(
                nets, many.histories, stopped, 0.0, [None] * 5, lambda number, _, again=again: again.append(number)
            )
            chooses.on_epoch_end(done - 1, later)
            assert sorted(again) == [number for number in range(5) if lengths[number] == done and not stopped[number]]


def test_a_ranking_uses_the_epoch_whose_weights_were_restored():
    x, y = blobs()
    many = dk.fit_many(
        [network(seed, rate=0.3) for seed in range(3)],
        x,
        y,
        rows=[(np.arange(30), np.arange(30, 60))] * 3,
        epochs=30,
        early_stopping=2,
        verbose=0,
    )
    for place in many.ranking():
        measured = many.networks[place.networks[0]].evaluate(x[30:], y[30:])["loss"]
        assert place.mean == pytest.approx(measured, rel=1e-6)
        assert place.mean == min(many.histories[place.networks[0]]["val_loss"])


# -- output ----------------------------------------------------------------------------------------------------------


def test_the_table_of_many_networks_fits_the_terminal_and_counts_the_rest():
    x, y = blobs()
    names = [f"learning_rate={rate} hidden={width} activation=relu" for rate, width in product(range(8), range(4))]
    nets = [network(number, name=name) for number, name in enumerate(names)]
    seen: list[list[str]] = []

    class Looking:
        def on_epoch_end(self, epoch, many):
            if epoch:
                many.stop(5, HALVING)
                many.stop(6, HALVING)
            seen.append(Standing(many, 3).picture(79, 12))

    many = dk.fit_many(nets, x, y, epochs=3, validation_split=0.25, callbacks=[Looking()], verbose=0)
    for lines in (*seen, last := Standing(many, 3).picture(79, 12)):
        assert len(lines) == 15
        assert max(map(len, lines)) <= 79
    assert seen[0][0].startswith("32 networks - 32 of 96 epochs")
    assert seen[0][-1] == "... 20 more: 20 in training"
    losses = [float(line.split()[-2]) for line in seen[0][2:-1]]
    assert losses == sorted(losses)
    told = [line for line in last[2:-1] if line.endswith("halving")]
    assert f"{2 - len(told)} halving" in last[-1] or len(told) == 2
    assert "best val_loss" in Standing(many, 3).line()


def test_a_table_cuts_its_longest_text_where_it_is_too_wide():
    lines = lines_of(["name", "loss"], [["a" * 30, "0.5"], ["b", "12.25"]], 20, {0})
    assert lines == ["name            loss", "aaaaaaaaaaaa…    0.5", "b              12.25"]
