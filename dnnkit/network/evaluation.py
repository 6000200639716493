"""What `evaluate` found: loss and metrics, by name and in order."""

from collections.abc import Iterator, Mapping
from typing import Any

from dnnkit.errors import UnknownName
from dnnkit.registry import did_you_mean
from dnnkit.settings import shown


class Evaluation:
    """Loss and metrics of an evaluation: `loss, accuracy = net.evaluate(x, y)`, or `net.evaluate(x, y)["loss"]`.

    It iterates over its values, the loss first and the metrics as `compile` was given them. By name it is a mapping:
    `result["loss"]`, `keys()`, `values()`, `items()`, `get`, `dict(result)`, `"loss" in result`, and it equals the
    dictionary of the same numbers. `result[0]` is the loss, too. The loss alone, where there are no metrics, is also
    used as the number that it is: `f"{result:.3f}"`, `float(result)`, `result < 0.1`.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = dict(values)

    def __iter__(self) -> Iterator[float]:
        return iter(self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, name: str | int) -> float:
        if isinstance(name, str):
            if name in self._values:
                return self._values[name]
            near = did_you_mean(name, self._values)
            raise UnknownName(f"nothing was measured as {shown(name)}: {near}there is {', '.join(self._values)}")
        return list(self._values.values())[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def keys(self) -> Any:
        """The names, "loss" first."""
        return self._values.keys()

    def values(self) -> Any:
        """The numbers, the loss first."""
        return self._values.values()

    def items(self) -> Any:
        """Pairs of a name and its number."""
        return self._values.items()

    def get(self, name: str, default: Any = None) -> Any:
        """The number of that name, or the default."""
        return self._values.get(name, default)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Evaluation):
            return self._values == other._values
        if isinstance(other, Mapping):
            return self._values == dict(other)
        return list(self) == list(other) if isinstance(other, list | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Evaluation({', '.join(f'{name}={value:.6g}' for name, value in self._values.items())})"

    # -- the loss alone ----------------------------------------------------------------------------------------------

    def __float__(self) -> float:
        if len(self._values) != 1:
            raise TypeError(f"{self} is {len(self._values)} numbers, not one: take one of them, such as result['loss']")
        return self["loss"]

    def __format__(self, how: str) -> str:
        return format(float(self), how) if how else str(self)

    def __lt__(self, other: float) -> bool:
        return float(self) < other

    def __le__(self, other: float) -> bool:
        return float(self) <= other

    def __gt__(self, other: float) -> bool:
        return float(self) > other

    def __ge__(self, other: float) -> bool:
        return float(self) >= other


def as_of_batch(found: Evaluation, return_dict: bool) -> Any:
    """What Keras gives of a batch: a dictionary if asked for, the loss alone as a number, else all in order."""
    return dict(found.items()) if return_dict else found if len(found) > 1 else float(found)
