"""Workspace of a worker: where each of its stages reads and writes, sized for a maximum batch."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.backends.aligned import address, rounded
from dnnkit.backends.numba_backend.partition import PartitionedLayout, Role, StageShard
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.stages import (
    Activate,
    Custom,
    Dense,
    Dropout,
    Op,
    Rescale,
    Stage,
    is_trained,
    stage_features,
    stage_parameters,
)
from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels._engine.structures import PARAMETER, SOURCE, STAGE
from dnnkit.kernels.stages import kind


class WorkspacePlan:
    """Placement of one worker's arrays in the team's memory, as element offsets from `start`.

    Memory of a value is reused after its last reader: without training in the forward pass, with training never. Memory
    of a gradient is reused once its stage has run backward.
    """

    PLACES = "x", "y", "z", "dx", "dy", "saved", "kept"

    def __init__(
        self, wiring: Wiring, roles: Sequence[Role], shards: Sequence[StageShard], rows: int, start: int,
        *, features: int, outputs: int, itemsize: int, worker: int, layout: PartitionedLayout, trains: bool,
    ) -> None:  # fmt: skip
        self.rows, self.size, self.mask_size, self.exchanged = rows, start, 0, 0
        self._wiring, self._layout, self._worker, self._itemsize = wiring, layout, worker, itemsize
        self._trains, self._free = trains, list[tuple[int, int]]()
        self.values, widths = [self._take(features)], [features]
        self.inputs = self.values[0]
        # z, then predictions for metrics, then dz: never two in use
        self.scratch = self._take(max([features, outputs, *(max(shard.shape) for shard in shards)]))
        self.stages: list[dict[str, Any]] = []
        self.tables: list[tuple[Any, Any, Any]] = []
        """Tables that each stage's structure refers to: SOURCEs, PARAMETERs, settings."""
        for place, (stage, role, shard) in enumerate(zip(wiring.stages, roles, shards, strict=True)):
            sources = wiring.sources[place]
            inputs, outputs_here = shard.shape
            width = stage_features(stage, widths[sources[0]])
            line = _fields(stage)
            line |= {"inputs": inputs, "outputs": outputs_here, "first_output": shard.outputs.start, "width": width}
            line |= {"x": self.values[sources[0]], "y": self._take(outputs_here), "z": self.scratch}
            line |= {"trains": is_trained(stage), "spare": wiring.uses_spare(place), "reads": len(sources)}
            line["read"] = [inputs] if len(sources) == 1 else [widths[value] for value in sources]
            if isinstance(stage, Dense):
                if line["saves_input"]:
                    line["z"] = self._take(outputs_here) if trains else self.scratch
                line["kernel"] = layout.pieces[worker, stage.kernel.name].offset * itemsize
                if stage.bias is not None:
                    line["bias"] = layout.pieces[worker, stage.bias.name].offset * itemsize
                    line["biases"] = outputs_here
                    line["bias_gradients"] = outputs_here if is_trained(stage) else 0
                if role in ("rows", "columns"):
                    self._exchange(line, rows * (outputs_here if role == "rows" else inputs))
            if isinstance(stage, Custom) and stage.parameters:
                first, last = (layout.pieces[worker, stage.parameters[place].name] for place in (0, -1))
                line |= {"bias": first.offset * itemsize, "biases": last.offset + last.size - first.offset}
            if isinstance(stage, Dropout):
                line["keep"], self.mask_size = self.mask_size, self.mask_size + rows * outputs_here
            if isinstance(stage, Op):
                self._add_operation(line, stage, tuple(widths[value] for value in sources))
            self.stages.append(line)
            self.values.append(line["y"])
            widths.append(width)
            self._forget_read(place)
        self.scores, self.dscores = self.values[-1], self._take(outputs)
        self._widths = widths
        self._plan_slopes()

    def _plan_slopes(self) -> None:
        """Place the gradients of the stages' inputs, from the last stage to the first."""
        self._dxs: list[list[int]] = [[] for _ in self.stages]
        for stage in range(len(self.stages) - 1, -1, -1):
            line = self.stages[stage]
            widths = line.pop("read")
            self._dxs[stage] = [self._take(width) if self._trains else self.scratch for width in widths]
            line["dx"] = self._dxs[stage][0]
            if not self._trains:
                continue
            for place, (width, dx) in enumerate(zip(widths, self._dxs[stage], strict=True)):
                if not self._wiring.is_home(stage, place):  # added to another gradient immediately
                    self._give_back(width, dx)
            if stage + 1 < len(self.stages):
                self._give_back(line["outputs"], self.slope(stage + 1))

    def _give_back(self, width: int, place: int) -> None:
        """Free the memory of `rows` rows of this width."""
        self._free.append((rounded(self.rows * width), place))

    def _add_operation(self, line: dict[str, Any], stage: Op, inputs: tuple[int, ...]) -> None:
        """Allocate the memory of an operation."""
        needs, settings = kind(stage.kind).opcodes, dict(stage.settings)
        line["saves"] = needs.saves(inputs, stage.features, settings)
        line["keeps"] = needs.keeps(inputs, stage.features, settings)
        line["saved"], line["kept"] = self._take(line["saves"]), self._take_flat(line["keeps"])
        self._exchange(line, needs.sums(inputs, stage.features, settings))

    def _exchange(self, line: dict[str, Any], count: int) -> None:
        """Allocate `count` numbers in the exchange."""
        line["partial"] = self.exchanged * self._itemsize
        self.exchanged += rounded(count)

    def _take(self, width: int) -> int:
        """Allocate `rows` rows of this width, aligned to a cache line."""
        return self._take_flat(self.rows * width)

    def _take_flat(self, count: int) -> int:
        size = rounded(count)
        if self._free:
            fitting = [one for one in self._free if one[0] >= size]
            if fitting:
                self._free.remove(found := min(fitting))
                return found[1]
        place, self.size = self.size, self.size + size
        return place

    def _forget_read(self, stage: int) -> None:
        """Without training, free values that have no reader after this stage, except the inputs."""
        if self._trains:
            return
        for value in set(self._wiring.sources[stage]) - {0}:
            if self._wiring.last_readers[value] == stage:
                self._give_back(self.stages[value - 1]["outputs"], self.values[value])

    def structures(self, memory: HostArray, masks: HostArray) -> Any:
        """Return the worker's STAGEs, with addresses in the team's memory and in the worker's masks."""
        start, itemsize, result = memory.ctypes.data, memory.itemsize, STAGE.new(len(self.stages))
        for place, (structure, line) in enumerate(zip(result, self.stages, strict=True)):
            line = {"dy": self.slope(place + 1), **line}
            line |= {name: start + line[name] * itemsize for name in self.PLACES if name in line}
            line["keep"] = masks.ctypes.data + line.get("keep", 0)
            for name, value in line.items():
                setattr(structure, name, value)
            if not self._wiring.is_plain:
                self._fill_tables(structure, place, start)
        return result

    def slope(self, value: int) -> int:
        """Return the place of a value's gradient."""
        if value == len(self.stages):
            return self.dscores
        stage, place = max(self._wiring.readers[value], key=lambda reader: (reader[0], -reader[1]))
        return self._dxs[stage][place]

    def _fill_tables(self, structure: Any, place: int, start: int) -> None:
        """Fill the tables that a stage's structure refers to."""
        stage, sources = self._wiring.stages[place], self._wiring.sources[place]
        own, itemsize = stage_parameters(stage), self._itemsize
        read, parameters = SOURCE.new(len(sources)), PARAMETER.new(max(1, len(own)))
        for one, value in zip(read, sources, strict=True):
            one.x, one.features = start + self.values[value] * itemsize, self._widths[value]
        for one, parameter in zip(parameters, own, strict=False):
            piece = self._layout.pieces[self._worker, parameter.name]
            one.start, one.size = piece.offset * itemsize, piece.size
        settings = np.zeros(1)
        if isinstance(stage, Op):
            settings = np.array([*kind(stage.kind).opcodes.numbers(dict(stage.settings)), 0.0], np.float64)
        structure.sources, structure.parameters = ctypes.addressof(read), ctypes.addressof(parameters)
        structure.settings = address(settings)
        self.tables.append((read, parameters, settings))

    def select_gradients(self, first: int, memory: HostArray) -> None:
        """Set which gradients stages compute: from the stage `first` on, or all if it is -1."""
        start, itemsize, wanted = memory.ctypes.data, self._itemsize, self._wiring.wanted(first)
        for place, (read, _, _) in enumerate(self.tables):
            for number, (one, value) in enumerate(zip(read, self._wiring.sources[place], strict=True)):
                home, own = self.slope(value), self._dxs[place][number]
                one.dx = start + own * itemsize if wanted[value] else 0
                one.sum = start + home * itemsize if home != own else 0


def _fields(stage: Stage) -> dict[str, Any]:
    """Return the fields of a stage's structure that do not depend on its position."""
    match stage:
        case Dense(activation=name) | Activate(activation=name):
            return {"saves_input": int(registry.activation(name).saves == "input")}
        case Rescale(scale=scale, offset=offset):
            return {"scale": scale, "offset": offset, "saves_input": 0}
        case Dropout(layer=layer, rate=rate):
            return {"layer": layer, "rate": 0.0 if callable(rate) else rate, "saves_input": 0}
        case Op(layer=layer):
            return {"layer": layer, "saves_input": 0}
        case Custom():
            return {"saves_input": 0}
    raise AssertionError(f"{stage} should have been rejected by NumbaBackend.supports")
