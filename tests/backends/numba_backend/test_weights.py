"""The two layouts of the weights: every reader sees the one written last."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from dnnkit.backends.numba_backend.partition import SINGLE, Partition, PartitionedLayout
from dnnkit.backends.numba_backend.weights import TwoHomes
from dnnkit.backends.stages import stage_parameters
from dnnkit.backends.stagewise.layout import FlatLayout
from tests.backends.numba_backend.stage_lists import frozen, network

STAGES = [
    *frozen(network(6, (8, "relu", True))),
    *network(8, (8, "relu", True), (5, "linear", True), first=1),
]
PARAMETERS = sorted((p for stage in STAGES for p in stage_parameters(stage)), key=lambda one: not one.trainable)
LAYOUT = FlatLayout(tuple(PARAMETERS), cache_aligned=True)
TRAINED = FlatLayout(tuple(p for p in PARAMETERS if p.trainable), cache_aligned=True)
PARTITIONS = {
    "single": SINGLE,
    "two": Partition("units", 2),
    "three": Partition("units", 3),
    "rows": Partition("rows", 2),
}
LAYOUTS = {name: PartitionedLayout(STAGES, 6, partition) for name, partition in PARTITIONS.items()}
SLOTS = 2


def values_of(homes: TwoHomes) -> list[np.ndarray]:
    """Return parameters, and each slot of trained ones, by name and in their shapes, one after the other."""
    flat = [(LAYOUT, homes.parameters), *((TRAINED, slot) for slot in homes.slots[:SLOTS])]
    return [view.copy() for layout, numbers in flat for view in layout.views(numbers, np).values()]


ACTIONS = [*PARTITIONS, "read", "replace", "whole", "write", "differentiate"]


@given(st.lists(st.sampled_from(ACTIONS), max_size=12))
@example(["two", "read", "write", "two"])
@example(["two", "write", "read", "write", "three"])
@example(["write", "differentiate", "write", "differentiate", "whole", "write", "differentiate"])
@example(["write", "differentiate", "two", "write", "differentiate", "replace", "differentiate"])
def test_values_written_in_one_layout_are_read_in_the_other(actions: list[str]) -> None:
    """Actions that write all numbers add 1, in the flat layout or in the workers' shards; "write" adds 1000 to one, and
    after "differentiate" a second worker has the same parameters as the first.
    """
    homes, added, written = TwoHomes(LAYOUT, TRAINED, SLOTS, "float64"), 0, 0
    start = LAYOUT.flatten({name: np.arange(view.size).reshape(view.shape) for name, view in
                            LAYOUT.views(np.zeros(LAYOUT.size), np).items()}, "float64")  # fmt: skip
    homes.replace(parameters=start.copy(), slots=[start[: TRAINED.size] + 100, start[: TRAINED.size] + 200])
    expected = values_of(homes)
    for action in actions:
        if action == "read":
            values_of(homes)
        elif action == "differentiate":
            numbers = homes.to_differentiate(2)
            if numbers.second is not None:
                np.testing.assert_array_equal(numbers.second, homes.parameters)
                np.testing.assert_array_equal(numbers.second, numbers.parameters[0])
        elif action == "write":
            place = written % len(LAYOUT.names)
            expected[place] += 1000
            homes.write(LAYOUT.names[place], expected[place] + added)
            written += 1
        elif action == "replace":
            homes.replace(parameters=homes.parameters + 1, slots=[slot + 1 for slot in homes.slots[:SLOTS]])
            added += 1
        else:
            is_whole = action == "whole"
            numbers = homes.flat_to_write() if is_whole else homes.to_write(PARTITIONS[action], LAYOUTS[action])
            for array in (numbers.parameters, numbers.slots):
                array += 1
            added += 1
    for actual, before in zip(values_of(homes), expected, strict=True):
        np.testing.assert_array_equal(actual, before + added)


def test_a_second_worker_has_its_own_parameters_while_they_are_assigned() -> None:
    homes = TwoHomes(LAYOUT, TRAINED, SLOTS, "float64")
    assert homes.to_differentiate(2) is homes.whole()
    homes.write(LAYOUT.names[0], np.ones(LAYOUT.view(homes.parameters, LAYOUT.names[0], np).shape))
    pair = homes.to_differentiate(2)
    assert pair.second is not None
    assert not np.shares_memory(pair.second, homes.parameters)
    assert homes.to_differentiate(2) is pair
    assert homes.to_differentiate(3) is homes.whole()
    homes.flat_to_write()
    assert homes.to_differentiate(2) is homes.whole()


def test_nothing_is_copied_that_nobody_needs() -> None:
    homes, two = TwoHomes(LAYOUT, TRAINED, SLOTS, "float32"), PARTITIONS["two"]
    assert homes.newest == "flat"
    first = homes.to_write(two, LAYOUTS["two"])
    assert homes.newest == "sharded"
    assert homes.to_write(two, LAYOUTS["two"]) is first
    flat = homes.parameters
    assert homes.newest == "both"
    assert homes.parameters is flat
    first.parameters[...] = 7  # as if other code had: readers do not look again
    assert not (homes.parameters == 7).any()
    homes.to_write(SINGLE, LAYOUTS["single"])
    assert homes.newest == "flat"


def test_by_rows_workers_share_slots_and_no_parameters() -> None:
    homes = TwoHomes(LAYOUT, TRAINED, SLOTS, "float32")
    numbers = homes.to_write(PARTITIONS["rows"], LAYOUTS["rows"])
    assert (len(numbers.parameters), len(numbers.slots)) == (2, 1)
    numbers.parameters[1] = 7  # only the first worker's are read; after a step all workers have the same
    numbers.slots[0] = 5
    assert not (homes.parameters == 7).any()
    assert (homes.slots == 5).all()
