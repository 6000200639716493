"""Machine code as loops: what `benchmarks.gpu_sass` counts, on code of a few lines."""

import pytest

from benchmarks.gpu_sass.__main__ import _fitting, _turns
from benchmarks.gpu_sass.cases import CASES, Pass
from benchmarks.gpu_sass.loops import kernels
from dnnkit.errors import DataError
from dnnkit.kernels._cuda.source import Source, shipped

CODE = """
.text.two:
        /*0000*/                   S2R R0, SR_TID.X ;
.L_x_0:
        /*0010*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
        /*0020*/                   LDG.E.128 R8, desc[UR4][R2.64+0x100] ;
        /*0030*/                   FADD R4, R4, R5 ;
        /*0040*/                   LDG.E R12, desc[UR4][R2.64+0x200] ;
        /*0050*/              @!P0 BRA `(.L_x_1) ;
        /*0060*/                   MOV R20, 0x80 ;
        /*0070*/                   CALL.REL.NOINC `($slow) ;
.L_x_1:
        /*0080*/                   STG.E.128 desc[UR4][R2.64], R8 ;
        /*0090*/                   IADD3 R0, R0, 0x100, RZ ;
.L_x_2:
        /*00a0*/                   SHFL.BFLY PT, R1, R0, R1, 0x1f ;
        /*00b0*/               @P1 BRA `(.L_x_2) ;
        /*00c0*/               @P2 BRA `(.L_x_0) ;
        /*00d0*/                   EXIT ;
$slow:
        /*00e0*/                   MUFU.RCP R1, R1 ;
        /*00f0*/                   RET.REL.NODEC R20 `(two) ;
.text.one:
        /*0000*/                   EXIT ;
"""


def test_instructions_bytes_in_flight_and_accesses_of_a_turn() -> None:
    found = kernels(CODE)
    assert list(found) == ["two", "one"]
    outer, inner = sorted(found["two"].loops(), key=lambda loop: loop.address)
    assert (outer.instructions, inner.instructions) == (8, 2)  # neither the slow path nor the inner loop
    assert outer.in_flight == 36, "the last one is not needed before the next turn"
    assert (outer.count("LDG", 16), outer.count("LDG"), outer.count("STG", 16)) == (2, 3, 1)
    assert inner.blocks < outer.blocks
    assert not list(found["one"].loops())
    (closed,) = [loop for loop in found["two"].loops("0x100, RZ") if loop.address == outer.address]
    assert closed.instructions == 0, "every way goes through what is closed"


def test_a_pass_is_found_by_its_accesses_or_is_an_error() -> None:
    loops = list(kernels(CODE)["two"].loops())
    ((loop, elements),) = _fitting(loops, Pass(2, 1), None)
    assert elements == 4
    assert list(_turns([(loop, 4), (loop, 1)], 10)) == [(loop, 2), (loop, 2)]
    assert list(_turns([(loop, 4)], 0.6)) == [(loop, 1)]
    with pytest.raises(DataError, match="no loop matches Pass"):
        _fitting(loops, Pass(1, 1), None)


def test_the_counted_kernels_ship() -> None:
    for part in {id(part): part for case in CASES for part in case.after}.values():
        source = Source.of(part.file, "float32", **part.macros)
        assert (part.file, dict(source.macros)) in [(each.file, dict(each.macros)) for each in shipped()], part
        assert part.kernel in source.signatures(), part
