"""Statements of one operation each: the form of a formula from which code is printed."""

from dataclasses import field
from typing import Any

from dnnkit.deferred import dataclass

Value = str | float
"""Name of a statement's result ("v3") or of a variable ("x"), or a constant."""


@dataclass(frozen=True)
class Statement:
    """`name` = `operation` of `arguments`."""

    name: str
    operation: str
    arguments: tuple[Value, ...]


@dataclass
class Steps:
    """Statements in order, with their result and further results."""

    lines: list[Statement] = field(default_factory=list)
    result: Value = 0.0
    others: tuple[Value, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, for another process."""
        lines = [[line.name, line.operation, line.arguments] for line in self.lines]
        return {"lines": lines, "result": self.result, "others": self.others}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Steps":
        """Invert `to_json`."""
        lines = [Statement(name, operation, tuple(arguments)) for name, operation, arguments in values["lines"]]
        return Steps(lines, values["result"], tuple(values["others"]))
