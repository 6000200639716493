"""Body of a C function: loops that fill buffers, which share the caller's scratch memory by lifetime."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

from dnnkit.exports.c_expressions import (
    Expressions,
    Extent,
    index_of,
    is_alike,
    moved_index,
    offset_of,
    sizes,
    unused_name,
)
from dnnkit.exports.c_numbers import number
from dnnkit.exports.namespace import FUNCTIONS
from dnnkit.exports.values import Value, ordered

FILLED = {"dense", "matmul", "reduce", "concat"}
"""Operators whose results are always stored in a buffer, because later operators read each element many times."""

VIEWS = {"reshape", "slice", "permute", "broadcast", "classes"}
"""Operators that rearrange elements without computing any."""


class Body(Expressions):
    """The statements of one function, and the constants and functions that they need."""

    def __init__(self, name: str, real: str, labels: Mapping[int, str]) -> None:
        super().__init__(name, real, labels)
        self.refuses, self.scratch = False, 0
        self._outputs, self._lines = list[tuple[str, Value]](), list[str]()

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
                if is_multiplied or (value.operator == "reshape" and not is_alike(value, each)):
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
                index = index_of(shape)
                self._written_at = offset_of(index, shape)
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
        index = index_of(shape)
        words = {"sum": "sum += {0};", "prod": "sum *= {0};"}
        begin = {"sum": number(0.0, self.suffix), "prod": number(1.0, self.suffix)}.get(function)
        if begin is None:
            self.helpers.add(function)
            words[function] = f"sum = {self._name}_{function}(sum, {{0}});"
            begin = self._element(x, ["0" if axis in axes else one for axis, one in enumerate(index)])
        inner = words[function].format(self._element(x, index))
        loops = [(f"i{axis}", shape[axis]) for axis in axes if shape[axis] > 1]
        at = offset_of(["0" if size == 1 else one for one, size in zip(index, kept, strict=True)], kept)
        lines = [f"{self.real} sum = {begin};", *_nested(loops, [inner]), f"{self._target(value)}[{at}] = sum;"]
        outer = [(f"i{axis}", size) for axis, size in enumerate(kept) if size > 1]
        self._lines += _nested(outer, lines) if outer else ["{", *(f"    {line}" for line in lines), "}"]

    def _fill_parts(self, value: Value) -> None:
        axis, start, whole, target = value.settings["axis"], 0, sizes(value), self._target(value)
        for part in value.reads:
            shape = sizes(part)
            index = index_of(shape)
            place = [*index[:axis], moved_index(index[axis], start, 1), *index[axis + 1 :]]
            self._loop(shape, f"{target}[{offset_of(place, whole)}] = {self._element(part, index)};")
            start += shape[axis]

    def _copy(self, value: Value, name: str) -> None:
        source, self._time = self._plain(value), self._time + 1
        shape = (prod(sizes(source)),)
        base = self._storage(source)
        assert base is not None
        at = offset_of(index_of(shape), shape)
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
            name = unused_name(f"{self._name}_{word}", self.constants)
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


def _nested(loops: Sequence[tuple[str, int]], lines: Sequence[str]) -> list[str]:
    """Nest lines within loops."""
    for name, size in reversed(loops):
        head = f"for (int {name} = 0; {name} < {size}; {name}++)"
        inner = [f"    {line}" for line in lines]
        lines = [head, *inner] if len(lines) == 1 else [head + " {", *inner, "}"]
    return list(lines)
