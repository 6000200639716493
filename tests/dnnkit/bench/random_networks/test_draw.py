"""Networks from a seed: always the same ones, each within the documented ranges."""

import re

import numpy as np

from dnnkit.bench.peers.works import LAST, product_flops
from dnnkit.bench.random_networks import draw
from dnnkit.bench.random_networks.draw import Recipe, networks


def test_a_seed_draws_the_same_networks_and_more_extend_them() -> None:
    few, many = networks(3, 7, 0.15), networks(6, 7, 0.15)
    assert few == many[:3]
    assert len({work.name for work in many}) == 6
    assert not {work.name for work in few} & {work.name for work in networks(3, 8, 0.15)}


def test_networks_are_within_the_documented_ranges_and_fill_them() -> None:
    works = networks(400, 0, 0.15)
    for work in works:
        features, *hidden, outputs = work.widths
        assert 1 <= len(hidden) <= 4
        assert all(8 <= units <= 1024 for units in hidden)
        assert 4 <= features <= 1024
        assert (2 if LAST[work.loss] == "softmax" else 1) <= outputs <= 100
        assert 8 <= work.batch_size <= 1024
        assert product_flops(work) / work.steps <= draw.MOST_FLOPS
    assert {work.activation for work in works} == {"relu", "tanh", "sigmoid", "gelu", "silu"}
    assert {work.optimizer for work in works} == {"sgd", "momentum", "adam", "adamw"}
    assert {work.loss for work in works} == set(LAST)
    assert {work.dtype for work in works} == {"float32", "float64"}
    assert {len(work.widths) - 2 for work in works} == {1, 2, 3, 4}
    batches = [work.batch_size for work in works]
    assert 0.4 < np.mean(np.array(batches) < 91) < 0.6  # the geometric middle: log-uniform
    assert min(batches) < 12
    assert max(batches) > 800


def test_an_epoch_is_whole_batches_and_takes_about_as_requested() -> None:
    for work in networks(50, 1, 0.15):
        assert work.samples == work.steps * work.batch_size
        assert draw.FEWEST_STEPS <= work.steps <= draw.MOST_STEPS
        numbers = work.samples * work.widths[0] * np.dtype(work.dtype).itemsize
        assert numbers <= draw.LARGEST or work.steps == draw.FEWEST_STEPS
    (short,), (long,) = networks(1, 1, 0.01), networks(1, 1, 1.0)
    assert short.counted * short.samples < long.counted * long.samples / 50


def test_names_are_readable() -> None:
    recipe = Recipe((370, 96, 10), 512, "sigmoid", "adamw", "mean_squared_error", "float64")
    assert recipe.name == "370-96-10 sigmoid AdamW f64 b512"
    assert re.fullmatch(r"(\d+-)+\d+ \w+ \w+ f(32|64) b\d+", networks(1, 0, 0.1)[0].name)
