"""Timed execution of a schedule, instruction by instruction, for diagnosis; training does not use it."""

from typing import Any

from llvmlite import ir
from numba import types

from dnnkit.kernels._engine.interpreter import (
    INSTRUCTION_BYTES,
    STAGE_BYTES,
    WORKER_BYTES,
    begin,
    instruction_at,
    run_at,
    went_well,
    worker_at,
)
from dnnkit.kernels._engine.structures import BEGIN, EXCHANGE, OWN_MEASURES, REPEAT
from dnnkit.kernels._numba.at_address import matrix, vector
from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.indirect_calls import call_opcode
from dnnkit.kernels._numba.jit import jit


@intrinsic
def ticks(typing_context: Any) -> Any:
    """Return the processor's time-stamp counter, which runs at a constant rate; 0 where programs cannot read it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(builder.module.declare_intrinsic("llvm.readcyclecounter", (), kind), [])

    return types.int64(), generate


@jit
def read_ticks(out):
    """Write the processor's time-stamp counter to the word at an address."""
    vector(0, out, 1)[0] = ticks()


@jit
def run_timed(run_address, fewest_address, instructions):
    """Run all workers in turn, in this thread; update `fewest` (workers, instructions), the minimum ticks of each."""
    run = run_at(run_address)
    fewest = matrix(0, fewest_address, run.workers, instructions)
    over = False
    while not over:
        for number in range(run.workers):
            over |= run_segment_timed(number, run_address, fewest)


@jit
def run_segment_timed(number, run_address, fewest):
    """As `run_segment` of the interpreter, with timing."""
    run = run_at(run_address)
    worker_address = run.worker + number * WORKER_BYTES
    worker, first = worker_at(worker_address), run.schedule
    while True:
        place = worker.place
        instruction = instruction_at(first + place * INSTRUCTION_BYTES)
        worker.place = place + 1
        if instruction.function > REPEAT:
            stage = worker.stages + instruction.stage * STAGE_BYTES
            start = ticks()
            if instruction.function > OWN_MEASURES:
                call_opcode(instruction.function, (worker_address, run_address, stage, instruction.option))
            elif not went_well(worker, run, instruction):
                return True
            spent = ticks() - start
            if spent < fewest[number, place]:
                fewest[number, place] = spent
        elif instruction.function == BEGIN:
            if not begin(worker, run):
                return True
        elif instruction.function == EXCHANGE:
            return False
        else:
            worker.place = instruction.stage
            worker.step += 1
