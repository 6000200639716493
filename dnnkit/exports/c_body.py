"""Body of a C function: loops that fill buffers, which share the caller's scratch memory by lifetime."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from dnnkit.exports.c_words import OF_NUMBERS, as_float, number
from dnnkit.exports.namespace import FUNCTIONS
from dnnkit.exports.tracing import written_out
from dnnkit.exports.values import Rows, Value, ordered
from dnnkit.exports.walking import cannot_write
from dnnkit.kernels import registry

FILLED = {"dense", "matmul", "reduce", "concat"}
"""Operators whose results are always stored in a buffer, because later operators read each element many times."""

VIEWS = {"reshape", "slice", "permute", "broadcast", "classes"}
"""Operators that rearrange elements without computing any."""


class Extent(NamedTuple):
    """Lifetime of a buffer, from the statement that fills it to the last that reads it, and its size."""

    first: float
    last: float
    size: int


def sizes(value: Value) -> tuple[int, ...]:
    """Return the shape for one row of the batch."""
    return tuple(size.times if isinstance(size, Rows) else size for size in value.shape)


class Body:
    """The statements of one function, and the constants and functions that they need."""

    def __init__(self, name: str, real: str, labels: Mapping[int, str]) -> None:
        self._name, self.real, self._labels = name, real, labels
        self.suffix = "f" if real == "float" else ""
        self.constants = dict[str, tuple[str, list[Any]]]()
        self.functions, self.helpers, self.used = list[str](), set[str](), set[str]()
        self.refuses, self.scratch, self.bytes = False, 0, 0
        self._places, self._outputs = dict[int, str](), list[tuple[str, Value]]()
        self._of_constants, self._of_activations = dict[Any, str](), dict[str, str]()
        self._filled, self._lines = dict[int, Value](), list[str]()
        self._extents, self._time = dict[str, Extent](), 0

    def give(self, value: Value, name: str) -> None:
        """Bind a value to the array with that name."""
        self._places[id(value)] = name

    def output(self, value: Value, name: str) -> None:
        """Store a value in the array with that name."""
        self._outputs.append((name, value))

    # -- the function ------------------------------------------------------------------------------------------------

    def statements(self, results: Sequence[Value]) -> list[str]:
        """Return the lines of the function that computes the results."""
        values = ordered(results, self._reads)
        self._choose(values, results)
        for name, value in self._outputs:
            source = self._plain(value)
            if id(source) in self._filled:
                self._places.setdefault(id(source), name)
        for value in values:
            self._time += 1
            if value.operator == "classes":
                self._check_classes(value)
            if id(value) in self._filled:
                self._fill(value)
        self._time += 1
        for name, value in self._outputs:
            if self._places.get(id(self._plain(value))) != name:
                self._copy(value, name)
        buffers = self._placed()
        return [*(f"{self.real} *const {name} = scratch + {start};" for name, start in buffers.items()), *self._lines]

    def _reads(self, value: Value) -> Sequence[Value]:
        """Return a value's dependencies: an activation across a row depends on its formula."""
        if value.operator == "activation" and not self._is_function(value):
            return [value.settings["body"]]
        return value.reads

    def _is_function(self, value: Value) -> bool:
        return registry.activation(value.settings["name"]).elementwise

    def _choose(self, values: Sequence[Value], results: Sequence[Value]) -> None:
        """Choose the values stored in buffers: those read several times, or recomputed otherwise."""
        uses = Counter(id(each) for value in values for each in self._reads(value))
        uses.update(id(value) for value in results)
        for value in values:
            computes = value.operator in FUNCTIONS or value.operator in ("activation", "take")
            if value.operator in FILLED or (computes and uses[id(value)] > 1 and prod(sizes(value)) > 0):
                self._filled[id(value)] = value
        for value in values:
            for each in self._reads(value):
                is_spread = prod(sizes(each)) < prod(sizes(value)) and value.operator not in ("concat", "take", "dense")
                is_multiplied = value.operator in ("dense", "matmul") and each is value.reads[0]
                if is_multiplied or (value.operator == "reshape" and not _alike(value, each)):
                    self._want_storage(each)
                elif is_spread and each.operator in (*FUNCTIONS, "activation") and prod(sizes(each)) > 0:
                    self._filled[id(each)] = each
        for value in results:
            source = self._plain(value)
            if source.operator not in ("constant", "input"):
                self._filled[id(source)] = source

    def _plain(self, value: Value) -> Value:
        """Return a value without operations that only change its shape."""
        while value.operator == "reshape" or (value.operator == "activation" and not self._is_function(value)):
            value = self._reads(value)[0]
        return value

    def _want_storage(self, value: Value) -> None:
        if self._storage(value, look=True) is None:
            self._filled[id(value)] = value

    # -- where values are --------------------------------------------------------------------------------------------

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
            name = _free(f"{self._name}_{base}", self.constants)
            self._of_constants[key] = name
            self.constants[name] = kind, list(flat)
            self.bytes += flat.size * (4 if kind in ("float", "int") else 8)
        return self._of_constants[key]

    # -- expressions -------------------------------------------------------------------------------------------------

    def _element(self, value: Value, index: Sequence[str]) -> str:
        """Return the C expression of one element."""
        shape = sizes(value)
        index = ["0" if size == 1 else one for one, size in zip(index, shape, strict=True)]
        if id(value) in self._places:
            at = _flat(index, shape)
            name = self._places[id(value)]
            same = at == getattr(self, "_written_at", None)
            return f"{self._touched(name, at=self._time - 0.5 if same else None)}[{at}]"
        reads = self._reads(value)
        match value.operator:
            case "constant":
                if value.settings["array"].size == 1:
                    array = value.settings["array"]
                    return number(array.reshape(-1)[0], self.suffix if array.dtype.kind == "f" else "")
                return f"{self._constant(value)}[{_flat(index, shape)}]"
            case "reshape":
                if _alike(value, reads[0]):
                    left = iter(one for one, size in zip(index, shape, strict=True) if size != 1)
                    return self._element(reads[0], ["0" if size == 1 else next(left) for size in sizes(reads[0])])
                at = _flat(index, shape)
                return f"{self._bracketed(reads[0])}[{at}]"
            case "slice":
                starts, steps = value.settings["starts"], value.settings["steps"]
                return self._element(reads[0], [_moved(*each) for each in zip(index, starts, steps, strict=True)])
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
            name = _free(f"{self._name}_{re.sub(r'[^A-Za-z0-9]+', '_', key)}", self.constants, self._of_activations)
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

    # -- statements --------------------------------------------------------------------------------------------------

    def _target(self, value: Value) -> str:
        """Return the destination of a value: an output, or a new buffer."""
        if id(value) not in self._places:
            name = f"h{len(self._extents)}"
            self._extents[name] = Extent(self._time, self._time, prod(sizes(value)))
            self._places[id(value)] = name
        self.used.add(self._places[id(value)])
        return self._places[id(value)]

    def _fill(self, value: Value) -> None:
        match value.operator:
            case "dense" | "matmul":
                self._fill_product(value)
            case "reduce":
                self._fill_sum(value)
            case "concat":
                self._fill_parts(value)
            case _:
                shape = sizes(value)
                index = _index(shape)
                self._written_at: str | None = _flat(index, shape)
                place = self._places.pop(id(value), None)  # so that it reads its operands, not itself
                text = self._element(value, index)
                if place is not None:
                    self._places[id(value)] = place
                self._loop(shape, f"{self._target(value)}[{self._written_at}] = {text};")
                self._written_at = None

    def _fill_product(self, value: Value) -> None:
        self.helpers.add("dense")
        x, kernel, *bias = value.reads
        source, shape, columns = self._storage(x), sizes(x), sizes(value)[-1]
        assert source is not None
        words = [self._constant(kernel), self._constant(bias[0]) if bias else "0"]
        rows, target = prod(shape[:-1]), self._target(value)
        if rows == 1:
            words = [source, *words, target, str(shape[-1]), str(columns)]
            self._lines.append(f"{self._name}_dense({', '.join(words)});")
            return
        words = [f"{source} + i0 * {shape[-1]}", *words, f"{target} + i0 * {columns}", str(shape[-1]), str(columns)]
        self._loop((rows,), f"{self._name}_dense({', '.join(words)});")

    def _fill_sum(self, value: Value) -> None:
        """Write a sum, product, maximum or minimum; the latter start with the first element, to propagate NaN."""
        x, axes, function = value.reads[0], value.settings["axes"], value.settings["function"]
        shape, kept = sizes(x), sizes(value)
        index = _index(shape)
        words = {"sum": "sum += {0};", "prod": "sum *= {0};"}
        begin = {"sum": number(0.0, self.suffix), "prod": number(1.0, self.suffix)}.get(function)
        if begin is None:
            self.helpers.add(function)
            words[function] = f"sum = {self._name}_{function}(sum, {{0}});"
            begin = self._element(x, ["0" if axis in axes else one for axis, one in enumerate(index)])
        inner = words[function].format(self._element(x, index))
        loops = [(f"i{axis}", shape[axis]) for axis in axes if shape[axis] > 1]
        at = _flat(["0" if size == 1 else one for one, size in zip(index, kept, strict=True)], kept)
        lines = [f"{self.real} sum = {begin};", *_nested(loops, [inner]), f"{self._target(value)}[{at}] = sum;"]
        outer = [(f"i{axis}", size) for axis, size in enumerate(kept) if size > 1]
        self._lines += _nested(outer, lines) if outer else ["{", *(f"    {line}" for line in lines), "}"]

    def _fill_parts(self, value: Value) -> None:
        axis, start, whole, target = value.settings["axis"], 0, sizes(value), self._target(value)
        for part in value.reads:
            shape = sizes(part)
            index = _index(shape)
            place = [*index[:axis], _moved(index[axis], start, 1), *index[axis + 1 :]]
            self._loop(shape, f"{target}[{_flat(place, whole)}] = {self._element(part, index)};")
            start += shape[axis]

    def _copy(self, value: Value, name: str) -> None:
        source, self._time = self._plain(value), self._time + 1
        shape = (prod(sizes(source)),)
        base = self._storage(source)
        assert base is not None
        at = _flat(_index(shape), shape)
        self._loop(shape, f"{name}[{at}] = {f'({base})' if ' ' in base else base}[{at}];")

    def _loop(self, shape: Sequence[int], statement: str) -> None:
        self._lines += _nested([(f"i{axis}", size) for axis, size in enumerate(shape) if size != 1], [statement])

    def _check_classes(self, value: Value) -> None:
        """Write a check that returns 1 if the input has an invalid class number."""
        self.refuses = True
        base = self._bracketed(value.reads[0])
        columns, counts = zip(*value.settings["columns"], strict=True)
        names = []
        for word, array in (("columns", columns), ("classes", counts)):
            name = _free(f"{self._name}_{word}", self.constants)
            self.constants[name] = "int", list(array)
            self.bytes += 4 * len(array)
            names.append(name)
        self._lines += [
            f"for (int i0 = 0; i0 < {len(columns)}; i0++) {{",
            f"    const {self.real} number = {base}[{names[0]}[i0]];",
            f"    if (!(number >= 0 && number < ({self.real}){names[1]}[i0] && number == ({self.real})(int)number))",
            "        return 1;",
            "}",
        ]

    # -- memory ------------------------------------------------------------------------------------------------------

    def _placed(self) -> dict[str, int]:
        """Assign each buffer the first offset in the scratch memory that is free during its lifetime."""
        found = dict[str, int]()
        for name, extent in self._extents.items():
            others = sorted(
                (found[other], found[other] + its.size)
                for other, its in self._extents.items()
                if other in found and its.last >= extent.first and its.first <= extent.last
            )
            start = 0
            for first, last in others:
                if start + extent.size <= first:
                    break
                start = max(start, last)
            found[name] = start
            self.scratch = max(self.scratch, start + extent.size)
        if found:
            self.used.add("scratch")
        return found


