"""Which results of stages share memory: those of which one is not read any more when the other is written.

Where a network is trained, what its stages give stays for the way back, and gradients of that share memory. Where it
only predicts, what its stages give does.
"""

from collections.abc import Sequence

from dnnkit.backends.graph import Sources, readers, wanted
from dnnkit.backends.stages import Activate, Dense, Rescale, Stage, is_trained
from dnnkit.kernels import registry

Places = dict[tuple[str, int], int]
"""Of a name and a stage's or value's number, as `Buffers.get` is asked: the number of its slot."""


class Slots:
    """Pieces of memory, so many numbers wide per row."""

    def __init__(self) -> None:
        self.widths: list[int] = []
        self.places: Places = {}
        self._free: list[int] = []

    def take(self, width: int, *names: tuple[str, int]) -> int:
        """A slot for what is asked for by these names; a free one that is wide enough, or is made so, or a new one."""
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
        """Nobody reads it any more."""
        self._free.append(slot)


class Holder:
    """What holds on to a slot, if to any, and to what it may be itself: a stage may hand on what it was given."""

    def __init__(self, slots: Slots, slot: int | None = None, handed_on: Sequence["Holder"] = ()) -> None:
        self._slots, self._slot, self._handed_on, self._readers = slots, slot, handed_on, 1
        for other in handed_on:
            other._readers += 1

    def release(self) -> None:
        """One reader less."""
        self._readers -= 1
        if self._readers == 0:
            if self._slot is not None:
                self._slots.give_back(self._slot)
            for other in self._handed_on:
                other.release()


def hands_on(stage: Stage) -> bool:
    """Whether its output may be its input, and the gradient of that its own."""
    return not isinstance(stage, Dense | Activate | Rescale)


def of_outputs(stages: Sequence[Stage], sources: Sources, widths: Sequence[int]) -> Slots:
    """Slots for what stages give where nothing is trained; `widths` are those of the values."""
    slots, reads = Slots(), readers(sources)
    values = [Holder(slots)]  # the input is its owner's
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
    """Slots for the gradients of values, from the last stage to the first, that of the input included."""
    slots = Slots()
    asked = wanted(sources, [is_trained(stage) for stage in stages], with_input=True)
    slopes: list[Holder | None] = [*(None for _ in stages), Holder(slots)]  # that of the scores is its owner's
    for index in range(len(stages) - 1, -1, -1):
        dy = slopes[index + 1]
        assert dy is not None, "each value has a reader"
        dxs = list[tuple[int, Holder]]()
        for place, value in enumerate(sources[index]):  # all are there before any is added to another stage's
            if asked[value]:
                names = [(f"dx {place}", index)] + ([("dx", index)] if place == 0 else [])
                slot = slots.take(widths[value], *names)
                dxs.append((value, Holder(slots, slot, [dy] if hands_on(stages[index]) else ())))
        for value, dx in dxs:
            before = slopes[value]
            if before is None:
                slopes[value] = dx
                continue
            if ("slope", value) not in slots.places:  # else the sum is there already
                slopes[value] = Holder(slots, slots.take(widths[value], ("slope", value)))
                before.release()
            dx.release()
        dy.release()
    return slots
