"""`dnnkit sweep` as users run it, in a separate folder."""

import json
import signal

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.many.halving import SuccessiveHalving
from tests.dnnkit.cli.command import dnnkit

GRID = ("--grid", "learning_rate=1e-3,1e-2", "--grid", "hidden=8,16")
SMALL = ("--epochs", "2")


def test_the_documented_sweep_ranks_all_combinations_and_saves_the_best(tmp_path):
    done = dnnkit(tmp_path, "sweep", "digits", *GRID, "--folds", "5", *SMALL)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "1,437 training images, 5 folds" in lines[0]
    assert lines[1] == "4 combinations x 5 = 20 networks, 2 epochs at most, float32"
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["learning_rate", "hidden", "val_loss", "val_accuracy", "epochs", "time"]
    assert [line.split()[0] for line in table[1:5]] == ["1", "2", "3", "4"]
    assert all(" ± " in line for line in table[1:5])
    assert max(map(len, table)) <= 80
    run = tmp_path / "runs" / "digits-sweep"
    found = json.loads((run / "ranking.json").read_text())
    places = found["ranking"]["places"]
    assert [place["mean"] for place in places] == sorted(place["mean"] for place in places)
    assert places[0]["low"] < places[0]["mean"] < places[0]["high"]
    assert " ".join(f"{name}={value}" for name, value in found["best"].items()) == places[0]["name"]
    (x, y), test = dk.datasets.digits.load_data()
    assert dk.load(run).evaluate(*test)["accuracy"] == found["test_accuracy"]
    said = np.load(run / "out_of_fold.npy")
    assert said.shape == (len(x), 10)
    held_out_loss = -np.log(said[np.arange(len(y)), y]).mean()
    assert held_out_loss == pytest.approx(places[0]["mean"], rel=0.01)  # which is a mean of means of folds


