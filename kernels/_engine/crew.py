"""Standby threads that join runs of a few steps, which would be over before a new thread had started.

Each thread has a slot, in a cache line of its own: its state, the thread number it takes in the run, and the address of
`run_workers`.
"""

from dnnkit.kernels._engine.structures import LINE
from dnnkit.kernels._numba import atomics
from dnnkit.kernels._numba.at_address import vector
from dnnkit.kernels._numba.indirect_calls import call_run
from dnnkit.kernels._numba.jit import jit

FREE, ASLEEP, RESERVED = 0, -1, -2
"""States of a slot: its thread spins for a run; sleeps in Python; is being offered a run. Otherwise the state is the
address of the offered run, negated once the thread takes part.
"""

YIELD = 64
"""Number of polls after which an idle thread yields its processor."""


@jit
def stand_by(slot_address, patience, looks):
    """Take part in every run offered to the slot; return, ASLEEP, after `looks` polls without one."""
    slot, looked = vector(0, slot_address, LINE), 0
    while looked < looks or not atomics.exchange_if(slot, 0, FREE, ASLEEP):
        offered = atomics.load(slot, 0)
        if offered > 0 and atomics.exchange_if(slot, 0, offered, -offered):
            call_run(slot[2], (slot[1], patience, offered))
            atomics.store(slot, 0, FREE)
            looked = 0
        else:
            atomics.pause()
            looked += 1
            if looked % YIELD == 0:
                atomics.yield_processor()


@jit
def run_in_crew(run_address, run_workers, patience, slots_address, count):
    """Run all workers in this thread and up to `count` standby threads; return when all of them have left."""
    slots, offered = vector(0, slots_address, count * LINE), 0
    for place in range(0, count * LINE, LINE):
        if atomics.exchange_if(slots, place, FREE, RESERVED):
            slots[place + 1], slots[place + 2] = offered + 1, run_workers
            atomics.store(slots, place, run_address)
            offered += 1
    call_run(run_workers, (0, patience if offered > 0 else 0, run_address))
    for place in range(0, count * LINE, LINE):
        if not atomics.exchange_if(slots, place, run_address, FREE):
            waited = 0
            while atomics.load(slots, place) == -run_address:
                atomics.pause()
                waited += 1
                if waited % YIELD == 0:
                    atomics.yield_processor()
