"""C expressions: elements of values, arrays of constants, and functions of activations."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from dnnkit.exports.c_numbers import OF_NUMBERS, as_float, number
from dnnkit.exports.tracing import written_out
from dnnkit.exports.values import Rows, Value, ordered
from dnnkit.exports.walking import cannot_write
from dnnkit.kernels import registry


class Extent(NamedTuple):
    """Lifetime of a buffer, from the statement that fills it to the last that reads it, and its size."""

    first: float
    last: float
    size: int


def sizes(value: Value) -> tuple[int, ...]:
    """Return the shape for one row of the batch."""
    return tuple(size.times if isinstance(size, Rows) else size for size in value.shape)


class Expressions:
    """Expressions of one function, and the constants and functions that they need."""

    def __init__(self, name: str, real: str, labels: Mapping[int, str]) -> None:
        self._name, self.real, self._labels = name, real, labels
        self.suffix = "f" if real == "float" else ""
        self.constants = dict[str, tuple[str, list[Any]]]()
        self.functions, self.helpers, self.used = list[str](), set[str](), set[str]()
        self.bytes = 0
        self._places, self._filled = dict[int, str](), dict[int, Value]()
        self._of_constants, self._of_activations = dict[Any, str](), dict[str, str]()
        self._extents, self._time = dict[str, Extent](), 0
        self._written_at: str | None = None
        """Index of the element that the current statement writes."""

    def give(self, value: Value, name: str) -> None:
        """Bind a value to the array with that name."""
        self._places[id(value)] = name

    def _reads(self, value: Value) -> Sequence[Value]:
        """Return a value's dependencies: an activation across a row depends on its formula."""
        if value.operator == "activation" and not self._is_function(value):
            return [value.settings["body"]]
        return value.reads

    def _is_function(self, value: Value) -> bool:
        return registry.activation(value.settings["name"]).elementwise

    def _storage(self, value: Value, *, look: bool = False) -> str | None:
        """Return a C expression for the contiguous elements of a value; None if they are not stored.

        With `look`, only determine whether they will be stored.
        """
        if id(value) in self._places or (look and id(value) in self._filled):
            return self._touched(self._places[id(value)]) if not look else ""
        if value.operator == "constant":
            return self._constant(value) if not look else ""
        if value.operator in ("reshape", "classes") or (
            value.operator == "activation" and not self._is_function(value)
        ):
            return self._storage(self._reads(value)[0], look=look)
        if value.operator == "slice":
            base = self._storage(value.reads[0], look=look)
            starts, steps, whole = value.settings["starts"], value.settings["steps"], sizes(value.reads[0])
            cut = [axis for axis, size in enumerate(sizes(value)) if size != whole[axis]]
            is_block = not cut or (prod(whole[: cut[0]]) == 1 and len(cut) == 1 and steps[cut[0]] == 1)
            if base is None or not is_block:
                return None
            offset = starts[cut[0]] * prod(whole[cut[0] + 1 :]) if cut else 0
            return f"{base} + {offset}" if offset and not look else base
        return None

    def _touched(self, name: str, *, at: float | None = None) -> str:
        """Record that the current statement reads this array."""
        self.used.add(name)
        if name in self._extents:
            found = self._extents[name]
            self._extents[name] = found._replace(last=max(found.last, self._time if at is None else at))
        return name

    def _constant(self, value: Value) -> str:
        array = value.settings["array"]
        kind = self.real if array.dtype.kind == "f" else "int"
        flat = np.ravel(array if self.suffix == "" or kind == "int" else as_float(array))
        key = self._labels.get(id(array)) or (kind, flat.tobytes())
        if key not in self._of_constants:
            base = re.sub(r"[^A-Za-z0-9]+", "_", key) if isinstance(key, str) else "constant"
            name = unused_name(f"{self._name}_{base}", self.constants)
            self._of_constants[key] = name
            self.constants[name] = kind, list(flat)
            self.bytes += flat.size * (4 if kind in ("float", "int") else 8)
        return self._of_constants[key]

    def _element(self, value: Value, index: Sequence[str]) -> str:
        """Return the C expression of one element."""
        shape = sizes(value)
        index = ["0" if size == 1 else one for one, size in zip(index, shape, strict=True)]
        if id(value) in self._places:
            at = offset_of(index, shape)
            name = self._places[id(value)]
            same = at == self._written_at
            return f"{self._touched(name, at=self._time - 0.5 if same else None)}[{at}]"
        reads = self._reads(value)
        match value.operator:
            case "constant":
                if value.settings["array"].size == 1:
                    array = value.settings["array"]
                    return number(array.reshape(-1)[0], self.suffix if array.dtype.kind == "f" else "")
                return f"{self._constant(value)}[{offset_of(index, shape)}]"
            case "reshape":
                if is_alike(value, reads[0]):
                    left = iter(one for one, size in zip(index, shape, strict=True) if size != 1)
                    return self._element(reads[0], ["0" if size == 1 else next(left) for size in sizes(reads[0])])
                at = offset_of(index, shape)
                return f"{self._bracketed(reads[0])}[{at}]"
            case "slice":
                starts, steps = value.settings["starts"], value.settings["steps"]
                return self._element(reads[0], [moved_index(*each) for each in zip(index, starts, steps, strict=True)])
            case "permute":
                moved = dict(zip(value.settings["axes"], index, strict=True))
                return self._element(reads[0], [moved[axis] for axis in range(len(index))])
            case "broadcast":
                return self._element(reads[0], index[len(index) - reads[0].ndim :])
            case "classes":
                return self._element(reads[0], index)
            case "activation" if self._is_function(value):
                return f"{self._function(value)}({self._element(reads[0], index)})"
            case "activation":
                return self._element(reads[0], index)
            case "take":
                axis, places = value.settings["axis"], reads[1]
                chosen = self._element(places, index[axis : axis + places.ndim])
                return self._element(reads[0], [*index[:axis], f"(int){chosen}", *index[axis + places.ndim :]])
        given = [self._element(each, index[len(index) - each.ndim :]) for each in reads]
        return self._word(value, given)

    def _bracketed(self, value: Value) -> str:
        found = self._storage(value)
        assert found is not None
        return f"({found})" if " " in found else found

    def _word(self, value: Value, given: Sequence[str]) -> str:
        """Return the C expression of an elementwise function."""
        if value.operator not in OF_NUMBERS:
            raise cannot_write(f"the function {value.operator}", "C", "C has no function for it")
        text = OF_NUMBERS[value.operator]
        helper = re.match(r"\{name\}_(\w+)\(", text)
        if helper:
            self.helpers.add(helper[1])
        kind = self.real if value.dtype.kind == "f" else "int"
        return text.format(*given, f=self.suffix, name=self._name, kind=kind)

    def _function(self, value: Value) -> str:
        """Return the name of the C function of an activation."""
        key = value.settings["name"]
        if key not in self._of_activations:
            name = unused_name(
                f"{self._name}_{re.sub(r'[^A-Za-z0-9]+', '_', key)}", self.constants, self._of_activations
            )
            self._of_activations[key] = name
            x = Value("input", (), (), value.dtype)
            result = written_out(key, x)
            names, lines = {id(x): "x"}, list[str]()
            values = ordered([result], lambda one: one.reads)
            uses = Counter(id(each) for one in values for each in one.reads)
            for one in values:
                if one is x or one.operator in ("constant", "broadcast", "reshape"):
                    source = one.reads[0] if one.reads else one
                    names.setdefault(id(one), names.get(id(source)) or self._element(source, []))
                    continue
                text = self._word(one, [names[id(each)] for each in one.reads])
                if uses[id(one)] > 1:
                    names[id(one)] = f"t{len(lines)}"
                    lines.append(f"    const {self.real if one.dtype.kind == 'f' else 'int'} t{len(lines)} = {text};")
                else:
                    names[id(one)] = text
            text = "\n".join([*lines, f"    return {names[id(result)]};"])
            self.functions.append(f"static inline {self.real} {name}({self.real} x)\n{{\n{text}\n}}\n")
        return self._of_activations[key]