def test_an_interrupted_sweep_resumes_without_a_trace(tmp_path, monkeypatch):
    options = ("sweep", *GRID, "--repeats", "2", "--halving", "2", "--epochs", "5", "--metric", "accuracy")
    whole = dnnkit(tmp_path, *options, "--out", "whole", "--quiet", "--json", "whole.json")
    assert (whole.returncode, whole.stdout) == (0, "")
    chooses = SuccessiveHalving.on_epoch_end

    def interrupted(self, epoch, many):
        chooses(self, epoch, many)
        if epoch == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(SuccessiveHalving, "on_epoch_end", interrupted)
        broken = dnnkit(tmp_path, *options, "--out", "broken")
    assert broken.returncode == 130, broken.stderr
    assert "dnnkit sweep --resume broken" in broken.stdout
    assert "resume=True" not in broken.stderr
    assert not (tmp_path / "broken" / "ranking.json").exists()
    resumed = dnnkit(tmp_path, "sweep", "--resume", "broken", "--json", "broken.json", "--workers", "1")
    assert resumed.returncode == 0, resumed.stderr
    assert "halving" in resumed.stdout
    first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "broken"))
    alike = ("name", "values", "epochs", "ended", "is_close")
    assert [[place[name] for name in alike] for place in first["ranking"]["places"]] == [
        [place[name] for name in alike] for place in second["ranking"]["places"]
    ]
    assert sorted(place["epochs"] for place in first["ranking"]["places"]) == [1, 1, 2, 5]
    assert first["test_loss"] == second["test_loss"]
    again = dnnkit(tmp_path, "sweep", "--resume", "broken", "--json", "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["test_loss"] == first["test_loss"], again.stderr


def table(folder, rows=90):
    """Write a table in which price depends on size and kind, and dear on price."""
    rng = np.random.default_rng(0)
    size, kind = rng.normal(50, 10, rows), rng.choice(["flat", "house"], rows)
    price = 1e5 + 2000 * size + 4e4 * (kind == "house") + rng.normal(0, 3000, rows)
    dear = np.where(price > np.median(price), "yes", "no")
    lines = [f"{s:.2f},{k},{p:.0f},{d}" for s, k, p, d in zip(size, kind, price, dear, strict=True)]
    (folder / "houses.csv").write_text("\n".join(["size,kind,price,dear", *lines, ""]))


@pytest.mark.parametrize(
    ("target", "other", "metric", "score"), [("price", "dear", "r2", "r2"), ("dear", "price", "accuracy", "accuracy")]
)
def test_a_sweep_of_a_table_leaves_an_estimator_that_predicts(tmp_path, target, other, metric, score):
    table(tmp_path)
    options = ("sweep", "houses.csv", "--target", target, "--ignore", other, "--grid", "learning_rate=1e-4,1e-2")
    done = dnnkit(
        tmp_path, *options, "--folds", "3", "--metric", metric, "--epochs", "30", "--out", "run", "--json", "found.json"
    )
    assert done.returncode == 0, done.stderr
    assert "houses.csv: 72 training rows, 3 folds; 18 test rows" in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["best"] == {"learning_rate": "1e-2"}
    assert found["held_out"]["rows"] == 18
    assert found["held_out"][score] > 0.8
    said = np.load(tmp_path / "run" / "out_of_fold.npy")
    assert len(said) == 72
    if target == "price":
        assert 1e5 < np.median(said) < 3e5  # in the units of the table
    predicted = dnnkit(tmp_path, "predict", "run", "houses.csv")
    assert predicted.returncode == 0, predicted.stderr
    assert target in predicted.stdout
    estimator = dk.load_estimator(tmp_path / "run")
    assert estimator.preset == "plain"
    resumed = dnnkit(tmp_path, "sweep", "--resume", "run", "--json", "again.json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((tmp_path / "again.json").read_text())["held_out"] == found["held_out"]


WRONG = [
    (["--grid", "learning_rat=1"], "unknown setting 'learning_rat': did you mean 'learning_rate'?"),
    (["--grid", "momentum=0.9"], "--grid momentum: adam has no such setting; sgd has"),
    (["--grid", "optimizer=sgd,adam", "--grid", "momentum=0.5,0.9"], "--grid momentum: adam has no such setting"),
    (["--grid", "activation=relu,reluu"], "unknown activation 'reluu': did you mean 'relu'?"),
    (["--grid", "optimizer=adm"], "--grid optimizer=adm: unknown optimizer 'adm': did you mean 'adam'?"),
    (["--grid", "hidden=64,wide"], "--grid hidden=wide: expected units of a layer"),
    (["--grid", "learning_rate=fast"], "--grid learning_rate=fast: expected a number"),
    (["--grid", "beta_1=2"], "beta_1=2): expected a number"),
    (["--grid", "dropout=1"], "--grid dropout=1"),
    (["--grid", "hidden=64,128,64"], "the value 64 twice"),
    (["--grid", "hidden=64", "--grid", "hidden=128"], "--grid hidden is given twice"),
    (["--grid", "hidden="], "has an empty value"),
    (["--grid", "hidden"], "expected NAME=VALUE,VALUE"),
    (["--grid", ""], "expected NAME=VALUE,VALUE"),
    (["--grid", "batch_size=8,16"], "--batch-size, the same for all networks"),
    (["digits", "--grid", "hidden=8", "128"], "--grid hidden=8,128"),
    (["--grid", "hidden=8,16", "--hidden", "8"], "--hidden is also in the grid"),
    (["--folds", "1"], "--folds is 1"),
    (["--metric", "f1", "--folds", "2"], "--metric is 'f1': expected loss or accuracy"),
    ([], "nothing to compare: give --grid"),
    (["--resume", "nowhere"], "nowhere is not a run of `dnnkit sweep`"),
    (["--resume", "nowhere", "--epochs", "3"], "--epochs cannot be combined with --resume"),
    (["houses.csv", "--folds", "2"], "houses.csv"),
    (["digits", "--folds", "2", "--task", "numbers"], "--task is for tables, and digits is not a table"),
    (["digits", "--folds", "2", "--metric", "r2"], "--metric is 'r2': expected loss or accuracy"),
    (
        ["--grid", "learning_rate=1e30,1e31", "--grid", "optimizer=sgd", *SMALL],
        "every network's loss is NaN",
    ),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_invalid_sweeps_are_one_line_and_status_2(tmp_path, arguments, words):
    done = dnnkit(tmp_path, "sweep", *arguments)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("dnnkit: compiling ")]
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert words in errors[0]
    assert not list(tmp_path.glob("runs/*/manifest.json"))
