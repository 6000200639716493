"""A worker's memory: where each of its stages reads and writes, sized for a maximum batch."""

from collections.abc import Sequence
from math import prod
from typing import Any

from dnnkit.backends.aligned import rounded
from dnnkit.backends.numba_backend.partition import PartitionedLayout, Role, StageShard
from dnnkit.backends.program import Activate, Custom, Dense, Dropout, HostArray, Rescale, Stage, is_trained
from dnnkit.kernels import registry
from dnnkit.kernels._engine.structures import STAGE


class WorkspacePlan:
    """Where one worker's stages read and write in the team's memory, in numbers from `start` on."""

    PLACES = "x", "y", "z", "dx"

    def __init__(
        self, stages: Sequence[Stage], roles: Sequence[Role], shards: Sequence[StageShard], rows: int, start: int,
        *, features: int, outputs: int, itemsize: int, worker: int, layout: PartitionedLayout,
    ) -> None:  # fmt: skip
        self.rows, self.size, self.mask_size, self.exchanged = rows, start, 0, 0
        x = self.inputs = self._take(features)
        width = features
        # z, then predictions for metrics, then dz: never two in use
        self.scratch = self._take(max([features, outputs, *(max(shard.shape) for shard in shards)]))
        self.stages: list[dict[str, Any]] = []
        for stage, role, shard in zip(stages, roles, shards, strict=True):
            inputs, outputs_here = shard.shape
            width = stage.kernel.shape[1] if isinstance(stage, Dense) else width
            width = prod(stage.output_shape) if isinstance(stage, Custom) else width
            line = _fields(stage)
            line |= {"inputs": inputs, "outputs": outputs_here, "first_output": shard.outputs.start, "width": width}
            line |= {"x": x, "y": self._take(outputs_here), "z": self.scratch, "dx": self._take(inputs)}
            if isinstance(stage, Dense):
                if line["saves_input"]:
                    line["z"] = self._take(outputs_here)
                line["kernel"] = layout.pieces[worker, stage.kernel.name].offset * itemsize
                if stage.bias is not None:
                    line["bias"] = layout.pieces[worker, stage.bias.name].offset * itemsize
                    line["biases"] = outputs_here
                    line["bias_gradients"] = outputs_here if is_trained(stage) else 0
                if role in ("rows", "columns"):
                    line["partial"] = self.exchanged * itemsize
                    self.exchanged += rounded(rows * (outputs_here if role == "rows" else inputs))
            if isinstance(stage, Custom) and stage.parameters:
                first, last = (layout.pieces[worker, stage.parameters[place].name] for place in (0, -1))
                line |= {"bias": first.offset * itemsize, "biases": last.offset + last.size - first.offset}
            if isinstance(stage, Dropout):
                line["keep"], self.mask_size = self.mask_size, self.mask_size + rows * outputs_here
            self.stages.append(line)
            x = line["y"]
        self.scores, self.dscores = x, self._take(outputs)

    def _take(self, width: int) -> int:
        """The place of `rows` rows of that width; every place begins a cache line of its own."""
        place, self.size = self.size, self.size + rounded(self.rows * width)
        return place

    def structures(self, memory: HostArray, masks: HostArray) -> Any:
        """The worker's STAGEs, with addresses in the team's memory and in the worker's masks."""
        start, itemsize, result = memory.ctypes.data, memory.itemsize, STAGE.new(len(self.stages))
        for structure, line in zip(result, self.stages, strict=True):
            line = line | {name: start + line[name] * itemsize for name in self.PLACES}
            line["keep"] = masks.ctypes.data + line.get("keep", 0)
            for name, value in line.items():
                setattr(structure, name, value)
        return result


def _fields(stage: Stage) -> dict[str, Any]:
    """What a stage's structure says wherever the stage is."""
    match stage:
        case Dense(activation=name) | Activate(activation=name):
            return {"saves_input": int(registry.activation(name).saves == "input")}
        case Rescale(scale=scale, offset=offset):
            return {"scale": scale, "offset": offset, "saves_input": 0}
        case Dropout(layer=layer, rate=rate):
            return {"layer": layer, "rate": rate, "saves_input": 0}
        case Custom():
            return {"saves_input": 0}
    raise AssertionError(f"{stage} should have been refused by NumbaBackend.supports")
