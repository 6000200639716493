"""Memory that results of stages share: its size, and that no stage overwrites what another still reads."""

from typing import Any

import pytest
from hypothesis import given

from dnnkit.backends.graph import chain
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Dropout
from dnnkit.backends.stagewise import lifetimes
from tests.backends.graphs import Graph, graphs, two_inputs_two_outputs


def deep(layers: int, width: int = 8) -> Program:
    graph, value = Graph(width), 0
    for _ in range(layers):
        value = graph.dense(value, width, "gelu")
    return graph.program()


def slots(program: Program, which: Any) -> lifetimes.Slots:
    _, stages, sources = program.gathered
    return which(stages, sources or chain(len(stages)), program.gathered_widths)


@pytest.mark.parametrize("which", [lifetimes.of_gradients, lifetimes.of_outputs])
def test_a_deep_network_takes_the_memory_of_a_few_layers(which: Any) -> None:
    for layers in (3, 12):
        found = slots(deep(layers), which)
        assert len(found.widths) == (2 if which is lifetimes.of_gradients else 3)  # also z of a layer
        assert set(found.widths) == {8}


@given(program=graphs())
def test_no_gradient_overwrites_another_that_is_still_read(program: Program) -> None:
    """Check by an independent account: when each value is written, and when last read."""
    _, stages, sources = program.gathered
    widths = program.gathered_widths
    found, asked = lifetimes.of_gradients(stages, sources, widths), [True] * len(widths)
    places, count = found.places, len(stages)
    uses: list[tuple[int, int, int]] = []  # slot, first and last moment
    for value in range(1, count + 1):
        reading = [(stage, k) for stage in range(count) for k, v in enumerate(sources[stage]) if v == value]
        for stage, k in reading:
            alone = len(reading) == 1
            last = (count - value if alone else count - 1 - stage) * 2 + (1 if alone else 0)
            uses.append((places[f"dx {k}", stage], (count - 1 - stage) * 2, last))
        if len(reading) > 1 and asked[value]:
            second = sorted((stage for stage, _ in reading), reverse=True)[1]
            uses.append((places["slope", value], (count - 1 - second) * 2 + 1, (count - value) * 2 + 1))
    for number, (slot, first, last) in enumerate(uses):
        for other, begin, end in uses[number + 1 :]:
            assert slot != other or last < begin or end < first, (program, slot)


def test_memory_that_is_passed_on_is_not_reused() -> None:
    graph = Graph(4)
    first = graph.dense(0, 4)
    dropped = graph.add(Dropout(0.5, 1), first)
    both = graph.op("add", dropped, graph.add(Activate("tanh"), dropped))
    graph.dense(both, 2, "linear")
    program = graph.program()
    assert not any(lifetimes.hands_on(stage) for stage in program.stages if isinstance(stage, Dense | Activate))
    found = slots(program, lifetimes.of_outputs).places
    assert len({found["y", 0], found["y", 1], found["y", 2]}) == 3  # the second may be the first
    assert slots(two_inputs_two_outputs(), lifetimes.of_outputs).widths
