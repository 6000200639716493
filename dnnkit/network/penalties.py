"""Regularizers and constraints of parameters, from a layer's `<parameter>_regularizer` and `<parameter>_constraint`."""

from collections.abc import Sequence

from dnnkit.backends.penalties import Bound, Penalty
from dnnkit.backends.stages import Parameter
from dnnkit.constraints import Constraint, get_constraint
from dnnkit.layers import Layer
from dnnkit.regularizers import Regularizer, get_regularizer


def penalties_of(layer: Layer, parameters: Sequence[Parameter]) -> list[Penalty]:
    """Return the penalties on the layer's trainable parameters."""
    found = []
    for parameter in parameters:
        given = getattr(layer, f"{parameter.name.rpartition('/')[2]}_regularizer", None)
        if parameter.trainable and isinstance(given, str | Regularizer):
            regularizer = get_regularizer(given)
            assert regularizer is not None
            found.append(Penalty(parameter.name, *regularizer.factors))
    return found


def bounds_of(layer: Layer, parameters: Sequence[Parameter]) -> list[Bound]:
    """Return the constraints on the layer's trainable parameters."""
    found = []
    for parameter in parameters:
        given = getattr(layer, f"{parameter.name.rpartition('/')[2]}_constraint", None)
        if parameter.trainable and isinstance(given, str | Constraint):
            constraint = get_constraint(given)
            assert constraint is not None
            found.append(constraint.bound(parameter.name))
    return found