def unused_name(name: str, *taken: Any) -> str:
    """Return the name, with a number if it is among the names that are taken."""
    number, found = 0, name
    while any(found in each or found in (each.values() if isinstance(each, dict) else ()) for each in taken):
        number += 1
        found = f"{name}_{number}"
    return found


def is_alike(value: Value, other: Value) -> bool:
    """Return whether two shapes differ only in axes of size 1."""
    return [size for size in sizes(value) if size != 1] == [size for size in sizes(other) if size != 1]


def index_of(shape: Sequence[int]) -> list[str]:
    """Return the names of the loops' variables, one per axis; 0 for an axis of size 1."""
    return ["0" if size == 1 else f"i{axis}" for axis, size in enumerate(shape)]


def offset_of(index: Sequence[str], shape: Sequence[int]) -> str:
    """Return the row-major offset of an element."""
    parts, step = list[str](), 1
    for one, size in zip(reversed(index), reversed(shape), strict=True):
        if one != "0":
            parts.append(one if step == 1 else f"{one if re.fullmatch(r'[a-z0-9]+', one) else f'({one})'} * {step}")
        step *= size
    return " + ".join(reversed(parts)) or "0"


def moved_index(index: str, start: int, step: int) -> str:
    """Return the index of an element of a slice in the array that is sliced."""
    text = index if step == 1 or index == "0" else f"{index} * {step}"
    if not start:
        return text
    return str(start) if text == "0" else f"{text} + {start}"
