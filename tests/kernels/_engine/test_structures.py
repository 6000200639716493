"""What Python writes to a structure and compiled code reads from it are at the same offsets."""

import ctypes
from typing import Any

import numpy as np
import pytest

from dnnkit.kernels._engine import structures
from dnnkit.kernels._numba.at_address import at, kind_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.structure import LINE_BYTES

STRUCTURES = {name: getattr(structures, name) for name in ("STAGE", "INSTRUCTION", "WORKER", "RUN")} | {
    f"RUN of {dtype}": structures.run_of(dtype) for dtype in ("float32", "float64")
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_field_is_where_the_other_side_reads_it_with_its_type(name: str) -> None:
    structure = STRUCTURES[name]
    meanings = structure.words | structure.numbers
    for field, meaning in meanings.items():
        assert kind_of(structure).offset(field) == getattr(structure.record, field).offset, field
        assert len(meaning) > 5, field
    assert len(set(meanings.values())) >= len(meanings) - 4, "copied meanings"
    assert ctypes.sizeof(structure.record) == kind_of(structure).size == structure.bytes
    assert structure.bytes % LINE_BYTES == 0


def test_a_run_for_a_dtype_begins_like_the_one_the_interpreter_reads() -> None:
    for field in structures.RUN.words | structures.RUN.numbers:
        for dtype in ("float32", "float64"):
            assert kind_of(structures.run_of(dtype)).offset(field) == kind_of(structures.RUN).offset(field)
    assert structures.run_of("float64").bytes == structures.RUN.bytes


def test_an_array_of_structures_is_aligned_and_shares_no_cache_line() -> None:
    workers = structures.WORKER.new(3)
    places = [ctypes.addressof(worker) for worker in workers]
    assert places[0] % LINE_BYTES == 0
    assert np.diff(places).tolist() == [structures.WORKER.bytes] * 2
    assert all(getattr(worker, field) == 0 for worker in workers for field in structures.WORKER.words)


stage_at = at(structures.STAGE)


@jit
def double(address: Any) -> Any:
    stage = stage_at(address)
    stage.outputs = 2 * stage.inputs
    stage.rate = 2 * stage.scale
    return stage.layer


def test_compiled_code_reads_and_writes_fields_by_name() -> None:
    stage = structures.STAGE.new(2)[1]
    stage.inputs, stage.scale, stage.layer = 21, 0.25, -3
    assert double(ctypes.addressof(stage)) == -3
    assert (stage.outputs, stage.rate) == (42, 0.5)
    assert (stage.inputs, stage.scale, stage.offset) == (21, 0.25, 0)