def _free(name: str, *taken: Any) -> str:
    number, found = 0, name
    while any(found in each or found in (each.values() if isinstance(each, dict) else ()) for each in taken):
        number += 1
        found = f"{name}_{number}"
    return found


def _alike(value: Value, other: Value) -> bool:
    """Return whether two shapes differ only in axes of size 1."""
    return [size for size in sizes(value) if size != 1] == [size for size in sizes(other) if size != 1]


def _index(shape: Sequence[int]) -> list[str]:
    return ["0" if size == 1 else f"i{axis}" for axis, size in enumerate(shape)]


def _flat(index: Sequence[str], shape: Sequence[int]) -> str:
    """Return the row-major offset of an element."""
    parts, step = list[str](), 1
    for one, size in zip(reversed(index), reversed(shape), strict=True):
        if one != "0":
            parts.append(one if step == 1 else f"{one if re.fullmatch(r'[a-z0-9]+', one) else f'({one})'} * {step}")
        step *= size
    return " + ".join(reversed(parts)) or "0"


def _moved(index: str, start: int, step: int) -> str:
    text = index if step == 1 or index == "0" else f"{index} * {step}"
    if not start:
        return text
    return str(start) if text == "0" else f"{text} + {start}"


def _nested(loops: Sequence[tuple[str, int]], lines: Sequence[str]) -> list[str]:
    """Nest lines within loops."""
    for name, size in reversed(loops):
        head = f"for (int {name} = 0; {name} < {size}; {name}++)"
        inner = [f"    {line}" for line in lines]
        lines = [head, *inner] if len(lines) == 1 else [head + " {", *inner, "}"]
    return list(lines)
