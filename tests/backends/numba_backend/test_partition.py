"""Which worker has which part of a network: roles, parts, shares, and pieces of the parameters."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.backends.aligned import rounded
from dnnkit.backends.numba_backend.partition import (
    GRAIN,
    SINGLE,
    Partition,
    PartitionedLayout,
    roles,
    share,
    stage_shards,
)
from dnnkit.backends.stages import Activate, Dense, Dropout, Rescale
from dnnkit.errors import ConfigurationError
from tests.backends.numba_backend.stage_lists import DIVISIONS, is_elementwise, network, networks


@given(DIVISIONS)
def test_a_division_is_read_back_from_its_words(partition: Partition) -> None:
    assert Partition.parse(str(partition)) == partition


@pytest.mark.parametrize(
    "text", ["", "units", "units/", "/2", "columns/2", "units/0", "rows/-1", "units/1.5", "rows/two", "units/2/2", "2"]
)
def test_an_invalid_partition_is_rejected_with_the_expected_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"units/2.*rows/4") as failure:
        Partition.parse(text)
    assert repr(text) in str(failure.value)


# Shares


@given(st.integers(0, 700), st.integers(1, 9))
def test_shares_follow_one_another_without_a_gap(count: int, workers: int) -> None:
    shares = [share(count, workers, worker) for worker in range(workers)]
    assert shares[0].start == 0
    assert shares[-1].stop == count
    assert all(one.stop == other.start for one, other in pairwise(shares))
    assert all(part.start <= part.stop for part in shares)


@given(st.integers(1, 700), st.integers(1, 9))
def test_shares_differ_by_one_unit_or_two_cache_lines_at_most(count: int, workers: int) -> None:
    sizes = [part.stop - part.start for part in (share(count, workers, worker) for worker in range(workers))]
    bound = 2 * GRAIN - 1 if count >= 2 * GRAIN * workers else 1
    assert max(sizes) - min(sizes) <= bound
    assert min(sizes) >= 1 or count < workers


@given(st.integers(1, 4000), st.integers(1, 9))
def test_with_many_units_every_share_begins_a_cache_line(count: int, workers: int) -> None:
    for worker in range(workers):
        part = share(count, workers, worker)
        assert part.start % GRAIN == 0 or count < 2 * GRAIN * workers


# Roles


@given(networks(), st.integers(2, 7))
def test_dense_stages_pair_up_across_elementwise_stages_only(drawn: tuple, workers: int) -> None:
    _, stages = drawn
    kinds = roles(stages, Partition("units", workers))
    assert len(kinds) == len(stages)
    is_open = False
    for stage, kind in zip(stages, kinds, strict=True):
        if isinstance(stage, Dense):
            assert kind == "rows" if is_open else kind in ("columns", "whole")
            is_open = kind == "columns"
            if is_open:
                assert is_elementwise(stage)
                assert stage.kernel.shape[1] >= workers
        else:
            assert kind == ("part" if is_open else "whole")
            assert is_elementwise(stage) or not is_open
    assert not is_open


@given(networks(), st.integers(2, 7))
def test_no_pair_is_left_out_that_could_be_divided(drawn: tuple, workers: int) -> None:
    _, stages = drawn
    kinds = roles(stages, Partition("units", workers))
    for place, (stage, kind) in enumerate(zip(stages, kinds, strict=True)):
        if not isinstance(stage, Dense) or kind != "whole":
            continue
        after = [number for number in range(place + 1, len(stages)) if isinstance(stages[number], Dense)]
        between = stages[place : after[0]] if after else []
        too_narrow = stage.kernel.shape[1] < workers
        assert too_narrow or not after or not all(is_elementwise(other) for other in between)


@given(networks(), st.integers(1, 7))
def test_by_rows_and_alone_every_stage_is_whole(drawn: tuple, workers: int) -> None:
    _, stages = drawn
    assert set(roles(stages, Partition("rows", workers))) <= {"whole"}
    assert set(roles(stages, SINGLE)) <= {"whole"}


def test_a_softmax_inside_a_pair_prevents_dividing_it() -> None:
    two = Partition("units", 2)
    layers = [(8, "relu", True), (8, "relu", True)]
    assert roles(network(8, *layers), two) == ["columns", "rows"]
    assert roles(network(8, (8, "softmax", True), (8, "relu", True)), two) == ["whole", "whole"]
    assert roles(network(8, layers[0], Activate("softmax"), layers[1]), two) == ["whole", "whole", "whole"]
    # After the second stage of a pair all workers have all values, so a softmax may follow.
    assert roles(network(8, layers[0], (8, "softmax", True)), two) == ["columns", "rows"]
    assert roles(network(8, *layers, Activate("softmax"), *layers), two) == [
        "columns", "rows", "whole", "columns", "rows",
    ]  # fmt: skip


def test_stages_between_two_dense_ones_are_divided_with_them() -> None:
    between = (Activate("relu"), Dropout(0.5, 2), Rescale(2.0, 1.0))
    stages = network(8, Dropout(0.1, 0), (8, "linear", True), *between, (3, "relu", True), Dropout(0.1, 6))
    assert roles(stages, Partition("units", 2)) == ["whole", "columns", "part", "part", "part", "rows", "whole"]


def test_fewer_units_than_workers_are_not_divided_but_the_next_pair_is() -> None:
    stages = network(8, (2, "relu", True), (8, "relu", True), (5, "relu", True))
    assert roles(stages, Partition("units", 3)) == ["whole", "columns", "rows"]
    assert roles(stages, Partition("units", 2)) == ["columns", "rows", "whole"]


# Parts


@given(networks(), DIVISIONS)
def test_every_unit_is_computed_by_one_worker_or_by_all(drawn: tuple, partition: Partition) -> None:
    features, stages = drawn
    everyone = [stage_shards(stages, features, partition, worker) for worker in range(partition.workers)]
    width = features
    for place, (stage, kind) in enumerate(zip(stages, roles(stages, partition), strict=True)):
        width = stage.kernel.shape[1] if isinstance(stage, Dense) else width
        counts = np.zeros(width, int)
        for worker in range(partition.workers):
            counts[everyone[worker][place].outputs] += 1
        assert set(counts.tolist()) == {1 if kind in ("columns", "part") else partition.workers}


@given(networks(), DIVISIONS)
def test_a_stage_reads_what_the_one_before_wrote_and_no_part_is_empty(drawn: tuple, partition: Partition) -> None:
    features, stages = drawn
    for worker in range(partition.workers):
        have = slice(0, features)
        for part in stage_shards(stages, features, partition, worker):
            assert part.inputs == have
            assert min(part.shape) >= 1
            assert part.shape == (
                part.inputs.stop - part.inputs.start,
                part.outputs.stop - part.outputs.start,
            )
            have = part.outputs


# Pieces of the parameters


@given(networks(), DIVISIONS)
def test_every_parameter_is_owned_exactly_once_or_shared_by_all(drawn: tuple, partition: Partition) -> None:
    features, stages = drawn
    layout = PartitionedLayout(stages, features, partition)
    parameters = [p for s in stages if isinstance(s, Dense) for p in (s.kernel, s.bias) if p is not None]
    for parameter in parameters:
        held = [layout.pieces[worker, parameter.name] for worker in range(partition.workers)]
        assert len({piece.shared for piece in held}) == 1
        counts = np.zeros(parameter.shape, int)
        for piece in held:
            assert counts[piece.index].shape == piece.shape
            counts[piece.index] += 1
        assert set(counts.reshape(-1).tolist()) == {partition.workers if held[0].shared else 1}
    assert {name for _, name in layout.pieces} == {parameter.name for parameter in parameters}


@given(networks(), DIVISIONS)
def test_pieces_are_adjacent_trained_first_and_replicated_first(drawn: tuple, partition: Partition) -> None:
    features, stages = drawn
    layout = PartitionedLayout(stages, features, partition)
    for worker in range(partition.workers):
        mine = sorted((p for (w, _), p in layout.pieces.items() if w == worker), key=lambda piece: piece.offset)
        end = shared = trained = 0
        for piece in mine:
            assert piece.offset == end
            end += rounded(piece.size)
            trained = end if piece.parameter.trainable else trained
            shared = end if piece.parameter.trainable and piece.shared else shared
        kinds = [(piece.parameter.trainable, piece.shared) for piece in mine]
        assert kinds == sorted(kinds, reverse=True)
        assert (layout.shared, layout.trained[worker], layout.sizes[worker]) == (shared, trained, end)
    assert (layout.size, layout.trained_size) == (max(layout.sizes), max(layout.trained))


@given(networks(), DIVISIONS, st.integers(0, 2**32 - 1))
def test_values_spread_among_workers_are_collected_again(drawn: tuple, partition: Partition, seed: int) -> None:
    features, stages = drawn
    layout = PartitionedLayout(stages, features, partition)
    rng = np.random.default_rng(seed)
    parameters = [p for s in stages if isinstance(s, Dense) for p in (s.kernel, s.bias) if p is not None]
    values = {parameter.name: rng.normal(size=parameter.shape) for parameter in parameters}
    flat = np.full((partition.workers, layout.size), np.nan)
    layout.scatter(values, flat)
    for worker, size in enumerate(layout.sizes):
        filled = ~np.isnan(flat[worker])
        assert filled.sum() == sum(piece.size for (w, _), piece in layout.pieces.items() if w == worker)
        assert not filled[size:].any()
    collected = {name: np.full(value.shape, np.nan) for name, value in values.items()}
    layout.gather(flat, collected)
    for name, value in values.items():
        np.testing.assert_array_equal(collected[name], value)


@given(networks(), DIVISIONS)
def test_by_rows_parameters_are_canonical_with_frozen_ones_last(drawn: tuple, partition: Partition) -> None:
    features, stages = drawn
    by_rows = Partition("rows", partition.workers)
    layout = PartitionedLayout(stages, features, by_rows)
    parameters = [p for s in stages if isinstance(s, Dense) for p in (s.kernel, s.bias) if p is not None]
    offset = 0
    for parameter in sorted(parameters, key=lambda one: not one.trainable):
        assert {layout.pieces[w, parameter.name].offset for w in range(partition.workers)} == {offset}
        offset += rounded(parameter.size)
    assert layout.sizes == [offset] * partition.workers
