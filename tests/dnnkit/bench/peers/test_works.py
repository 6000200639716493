"""What is measured, and its minimal arithmetic."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dnnkit.bench.peers.registry import find_peers
from dnnkit.bench.peers.works import (
    BEST,
    FLOOR,
    WORKS,
    Work,
    arithmetic_floor,
    choose,
    epoch_order,
    growth_works,
    initial_weights,
    product_flops,
    update_bytes,
)
from dnnkit.training import epoch_order as own
from tests.dnnkit.bench.peers.made_up import SMALL


def test_flops_are_those_of_the_products_counted_one_by_one() -> None:
    for work in [*WORKS, *growth_works()]:
        flops = 0
        for layer, (inputs, outputs) in enumerate(zip(work.widths, work.widths[1:], strict=False)):
            forward = weight_gradient = input_gradient = 2 * inputs * outputs
            flops += work.samples * (forward + weight_gradient + (input_gradient if layer else 0))
        assert product_flops(work) == flops, work.name


def test_the_floor_of_the_first_work() -> None:
    work = WORKS[0]
    assert work.steps == 1875
    assert product_flops(work) / work.steps == 13_090_816  # a step of 32 rows
    assert arithmetic_floor(work, 147e9) == pytest.approx(0.167, abs=5e-4)


def test_the_bytes_of_an_epochs_updates() -> None:
    adam, sgd = WORKS[0], WORKS[3]
    assert adam.parameters == 784 * 128 + 128 + 128 * 10 + 10
    assert update_bytes(adam) == 1875 * adam.parameters * 7 * 4
    assert update_bytes(sgd) == 600 * sgd.parameters * 3 * 4
    assert update_bytes(replace(sgd, optimizer="momentum", dtype="float64")) == 600 * sgd.parameters * 5 * 8


def test_a_smaller_last_batch_is_a_step() -> None:
    assert replace(SMALL, samples=33, batch_size=32).steps == 2


def test_works_survive_json() -> None:
    for work in [*WORKS, *growth_works()]:
        assert Work.from_json(json.loads(json.dumps(work.to_json()))) == work


def test_works_are_chosen_by_the_beginning_of_their_names() -> None:
    assert choose(None) == list(WORKS)
    assert [work.name for work in choose("7, 1")] == ["1", "7a", "7b"]
    assert [work.name for work in choose("s")] == ["s1", "s2", "s3", "s4"]
    with pytest.raises(SystemExit, match="unknown works 9: choose from 1, 2"):
        choose("1,9")


def test_names_are_unique_and_targets_name_existing_peers() -> None:
    works = [*WORKS, *growth_works()]
    assert len({work.name for work in works}) == len(works)
    known = {peer.family for peer in find_peers().values()} | {FLOOR, BEST}
    assert {target.against for work in WORKS for target in work.targets} <= known


def test_growth_changes_one_thing_at_a_time() -> None:
    works = list(growth_works())
    assert {work.axis for work in works} == {"width", "depth", "batch", "samples"}
    for work in works:
        hidden = work.widths[1:-1]
        grown = {
            "width": hidden[0],
            "depth": len(hidden),
            "batch": work.batch_size,
            "samples": work.samples,
        }
        assert grown[work.axis] == work.value


def test_all_peers_begin_with_the_same_weights() -> None:
    first, again = initial_weights(SMALL), initial_weights(SMALL)
    for (kernel, bias), (kernel_again, _) in zip(first, again, strict=True):
        assert (kernel == kernel_again).all()
        assert kernel.dtype == bias.dtype == np.float32
        assert not bias.any()
        assert np.abs(kernel).max() <= (6 / sum(kernel.shape)) ** 0.5


def test_all_peers_take_the_samples_in_the_order_of_dnnkit() -> None:
    for epoch in range(3):
        np.testing.assert_array_equal(epoch_order(100, epoch), own.epoch_order(True, 100, 100, 0, epoch))
