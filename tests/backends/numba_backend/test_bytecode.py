"""The instructions of a step, their order, and the number of exchanges."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.backends.numba_backend.bytecode import ScheduleKey, assemble, link
from dnnkit.backends.numba_backend.partition import SINGLE, Partition, roles
from dnnkit.backends.stages import Custom, Dense, Dropout, Parameter, Stage, first_trained, is_trained
from dnnkit.kernels._engine import structures
from dnnkit.kernels._engine.opcodes import CONTROL, Instruction, describe, meaning, opcodes
from tests.backends.numba_backend.stage_lists import DIVISIONS, frozen, network, networks, plain

PURPOSES = st.sampled_from(["train", "evaluate", "predict"])
TAKES = {"take_labels", "take_targets", "take_weights", "take_numbers", "take_bytes", "use_shared", "prefetch_inputs"}
UPDATES = {"update_fused", "update_fused_of_columns"}
WHICH = "forward", "backward"
GRADIENTS = {"kernel_gradient", "kernel_gradient_of_columns"}


def forward(steps: list[Instruction]) -> list[int]:
    """Return the stages of the forward pass, in order."""
    names = {"dense", "dense_of_columns", "dense_part", "activate", "rescale", "dropout", "copy"}
    return [stage for name, stage, _ in steps if name in names]


def backward(steps: list[Instruction]) -> list[tuple[int, int]]:
    """Return (stage, whether its dx is needed and where) of the backward pass, in order."""
    return [(stage, dx) for name, stage, dx in steps if name.endswith("_backward") and name != "join_backward"]


def exchanges(stages: list[Stage], partition: Partition, first: int = 0, purpose: Any = "train", **more: Any) -> int:
    """Return the number of exchanges in every step, without the prologue."""
    steps = assemble(stages, partition, ScheduleKey(purpose, first, **more))
    return [name for name, _, _ in steps[steps[-1].stage :]].count("exchange")


@pytest.mark.parametrize("count", range(10))
def test_a_pair_costs_one_exchange_per_pass_except_the_first(count: int) -> None:
    pairs, two = count // 2, Partition("units", 2)
    assert exchanges(plain(count), two, purpose="predict") == pairs
    assert exchanges(plain(count), two, purpose="evaluate") == pairs
    assert exchanges(plain(count), two) == pairs + max(0, pairs - 1)
    assert exchanges(plain(count), two, clips=True) == pairs + max(0, pairs - 1) + 1


def test_one_hidden_layer_costs_one_exchange_per_step() -> None:
    stages = network(784, (128, "relu", True), Dropout(0.2, 1), (10, "linear", True))
    for workers in range(2, 9):
        assert exchanges(stages, Partition("units", workers)) == 1


@pytest.mark.parametrize("count", range(5))
def test_by_rows_the_number_of_exchanges_is_independent_of_depth(count: int) -> None:
    four = Partition("rows", 4)
    assert exchanges(plain(count), four) == 2
    assert exchanges(plain(count), four, clips=True) == 3
    assert exchanges(plain(count), four, purpose="predict") == 0


@given(networks())
def test_alone_there_is_nothing_to_exchange(drawn: tuple) -> None:
    for partition in (SINGLE, Partition("rows", 1)):
        assert exchanges(drawn[1], partition, clips=True) == 0


def test_an_input_gradient_costs_the_first_pair_an_exchange_too() -> None:
    two = Partition("units", 2)
    assert exchanges(plain(2), two, first=-1, purpose="differentiate") == 2
    assert exchanges(plain(2), two, first=0, purpose="differentiate") == 1


def test_a_pair_below_all_trained_stages_costs_no_exchange_backward() -> None:
    two, stages = Partition("units", 2), plain(6)
    for count, expected in ((0, 3 + 2), (1, 3 + 2), (2, 3 + 1), (3, 3 + 1), (4, 3)):
        some = [*frozen(stages[:count]), *stages[count:]]
        assert exchanges(some, two, first=first_trained(some)) == expected


@given(networks(), DIVISIONS, st.sampled_from(["gathered", "columns", "in place"]))
def test_every_stage_runs_forward_and_trained_ones_backward_once(
    drawn: tuple, partition: Partition, inputs: Any
) -> None:
    _, stages = drawn
    first = first_trained(stages)
    steps = assemble(stages, partition, ScheduleKey("train", first, inputs=inputs))
    assert forward(steps) == list(range(len(stages)))
    assert [stage for stage, _ in backward(steps)] == list(range(len(stages) - 1, first - 1, -1))
    assert all((dx > 0) == (stage > first) for stage, dx in backward(steps))
    assert (steps[steps[-1].stage].opcode, steps[-1].opcode) == ("begin", "repeat")


@given(networks(), DIVISIONS, PURPOSES, st.booleans())
def test_inputs_are_gathered_per_worker_or_shared_one_step_ahead(
    drawn: tuple, partition: Partition, purpose: Literal["train", "evaluate", "predict"], are_bytes: bool
) -> None:
    steps = assemble(drawn[1], partition, ScheduleKey(purpose, 0, bytes=are_bytes))
    shares, kind = "rows" in roles(drawn[1], partition), "bytes" if are_bytes else "numbers"
    names = [name for name, _, _ in steps]
    gathers = [step for step in steps if step.opcode.startswith("share_")]
    assert gathers == ([(f"share_{kind}", 0, 0), (f"share_{kind}", 0, 1)] if shares else [])
    assert ("use_shared" in names, f"take_{kind}" in names) == (shares, not shares)
    if shares:
        assert names[:3] == [f"share_{kind}", "exchange", "begin"]
        assert steps[-1] == ("repeat", 2, 0)
        place = steps.index(Instruction(f"share_{kind}", 0, 1))
        assert names[place + 1] == "exchange"
        assert "exchange" not in names[2:place], "the first after the step begins"


@given(networks(), DIVISIONS, PURPOSES, st.booleans())
def test_rows_are_gathered_per_step_or_once_if_all_steps_share_them(
    drawn: tuple, partition: Partition, purpose: Literal["train", "evaluate", "predict"], one_batch: bool
) -> None:
    steps = assemble(drawn[1], partition, ScheduleKey(purpose, 0, weights=True, one_batch=one_batch))
    once = one_batch and "rows" not in roles(drawn[1], partition)
    begins = [place for place, step in enumerate(steps) if step.opcode == "begin"]
    takes = [place for place, step in enumerate(steps) if step.opcode in TAKES]
    repeated = steps[-1].stage
    assert begins == ([0, 1 + len(takes)] if once else [repeated])
    assert takes == list(range(begins[0] + 1, begins[0] + 1 + (1 if purpose == "predict" else 3)))
    assert (takes[0] < repeated) == once


@given(networks(), DIVISIONS, st.booleans(), st.sampled_from(["gathered", "columns", "in place"]))
def test_every_parameter_is_updated_once_per_step(drawn: tuple, partition: Partition, clips: bool, inputs: Any) -> None:
    """Stages are updated when their gradient is complete, or all at the end if sums of gradients or their norm come
    first."""
    _, stages = drawn
    dense = [place for place, stage in enumerate(stages) if is_trained(stage)]
    steps = assemble(stages, partition, ScheduleKey("train", 0, clips, inputs))
    by_rows = partition.by == "rows" and partition.workers > 1
    names = [name for name, _, _ in steps]
    found = [[stage for name, stage, _ in steps if name in kind] for kind in (UPDATES, GRADIENTS)]
    expected = [[], dense[::-1]] if by_rows or clips else [dense[::-1], []]
    assert found == expected
    assert (names.count("update"), names.count("clip")) == (by_rows or clips, clips)
    assert (names[-5:] == ["update", "send_parameters", "exchange", "receive_parameters", "repeat"]) == by_rows
    for place, (name, stage, _) in enumerate(steps):  # before, dz is needed; after, the old kernel is no longer read
        if name in UPDATES | GRADIENTS:
            assert (names[place - 1], steps[place - 1].stage) == ("dense_backward", stage)
            assert name.endswith("_of_columns") == (stage == 0 and inputs != "gathered")


@given(networks(), DIVISIONS)
def test_partial_sums_are_exchanged_before_they_are_added_up(drawn: tuple, partition: Partition) -> None:
    _, stages = drawn
    names = [
        "partial_backward" if step == ("dense_backward", step.stage, 2) else step.opcode
        for step in assemble(stages, partition, ScheduleKey("train", 0))
    ]
    partial = {"dense_part": "dense_join", "partial_backward": "join_backward"}
    for place, name in enumerate(names):
        if name in partial:
            after = [step for step in names[place + 1 :] if step not in {*UPDATES, *GRADIENTS, "share_numbers"}]
            assert after[:2] == ["exchange", partial[name]]
    joined = sum(names.count(name) for name in partial.values())
    assert joined == sum(names.count(name) for name in partial)


def with_own(drawn: tuple, data: st.DataObject) -> list[Stage]:
    """Draw stages, some of them custom, with and without parameters."""
    width, stages = drawn[0], list[Stage]()
    for number, stage in enumerate([*drawn[1], None]):
        for _ in range(data.draw(st.integers(0, 1))):
            trained = data.draw(st.booleans())
            own = (Parameter(f"own_{number}/first", (width,), trained),) if data.draw(st.booleans()) else ()
            stages.append(Custom(None, own, (width,), (width,)))  # type: ignore[arg-type] # never called
        if stage is not None:
            stages.append(stage)
            width = stage.kernel.shape[1] if isinstance(stage, Dense) else width
    return stages


@given(networks(), DIVISIONS, st.booleans(), st.booleans(), st.data())
def test_updates_come_after_the_last_custom_call_and_once(
    drawn: tuple, partition: Partition, clips: bool, measures: bool, data: st.DataObject
) -> None:
    stages = with_own(drawn, data)
    trained, first = [place for place, stage in enumerate(stages) if is_trained(stage)], first_trained(stages)
    steps = assemble(stages, partition, ScheduleKey("train", first, clips, own_measures=measures))
    names = [name for name, _, _ in steps]
    calls = [place for place, name in enumerate(names) if name.startswith("own_")]
    updates = [place for place, name in enumerate(names) if name in UPDATES | {"update", "update_stage"}]
    assert not calls or not updates or calls[-1] < updates[0]
    own = [place for place, stage in enumerate(stages) if isinstance(stage, Custom)]
    called = [[steps[place].stage for place in calls if names[place] == f"own_{which}"] for which in WHICH]
    assert called == [own, [place for place in own[::-1] if place >= first]]
    if names.count("update") == 0:
        assert sorted(steps[place].stage for place in updates) == trained
    for place in calls:  # the others wait until the call is over, and before it if it reads their numbers
        assert (names[place + 1] == "exchange") == (partition.workers > 1)
        if names[place] != "own_measures":
            assert (names[place - 1] == "exchange") == (partition.workers > 1)


@pytest.mark.parametrize(("partition", "divided"), [("units/1", []), ("units/2", [2]), ("rows/2", [0, 2, 4])])
def test_custom_stages_get_copies_where_workers_have_parts(partition: str, divided: list[int]) -> None:
    """By units, each worker has the whole arrays of the stages outside the pair, 0 and 4."""
    custom = Custom(None, (), (8,), (8,))  # type: ignore[arg-type] # never called
    first, second = network(8, (8, "relu", True), (8, "linear", True))
    stages = [custom, first, custom, second, custom]
    steps = assemble(stages, Partition.parse(partition), ScheduleKey("train", 0))

    def of(opcode: str) -> list[int]:
        return sorted(stage for name, stage, _ in steps if name == opcode)

    assert of("give_own_x") == of("give_own_dy") == divided
    assert of("take_own_y") == ([] if partition == "units/1" else [0, 2, 4])
    assert of("take_own_dx") == [2, 4]


def test_every_opcode_says_in_one_line_what_it_does() -> None:
    for name in (*CONTROL, *opcodes()):
        assert meaning(name).endswith((".", ":")), name
        assert len(meaning(name)) > 20, name


def test_a_schedule_is_told_in_words_with_its_stages_names() -> None:
    """For the program of 784-128-10 on two workers."""
    stages = network(784, (128, "relu", True), (10, "linear", True))
    schedule = assemble(
        stages, Partition("units", 2), ScheduleKey("train", 0, inputs="in place", marked=True, metrics=(0,))
    )
    lines = describe(schedule, ["hidden", "output"]).splitlines()
    assert [line.split()[1] for line in lines if line[2].isdigit()] == [
        "begin", "take_labels", "find_columns", "prefetch_inputs", "dense_of_columns", "dense_part", "exchange",
        "dense_join", "loss", "metric", "dense_backward", "update_fused", "dense_backward", "update_fused_of_columns",
        "repeat",
    ]  # fmt: skip
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "Compute this worker's partial product of output, for the exchange." in text
    assert "Compute hidden from the nonzero columns of its inputs. Option 1." in text
    assert text.endswith("14 repeat Continue with the next step, at 0.")


def test_compiled_code_reads_opcode_addresses_and_stage_numbers() -> None:
    schedule = [Instruction("begin"), Instruction("rescale", 1), Instruction("repeat", 0)]
    linked = link(schedule, "float32")
    assert [line.stage for line in linked] == [0, 1, 0]
    first, called, last = (line.function for line in linked)
    assert (first, last) == (structures.BEGIN, structures.REPEAT)
    assert called > structures.REPEAT, "an address"
