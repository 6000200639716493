"""Connections between the stages of a program: sources, readers, and required gradients.

Value 0 is the network's input, value i + 1 the output of stage i. Stages are in topological order.
"""

from collections.abc import Sequence
from typing import TypeAlias

Sources: TypeAlias = tuple[tuple[int, ...], ...]
"""The values that each stage reads, in argument order."""


def chain(count: int) -> Sources:
    """Return the sources of a chain: each stage reads the output of the previous one."""
    return tuple((place,) for place in range(count))


def readers(sources: Sources) -> list[list[tuple[int, int]]]:
    """Return the readers of each value, in order: (stage, index among that stage's sources)."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(len(sources) + 1)]
    for stage, values in enumerate(sources):
        for place, value in enumerate(values):
            found[value].append((stage, place))
    return found


def wanted(sources: Sources, trained: Sequence[bool], *, with_input: bool = False) -> list[bool]:
    """Return whether each value's gradient is needed: a trained stage, or an input to differentiate, precedes it."""
    found = [with_input]
    for values, is_trained in zip(sources, trained, strict=True):
        found.append(is_trained or any(found[value] for value in values))
    return found


def misplaced(sources: Sources, count: int) -> str | None:
    """Return what is wrong with the sources of `count` stages, or None."""
    if len(sources) != count:
        return f"sources of {len(sources)} stages were given, expected {count}"
    for stage, values in enumerate(sources):
        if not values:
            return f"stage {stage} reads nothing"
        if not all(0 <= value <= stage for value in values):
            return f"stage {stage} reads the values {values}, of which only 0 to {stage} exist before it"
    unread = [value - 1 for value, found in enumerate(readers(sources)[:-1]) if value and not found]
    return f"no stage reads the output of stage {unread[0]}" if unread else None
