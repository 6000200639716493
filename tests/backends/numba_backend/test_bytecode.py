"""What is done in a step, in which order, and how often all must meet."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.backends.numba_backend.bytecode import ScheduleKey, assemble
from dnnkit.backends.numba_backend.partition import SINGLE, Partition, roles
from dnnkit.backends.program import Dense, Dropout, Stage
from dnnkit.kernels.train_steps import opcodes
from tests.backends.numba_backend.stage_lists import DIVISIONS, network, networks, plain


def exchanges(stages: list[Stage], partition: Partition, first: int = 0, purpose: str = "train", **more: bool) -> int:
    """In every step: not counting what comes before the first."""
    steps = assemble(stages, partition, ScheduleKey(purpose, first, **more))
    again = steps[-1, 1]
    return int((steps[again:, 0] == opcodes.EXCHANGE).sum())


@pytest.mark.parametrize("count", range(10))
def test_a_pair_costs_one_exchange_forward_and_one_backward_but_for_the_first(count: int) -> None:
    pairs, two = count // 2, Partition("units", 2)
    assert exchanges(plain(count), two, purpose="predict") == pairs
    assert exchanges(plain(count), two, purpose="evaluate") == pairs
    assert exchanges(plain(count), two) == pairs + max(0, pairs - 1)
    assert exchanges(plain(count), two, clips=True) == pairs + max(0, pairs - 1) + 1


def test_one_hidden_layer_costs_one_exchange_a_step() -> None:
    stages = network(784, (128, "relu", True), Dropout(0.2, 1), (10, "linear", True))
    for workers in range(2, 9):
        assert exchanges(stages, Partition("units", workers)) == 1


@pytest.mark.parametrize("count", range(5))
def test_by_rows_the_number_of_exchanges_does_not_depend_on_the_depth(count: int) -> None:
    four = Partition("rows", 4)
    assert exchanges(plain(count), four) == 2
    assert exchanges(plain(count), four, clips=True) == 3
    assert exchanges(plain(count), four, purpose="predict") == 0


@given(networks())
def test_alone_there_is_nothing_to_exchange(drawn: tuple) -> None:
    for partition in (SINGLE, Partition("rows", 1)):
        assert exchanges(drawn[1], partition, clips=True) == 0


def test_an_input_gradient_that_is_wanted_costs_the_first_pair_an_exchange_too() -> None:
    two = Partition("units", 2)
    assert exchanges(plain(2), two, first=-1, purpose="differentiate") == 2
    assert exchanges(plain(2), two, first=0, purpose="differentiate") == 1


@given(networks(), DIVISIONS)
def test_every_stage_goes_forward_once_and_backward_once_down_to_the_first_that_is_trained(
    drawn: tuple, partition: Partition
) -> None:
    _, stages = drawn
    trained = [place for place, stage in enumerate(stages) if isinstance(stage, Dense)]
    first = trained[0] if trained else len(stages)
    steps = assemble(stages, partition, ScheduleKey("train", first)).tolist()
    forward = [stage for instruction, stage, _ in steps if instruction in (opcodes.FORWARD, opcodes.PRODUCT)]
    backward = [
        (stage, dx) for instruction, stage, dx in steps if instruction in (opcodes.BACKWARD, opcodes.BACKWARD_PART)
    ]
    assert forward == list(range(len(stages)))
    assert [stage for stage, _ in backward] == list(range(len(stages) - 1, first - 1, -1))
    assert all(dx == (stage > first) for stage, dx in backward)
    assert (steps[steps[-1][1]][0], steps[-1][0]) == (opcodes.BEGIN, opcodes.REPEAT)


@given(networks(), DIVISIONS, st.sampled_from(["train", "evaluate", "predict"]))
def test_inputs_are_gathered_by_each_worker_or_shared_one_step_ahead(
    drawn: tuple, partition: Partition, purpose: Literal["train", "evaluate", "predict"]
) -> None:
    steps = assemble(drawn[1], partition, ScheduleKey(purpose, 0)).tolist()
    shares = "rows" in roles(drawn[1], partition)
    gathers = [step for step in steps if step[0] == opcodes.GATHER]
    assert gathers == ([[opcodes.GATHER, 0, 0], [opcodes.GATHER, 1, 0]] if shares else [])
    assert [opcodes.TAKE, int(shares), 0] in steps
    if shares:
        assert [step[0] for step in steps[:3]] == [opcodes.GATHER, opcodes.EXCHANGE, opcodes.BEGIN]
        assert steps[-1] == [opcodes.REPEAT, 2, 0]
        place = steps.index([opcodes.GATHER, 1, 0])
        assert steps[place + 1][0] == opcodes.EXCHANGE
        assert opcodes.EXCHANGE not in [step[0] for step in steps[2:place]], "the first after the step begins"


@given(networks(), DIVISIONS, st.sampled_from(["train", "evaluate", "predict"]), st.booleans())
def test_rows_are_taken_in_every_step_or_once_if_all_have_the_same_and_share_none(
    drawn: tuple, partition: Partition, purpose: Literal["train", "evaluate", "predict"], one_batch: bool
) -> None:
    steps = assemble(drawn[1], partition, ScheduleKey(purpose, 0, one_batch=one_batch)).tolist()
    once = one_batch and "rows" not in roles(drawn[1], partition)
    begins = [place for place, step in enumerate(steps) if step[0] == opcodes.BEGIN]
    takes = [place for place, step in enumerate(steps) if step[0] == opcodes.TAKE]
    repeated = steps[-1][1]
    assert begins == ([0, 2] if once else [repeated])
    assert takes == [begins[0] + 1]
    assert (takes[0] < repeated) == once


@given(networks(), DIVISIONS, st.booleans())
def test_every_parameter_is_updated_once_a_step(drawn: tuple, partition: Partition, clips: bool) -> None:
    """Stage by stage as its gradient is there, or all at the end if others' gradients or their norm come first."""
    _, stages = drawn
    dense = [place for place, stage in enumerate(stages) if isinstance(stage, Dense)]
    steps = assemble(stages, partition, ScheduleKey("train", 0, clips)).tolist()
    by_rows = partition.by == "rows" and partition.workers > 1
    improved = [stage for instruction, stage, _ in steps if instruction == opcodes.UPDATE_FUSED]
    gradients = [stage for instruction, stage, _ in steps if instruction == opcodes.KERNEL_GRADIENT]
    updates = [instruction for instruction, _, _ in steps].count(opcodes.UPDATE)
    expected = ([], dense[::-1], 1) if by_rows or clips else (dense[::-1], [], 0)
    assert (improved, gradients, updates) == expected
    assert (steps[-2][0] == opcodes.EXCHANGE) == by_rows
    for place, (instruction, stage, _) in enumerate(steps):  # before, dz is there; after, nobody needs the old kernel
        if instruction in (opcodes.UPDATE_FUSED, opcodes.KERNEL_GRADIENT):
            assert steps[place - 1][0] in (opcodes.BACKWARD, opcodes.BACKWARD_PART)
            assert steps[place - 1][1] == stage


@given(networks(), DIVISIONS)
def test_partial_sums_are_exchanged_before_they_are_added_up(drawn: tuple, partition: Partition) -> None:
    _, stages = drawn
    steps = assemble(stages, partition, ScheduleKey("train", 0))[:, 0].tolist()
    partial = {opcodes.PRODUCT: opcodes.JOIN, opcodes.BACKWARD_PART: opcodes.JOIN_GRADIENT}
    for place, instruction in enumerate(steps):
        if instruction in partial:
            meanwhile = (opcodes.UPDATE_FUSED, opcodes.KERNEL_GRADIENT, opcodes.GATHER)
            after = [step for step in steps[place + 1 :] if step not in meanwhile]
            assert after[:2] == [opcodes.EXCHANGE, partial[instruction]]
    joined = sum(steps.count(instruction) for instruction in partial.values())
    assert joined == sum(steps.count(instruction) for instruction in partial)
