"""Description of a run: steps and batches."""

import math
from dataclasses import field
from typing import NamedTuple

import numpy as np

from dnnkit.backends.numba_backend.bytecode import Clips, Inputs
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.partition import Partition
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels.matmul.limits import columns_fit_tiles, fits_tiles, is_read_once


@dataclass(frozen=True, eq=False)
class Batches:
    """Rows in an order, and the array for their outputs."""

    data: BatchSource
    order: HostArray
    batch_size: int
    batch_weights: HostArray
    out: HostArray | None = None
    is_one: bool = False
    """Whether all steps have the same rows in the same order."""
    form: object = field(default_factory=object)
    """The same object for batches that differ in their order only, for which a team need not be prepared anew."""

    def in_order(self, order: HostArray) -> "Batches":
        """Return batches of the same rows in another order."""
        return Batches(self.data, order, self.batch_size, self.batch_weights, self.out, self.is_one, self.form)


class Steps(NamedTuple):
    """Steps first ... last - 1 to run, and their numbers; `first_update` updates were made before.

    `rates` are (steps,), or (groups, steps); `constants` (groups, steps, numbers), with a single step if they are
    constant.
    """

    first: int
    last: int
    first_update: int = 0
    rates: HostArray | None = None
    constants: HostArray | None = None
    clips: Clips = ""
    clip_norm: float = 0.0
    clip_value: float = 0.0


def inputs_of(program: Program, wiring: Wiring, partition: Partition, batches: Batches) -> Inputs:
    """Return how the first stage reads its inputs: nonzero columns if tiles fit, in place if nothing is converted."""
    if batches.data.entries is not None:  # only loaded if the first stage multiplies them
        return "compressed"
    rows, features = min(batches.batch_size, max(1, len(batches.order))), math.prod(program.input_shape)
    if partition.by == "rows":
        rows = -(-rows // partition.workers)
    if not wiring.stages or not isinstance(wiring.stages[0], Dense) or not wiring.reads_data_once:
        return "gathered"
    data = batches.data
    fits = fits_tiles if data.bits is None else columns_fit_tiles
    size = np.dtype(program.dtype).itemsize
    is_once = is_read_once(wiring.stages[0].kernel.shape[1], size) and not batches.is_one  # else it is gathered once
    if not is_once and not fits(rows, features, size):
        return "gathered"
    converted = data.x.dtype == np.uint8 or (data.scale, data.offset) != (1.0, 0.0)
    return "columns" if converted else "in place"
