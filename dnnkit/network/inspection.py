"""`net.inspect()`: how a training step runs here: its parts, their partition, predicted and measured times."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from dnnkit.backends.choosing import reason_in
from dnnkit.backends.inspection import STEPS, StepParts
from dnnkit.backends.measures import Loss
from dnnkit.deferred import dataclass
from dnnkit.errors import DataError, NotReady
from dnnkit.kernels import registry
from dnnkit.network import checks
from dnnkit.network.freezing import require_trainable
from dnnkit.network.protocol import Network

HEADS = "part", "parameters", "partition", "predicted", "measured"


@dataclass(frozen=True)
class Inspection:
    """Result of `net.inspect()`; printing it shows a table.

    `step` lists the parts with their seconds per step; `parameters` maps a part's name to its number of parameters.
    """

    backend: str
    device: str
    execution: str
    reason: str | None
    dtype: str
    batch_size: int
    step: StepParts
    parameters: dict[str, int]
    chosen: str = ""
    """Why the backend "auto" chose the backend; empty if it was given by name."""
    frozen: int = 0
    """Number of parameters that are frozen."""

    @property
    def title(self) -> str:
        """Backend, device, execution and partition, on one line."""
        why = f" ({self.reason})" if self.reason else ""
        where = f"{self.backend} on {self.device}, {self.execution}{why}"
        shared = f", {_partition(self.step.partition)}" if self.step.partition else ""
        return f"{where}, {self.dtype}, batches of {self.batch_size}{shared}"

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of the table, as text."""
        rows = list[tuple[str, ...]]()
        for part in self.step.parts:
            count = self.parameters.get(part.name.split(" ")[0], 0)
            counted = f"{count:,}" if count else ""
            rows.append((part.name, counted, part.partition, _time(part.predicted), _time(part.measured)))
        total = sum(self.parameters.values())
        counted = f"{total:,}" + (f", {self.frozen:,} frozen" if self.frozen else "")
        rows.append(("a step", counted, "", _time(self.step.predicted), _time(self.step.measured)))
        return rows

    def _heads(self) -> list[str]:
        return [self.title, *([f"chosen by auto: {self.chosen}"] if self.chosen else [])]

    def __str__(self) -> str:
        rows = [HEADS, *self.rows()]
        used = [place for place in range(len(HEADS)) if any(row[place] for row in rows[1:])]
        widths = {place: max(len(row[place]) for row in rows) for place in used}
        lines = [
            "  ".join(row[n].ljust(widths[n]) if n in (0, 2) else row[n].rjust(widths[n]) for n in used).rstrip()
            for row in rows
        ]
        return "\n".join([*self._heads(), "", lines[0], "-" * max(map(len, lines)), *lines[1:]])

    def _repr_html_(self) -> str:
        from html import escape  # only notebooks need it

        cells = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in self.rows())
        heads = "".join(f"<th>{head}</th>" for head in HEADS)
        title = "<br>".join(map(escape, self._heads()))
        return f"<p>{title}</p><table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>"


def inspect(twin: Network, check: Callable[..., Any], x: Any, y: Any, batch_size: int) -> Inspection:
    """Inspect `twin`, a copy, by training it for a few steps; `check` checks its samples and targets."""
    batch_size = checks.check_count("batch_size", batch_size)
    if not twin.is_built or not twin.is_compiled or twin.loss is None:
        raise NotReady("inspect needs a network that can train: call compile(optimizer, loss), and build(...) or fit")
    if (x is None) != (y is None):
        raise DataError(f"inspect got {'y without x' if x is None else 'x without y'}: give both, or neither")
    executable, program = twin.executable, twin.executable.program
    require_trainable(executable)
    if x is None:
        x, y = _random_data(twin, batch_size)
    data = executable.load(*check(x, y))
    batch_size = min(batch_size, len(data))
    steps = min(STEPS, len(data) // batch_size)  # whole batches; the fastest time of each part is used
    order = np.random.default_rng(0).permutation(len(data))[: steps * batch_size]
    step = executable.step_parts(data, order, batch_size)
    counts: dict[str, int] = {}
    for parameter in program.parameters:
        layer = parameter.name.rpartition("/")[0]
        counts[layer] = counts.get(layer, 0) + parameter.size
    plan = executable.plan
    where = plan.backend, plan.device, plan.execution, plan.reason
    frozen = program.size - program.trainable_size
    return Inspection(*where, program.dtype, batch_size, step, counts, reason_in(plan), frozen)


def _random_data(net: Network, batch_size: int) -> tuple[Any, Any]:
    """Random samples and targets that fit the network, enough for several steps."""
    rng, rows, program = np.random.default_rng(0), STEPS * batch_size, net.executable.program
    x = [rng.normal(size=(rows, prod(each.shape or ()))).astype(program.dtype) for each in net.graph.inputs]
    x = [part.reshape(rows, *(each.shape or ())) for part, each in zip(x, net.graph.inputs, strict=True)]
    if program.outputs:
        y = [_random_targets(each.loss, each.width, rows, program.dtype, rng) for each in program.outputs]
    else:
        y = [_random_targets(program.loss, program.output_features, rows, program.dtype, rng)]
    return (x if len(x) > 1 else x[0]), (y if len(y) > 1 else y[0])


def _random_targets(loss: Loss | None, outputs: int, rows: int, dtype: str, rng: np.random.Generator) -> Any:
    """Random targets that fit the loss; None if there is no loss."""
    if loss is None:
        return None
    if loss.targets == "any":
        raise DataError("inspect cannot make up targets for a custom loss: give x and y")
    if loss.targets == "labels":
        return rng.integers(0, outputs, rows)
    kernel = loss.kernel
    is_positive = isinstance(kernel, str) and registry.loss(kernel).target_range == "positive"
    return (rng.integers(0, 2, (rows, outputs)) + is_positive).astype(dtype)


def _partition(text: str) -> str:
    by, _, workers = text.partition("/")
    return "1 worker" if workers == "1" else f"{workers} workers, by {by}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1e3:,.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:,.1f} µs"
