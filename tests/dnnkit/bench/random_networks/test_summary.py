"""Ratios, means, the lower bound, and peers that reached another loss."""

from dataclasses import replace
from math import nan

import pytest

from dnnkit.bench.peers.works import product_flops
from dnnkit.bench.random_networks.summary import geometric_mean, measured, others, totals
from tests.dnnkit.bench.random_networks.made_up import FLOOR, LONG, SMALL, made_up


def test_ratios_rates_and_the_floor() -> None:
    small, large = measured(made_up())
    assert (small.name, large.name) == (SMALL.name, LONG)
    ratio = small.ratio("jax")
    assert ratio is not None
    assert ratio.value == pytest.approx(3)
    assert small.ratio("numpy") is None
    assert small.floors == pytest.approx(4.0 / FLOOR)
    assert small.flops_per_second == pytest.approx(product_flops(SMALL) / 4e-3)


def test_all_together() -> None:
    results = made_up()
    jax, torch = totals(measured(results), results.noise)
    assert (jax.peer, torch.peer) == ("jax", "torch")
    assert jax.mean == pytest.approx((3 * 0.75) ** 0.5)
    assert (jax.least, jax.at) == (pytest.approx(0.75), LONG)
    assert (jax.slower, jax.surely, jax.count) == (1, 1, 2)
    assert (torch.slower, torch.surely) == (1, 0)  # by a hundredth, less than the difference of identical code
    assert geometric_mean([0.5, 2.0, 8.0]) == pytest.approx(2.0)


def test_a_peer_that_came_to_another_loss_is_named() -> None:
    small, large = measured(made_up())
    assert list(small.disagreements()) == []
    (words,) = large.disagreements()  # 1e-7 is rounding in float64, 2e-5 is not
    assert words == f"torch differs on {LONG}: loss 0.50001, but dnnkit's is 0.5"


def test_float32_may_differ_by_more_but_not_be_lost() -> None:
    small, _ = measured(made_up())
    for loss, count in ((0.5 + 1e-5, 0), (0.501, 1), (nan, 1)):
        jax = replace(small.rows["jax"], facts=small.rows["jax"].facts | {"loss": loss})
        assert len(list(replace(small, rows=small.rows | {"jax": jax}).disagreements())) == count


def test_without_dnnkit_nothing_is_compared() -> None:
    results = made_up()
    results.rows = [row for row in results.rows if row.case["peer"] != "dnnkit"]
    networks = measured(results)
    assert others(networks) == ["jax", "torch"]
    assert totals(networks, 0.0) == []
    assert (networks[0].floors, networks[0].flops_per_second) == (None, None)
    assert list(networks[0].disagreements()) == []
