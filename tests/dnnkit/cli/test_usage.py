"""Typing errors: one line that says what was given, what is expected and what to do; shell completion."""

import os

import pytest

import dnnkit as dk
from tests.dnnkit.cli.command import dnnkit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --epochs two", "--epochs is 'two': expected a whole number; see `dnnkit train --help`"),
        ("train --learning-rate q", "--learning-rate is 'q': expected a number; see `dnnkit train --help`"),
        ("train --epochs", "--epochs was given no value: expected one after it"),
        ("train --quiet=3", "--quiet was given a value: expected --quiet alone"),
        ("train --lr 0.1", "`dnnkit train` has no option --lr: did you mean '--learning-rate'? `dnnkit train --help` "),
        ("train --epoch 3", "did you mean '--epochs'?"),
        ("train --rate 3", "did you mean '--learning-rate'?"),
        ("train --nonsense", "has no option --nonsense: `dnnkit train --help` lists all"),
        ("train --hidden 64 32", "--hidden 64 32: expected a list with commas: --hidden 64,32"),
        ("train digits --hidden 64 32 16 --epochs 3", "--hidden 64,32,16"),
        ("train --hidden=64 32 t.csv --target y", "--hidden 64,32"),
        ("train --ignore a b t.csv --target y", "--ignore a,b"),
        ("train digits mnist", "`dnnkit train` was also given 'mnist': expected DATASET|TABLE and options"),
        ("trian", "there is no command `dnnkit trian`: did you mean 'train'? choose one of train, "),
        ("bench activatons", "there is no command `dnnkit bench activatons`: did you mean 'activations'?"),
        ("predict", "`dnnkit predict` needs RUN: expected `dnnkit predict RUN FILE`"),
        ("bench compare a.json", "`dnnkit bench compare` needs B: expected `dnnkit bench compare A B`"),
        ("bench step --network 748", "did you mean '784'?"),
        ("bench random --peer tourch", "did you mean 'torch'?"),
        ("bench kernels --kernel relu_forwad", "did you mean 'relu forward'?"),
    ],
)
def test_a_usage_error_is_one_line_and_status_2(tmp_path, arguments, message):
    done = dnnkit(tmp_path, *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("dnnkit: ")
    assert message in line
    assert os.listdir(tmp_path) == []


def test_a_data_set_after_a_list_is_no_part_of_it(tmp_path):
    done = dnnkit(tmp_path, "train", "--hidden", "8", "digits", "--epochs", "1", "--backend", "numpy", "--quiet")
    assert done.returncode == 0, done.stderr


def test_help_lists_every_exit_status(tmp_path):
    text = " ".join(dnnkit(tmp_path, "--help").stdout.split())
    assert all(f" {status} " in text for status in (0, 1, 2, 130, 141, 143))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dnnkit tra", {"train"}),
        ("dnnkit train --opt", {"--optimizer"}),
        ("dnnkit train --optimizer ada", {"adam", "adamw", "adagrad", "adamax"}),
        ("dnnkit train --activation tan", {"tanh"}),
        ("dnnkit train --dtype float6", {"float64"}),
        ("dnnkit train --backend nump", {"numpy"}),
        ("dnnkit train fashion", {"fashion_mnist"}),
    ],
)
def test_shell_completion_suggests_what_may_follow(tmp_path, typed, offered):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_DNNKIT_COMPLETE": "complete_bash"}
    assert set(dnnkit(tmp_path, **words).stdout.split()) == offered


def test_a_formula_in_place_of_a_name_is_that_layers_alone():
    before = dk.Dense(2, activation="swish").activation
    own = dk.Dense(2, activation="swish = x * sigmoid(2 * x)").activation
    assert (str(own), own.formula) == ("swish", "x * sigmoid(2 * x)")
    assert dk.Dense(2, activation="swish").activation == before
