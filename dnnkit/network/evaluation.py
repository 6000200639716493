"""The result of `evaluate`: loss and metrics, by name and in order."""

from collections.abc import Iterator, Mapping
from typing import Any

from dnnkit.errors import UnknownName
from dnnkit.registry import did_you_mean
from dnnkit.settings import shown


class Evaluation:
    """Loss and metrics of an evaluation: `loss, accuracy = net.evaluate(x, y)`, or `net.evaluate(x, y)["loss"]`.

    Iteration yields the values, first the loss, then the metrics in the order of `compile`. It is also a mapping:
    `result["loss"]`, `keys()`, `values()`, `items()`, `get`, `dict(result)` and `"loss" in result` work, and it equals
    the dictionary of the same numbers. `result[0]` is the loss. If there are no metrics, it can be used as a number:
    `f"{result:.3f}"`, `float(result)`, `result < 0.1`.
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
            raise UnknownName(f"there is no result {shown(name)}: {near}expected one of {', '.join(self._values)}")
        return list(self._values.values())[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def keys(self) -> Any:
        """Names, "loss" first."""
        return self._values.keys()

    def values(self) -> Any:
        """Values, the loss first."""
        return self._values.values()

    def items(self) -> Any:
        """Return the (name, value) pairs."""
        return self._values.items()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of that name, or the default."""
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
            raise TypeError(f"{self} is {len(self._values)} numbers, not one: select one, such as result['loss']")
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
    """Keras's result for a batch: a dictionary on request, a number if there is only the loss, else all in order."""
    return dict(found.items()) if return_dict else found if len(found) > 1 else float(found)
