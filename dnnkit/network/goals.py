"""Training objectives per output, as `compile` takes them: loss, loss weight and metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

from dnnkit.base_loss import Loss
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.losses import LOSSES
from dnnkit.metrics import Given, name_of
from dnnkit.registry import did_you_mean
from dnnkit.settings import FINITE, shown


@dataclass(frozen=True)
class Goal:
    """Objective of one output: its loss (None if only others have one), its weight in the sum, and its metrics."""

    loss: Loss | None
    metrics: Any = ()
    """A tuple once `compile` has checked them."""
    weight: float = 1.0


def goals_of(outputs: Sequence[str], loss: Any, loss_weights: Any, metrics: Any) -> tuple[Goal, ...]:
    """Return a goal per output, from a single value for all, a list, or a dictionary by output name.

    Raises:
        ConfigurationError, UnknownName: there are too many or too few, or an unknown output is named.
    """
    if len(outputs) == 1:
        loss, loss_weights, metrics = (_only(given, outputs[0]) for given in (loss, loss_weights, metrics))
        if isinstance(loss, list | tuple) and len(loss) == 1:
            loss = loss[0]
        if isinstance(loss_weights, list | tuple) and len(loss_weights) == 1:
            loss_weights = loss_weights[0]
        if isinstance(metrics, list | tuple) and len(metrics) == 1 and isinstance(metrics[0], list | tuple):
            metrics = metrics[0]
        if loss_weights not in (None, 1, 1.0):
            raise ConfigurationError(
                f"loss_weights is {shown(loss_weights)}, but the network has one output, whose loss alone is "
                "minimised; a factor would only scale the learning rate. Leave it out"
            )
        return (Goal(None if loss is None else LOSSES.make(loss, Loss), metrics or ()),)
    losses = _each("loss", loss, outputs, spread=True)
    weights = _each("loss_weights", loss_weights, outputs, spread=False)
    if isinstance(metrics, list | tuple) and metrics and len(metrics) != len(outputs):
        raise ConfigurationError(
            f"metrics is a list of {len(metrics)}, but the network has {len(outputs)} outputs, {', '.join(outputs)}: "
            f"expected a list for each, such as [[...], [...]], or a dictionary, {{{outputs[0]!r}: ['accuracy']}}"
        )
    if metrics is not None and not isinstance(metrics, list | tuple | Mapping):
        metrics = dict.fromkeys(outputs, metrics)
    measured = _each("metrics", metrics or None, outputs, spread=False)
    found = tuple(
        Goal(
            None if each is None else LOSSES.make(each, Loss),
            () if those is None else those,
            1.0 if weight is None else float(FINITE.of("loss_weights", weight)),
        )
        for each, weight, those in zip(losses, weights, measured, strict=True)
    )
    if loss is not None and all(goal.loss is None for goal in found):
        raise ConfigurationError("compile got no loss: expected at least one, such as loss='mean_squared_error'")
    for name, goal in zip(outputs, found, strict=True):
        if goal.loss is None and goal.metrics:
            raise ConfigurationError(
                f"output {name!r} has metrics but no loss, and so no targets: give it a loss; with "
                f"loss_weights={{{name!r}: 0.0}} it does not influence training"
            )
    return found


def _only(given: Any, output: str) -> Any:
    """Return what is given for the only output, also if it is given by name."""
    if not isinstance(given, Mapping):
        return given
    _check_names("compile", given, [output])
    return given.get(output)


def _each(what: str, given: Any, outputs: Sequence[str], *, spread: bool) -> list[Any]:
    """Return one element per output; with `spread`, a single value applies to all."""
    if isinstance(given, Mapping):
        _check_names(what, given, outputs)
        return [given.get(name) for name in outputs]
    if isinstance(given, list | tuple):
        if len(given) != len(outputs):
            raise ConfigurationError(
                f"{what} is a list of {len(given)}, but the network has {len(outputs)} outputs, {', '.join(outputs)}: "
                "expected one per output, or a dictionary by output name"
            )
        return list(given)
    if given is not None and not spread:
        raise ConfigurationError(
            f"{what} is {shown(given)}, but the network has {len(outputs)} outputs, {', '.join(outputs)}: expected a "
            "list with one element per output, or a dictionary by output name"
        )
    return [given] * len(outputs)


def _check_names(what: str, given: Mapping[str, Any], outputs: Sequence[str]) -> None:
    for name in given:
        if name not in outputs:
            near = did_you_mean(str(name), outputs)
            raise UnknownName(f"{what} names an output {shown(name)}: {near}the network has {', '.join(outputs)}")


def named_metrics(outputs: Sequence[str], goals: Sequence[Goal]) -> dict[str, Given]:
    """Return metrics by their names in logs: with several outputs, prefixed by the output's name."""
    if len(goals) == 1:
        return {name_of(metric): metric for metric in goals[0].metrics}
    return {
        f"{output}_{name_of(metric)}": metric
        for output, goal in zip(outputs, goals, strict=True)
        for metric in goal.metrics
    }


def check_names(outputs: Sequence[str], goals: Sequence[Goal]) -> None:
    """Raise `ConfigurationError` if two measured quantities would have the same name in logs."""
    if len(outputs) == 1:
        return
    names = ["loss", *(f"{name}_loss" for name, goal in zip(outputs, goals, strict=True) if goal.loss is not None)]
    names += [f"{o}_{name_of(m)}" for o, goal in zip(outputs, goals, strict=True) for m in goal.metrics]
    seen = set[str]()
    for name in names:
        if name in seen or f"val_{name}" in names:
            raise ConfigurationError(
                f"two measured quantities would both be called {name!r} or val_{name} in logs: rename outputs or "
                "metrics, such as by dk.Dense(1, name=...), or dk.Model(inputs, {'name': output})"
            )
        seen.add(name)
