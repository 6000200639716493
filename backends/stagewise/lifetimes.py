"""Memory sharing between results of stages: two share a slot if one is dead before the other is written.

In training, outputs of stages are kept for the backward pass, and their gradients share memory. In prediction, outputs
share memory.
"""

from collections.abc import Sequence

from dnnkit.backends.graph import Sources, readers, wanted
from dnnkit.backends.stages import Activate, Dense, Rescale, Stage, is_trained
from dnnkit.kernels import registry

Places = dict[tuple[str, int], int]
"""Slot number by name and stage or value number, as in `Buffers.get`."""


class Slots:
    """Memory slots, with their widths in numbers per row."""

    def __init__(self) -> None:
        self.widths: list[int] = []
        self.places: Places = {}
        self._free: list[int] = []

    def take(self, width: int, *names: tuple[str, int]) -> int:
        """Allocate a slot under these names: a free one that is wide enough, or is widened, or a new one."""
        free = sorted(self._free, key=lambda slot: (self.widths[slot], slot))
        slot = next((slot for slot in free if self.widths[slot] >= width), free[-1] if free else len(self.widths))
        if slot == len(self.widths):
            self.widths.append(width)
        else:
            self._free.remove(slot)
            self.widths[slot] = max(width, self.widths[slot])
        self.places |= dict.fromkeys(names, slot)
        return slot

    def give_back(self, slot: int) -> None:
        """Free a slot that is no longer read."""
        self._free.append(slot)


class Holder:
    """Reference to a slot, if any, and to values it may alias: a stage may return its input."""

    def __init__(self, slots: Slots, slot: int | None = None, handed_on: Sequence["Holder"] = ()) -> None:
        self._slots, self._slot, self._handed_on, self._readers = slots, slot, handed_on, 1
        for other in handed_on:
            other._readers += 1

    def release(self) -> None:
        """Remove one reader."""
        self._readers -= 1
        if self._readers == 0:
            if self._slot is not None:
                self._slots.give_back(self._slot)
            for other in self._handed_on:
                other.release()


def hands_on(stage: Stage) -> bool:
    """Whether its output may alias its input, and likewise their gradients."""
    return not isinstance(stage, Dense | Activate | Rescale)


def of_outputs(stages: Sequence[Stage], sources: Sources, widths: Sequence[int]) -> Slots:
    """Return slots for outputs of stages in prediction; `widths` are those of the values."""
    slots, reads = Slots(), readers(sources)
    values = [Holder(slots)]  # the input belongs to the caller
    for index, stage in enumerate(stages):
        given, width = [values[value] for value in sources[index]], widths[index + 1]
        slot = slots.take(width, ("y", index))
        values.append(Holder(slots, slot, given if hands_on(stage) else ()))
        if isinstance(stage, Dense) and registry.activation(stage.activation).saves == "input":
            slots.give_back(slots.take(width, ("z", index)))
        for value in set(sources[index]):
            if reads[value][-1][0] == index:
                values[value].release()
    return slots


def of_gradients(stages: Sequence[Stage], sources: Sources, widths: Sequence[int]) -> Slots:
    """Return slots for the gradients of values, including the input, from the last stage to the first."""
    slots = Slots()
    asked = wanted(sources, [is_trained(stage) for stage in stages], with_input=True)
    slopes: list[Holder | None] = [*(None for _ in stages), Holder(slots)]  # that of the scores belongs to the caller
    for index in range(len(stages) - 1, -1, -1):
        dy = slopes[index + 1]
        assert dy is not None, "each value has a reader"
        dxs = list[tuple[int, Holder]]()
        for place, value in enumerate(sources[index]):  # all exist before any is added to another's
            if asked[value]:
                names = [(f"dx {place}", index)] + ([("dx", index)] if place == 0 else [])
                slot = slots.take(widths[value], *names)
                dxs.append((value, Holder(slots, slot, [dy] if hands_on(stages[index]) else ())))
        for value, dx in dxs:
            before = slopes[value]
            if before is None:
                slopes[value] = dx
                continue
            if ("slope", value) not in slots.places:  # otherwise the sum is there already
                slopes[value] = Holder(slots, slots.take(widths[value], ("slope", value)))
                before.release()
            dx.release()
        dy.release()
    return slots
