"""Connections between the stages of a program, as used by schedules and workspaces.

The last reader of a value writes its gradient; those of other readers are added to it, from the last stage to the
first. The same holds for the gradient of a parameter that stages share.
"""

from collections.abc import Sequence
from functools import cached_property

from dnnkit.backends import graph
from dnnkit.backends.graph import Sources
from dnnkit.backends.stages import Op, Parameter, Stage, is_trained, stage_parameters


class Wiring:
    """Stages and their sources; a chain by default."""

    def __init__(self, stages: Sequence[Stage], sources: Sources | None = None) -> None:
        self.stages = tuple(stages)
        self.sources = graph.chain(len(self.stages)) if sources is None else sources

    @cached_property
    def readers(self) -> list[list[tuple[int, int]]]:
        """Readers of each value: (stage, index among its sources)."""
        return graph.readers(self.sources)

    @cached_property
    def _owners(self) -> dict[str, list[int]]:
        """The stages of each trained parameter, in order."""
        found: dict[str, list[int]] = {}
        for place, stage in enumerate(self.stages):
            for parameter in trained_of(stage):
                found.setdefault(parameter.name, []).append(place)
        return found

    @cached_property
    def shares(self) -> bool:
        """Whether stages share parameters, trained or not."""
        names = [parameter.name for stage in self.stages for parameter in stage_parameters(stage)]
        return len(set(names)) < len(names)

    @cached_property
    def is_chain(self) -> bool:
        """Whether each stage reads the output of the previous one, and none share parameters."""
        return self.sources == graph.chain(len(self.stages)) and not self.shares

    @cached_property
    def is_plain(self) -> bool:
        """Whether it is a chain without operations, whose stages need no tables of sources."""
        return self.is_chain and not any(isinstance(stage, Op) for stage in self.stages)

    @cached_property
    def reads_data_once(self) -> bool:
        """Whether the first stage is the only reader of the input."""
        return self.readers[0] == [(0, 0)]

    def wanted(self, first: int) -> list[bool]:
        """Return, for each value, whether its gradient is needed; `first` is -1 if that of the input is.

        In a chain, `first` is the first stage whose gradients are needed.
        """
        if self.is_chain:
            return [value > first for value in range(len(self.stages) + 1)]
        return graph.wanted(self.sources, [is_trained(stage) for stage in self.stages], with_input=first < 0)

    def is_home(self, stage: int, place: int) -> bool:
        """Whether this source's gradient is written as the value's; otherwise it is added to it."""
        value = self.sources[stage][place]
        return max(self.readers[value], key=lambda reader: (reader[0], -reader[1])) == (stage, place)

    def uses_spare(self, stage: int) -> bool:
        """Whether a stage's parameter gradients go to spare memory first, as another stage's are in their place."""
        return any(self._owners[one.name][-1] != stage for one in trained_of(self.stages[stage]))

    def is_shared(self, stage: int) -> bool:
        """Whether another stage has a trained parameter of this one."""
        return any(len(self._owners[one.name]) > 1 for one in trained_of(self.stages[stage]))

    def is_last_gradient(self, stage: int, parameter: Parameter) -> bool:
        """Whether the gradient of the parameter is complete after this stage."""
        return self._owners[parameter.name][0] == stage

    def is_first_gradient(self, stage: int, parameter: Parameter) -> bool:
        """Whether this stage's gradient of the parameter is the first."""
        return self._owners[parameter.name][-1] == stage

    @cached_property
    def last_readers(self) -> list[int]:
        """The last reader of each value; for the scores, a stage after the last."""
        return [max((stage for stage, _ in found), default=len(self.stages)) for found in self.readers]


def trained_of(stage: Stage) -> tuple[Parameter, ...]:
    """Return the stage's trained parameters."""
    return tuple(parameter for parameter in stage_parameters(stage) if parameter.trainable)
