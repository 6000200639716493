"""`gpu_check` as a process whose CuPy is the stand-in; DNNKIT_TEST_FAULTS, such as `dense=crash`, breaks parts.

A part that is `absent` is not part of the run.
"""

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import islice
from typing import Any

from benchmarks.gpu_check import parts
from benchmarks.gpu_check.__main__ import main
from tests.cuda_on_cpu import cupy_stand_in
from tests.cuda_on_cpu.cupy_stand_in.device import CUDARuntimeError

COMMAND = (sys.executable, "-X", "faulthandler", "-m", "tests.cuda_on_cpu.gpu_check_on_stand_in")
FAULTS = "DNNKIT_TEST_FAULTS"


def broken(part: parts.Part, how: str) -> parts.Part:
    """Return the part, which ends in this way after three checks."""

    def run(backend: Any, options: Namespace, found: dict[str, Any]) -> Iterator[str]:
        yield from islice(part(backend, options, found), 3)
        if how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "hang":
            time.sleep(600)
        raise CUDARuntimeError(700)

    return run


if __name__ == "__main__":
    for fault in filter(None, os.environ.get(FAULTS, "").split(",")):
        name, _, how = fault.partition("=")
        if how == "absent":
            del parts.PARTS[name]
        else:
            parts.PARTS[name] = broken(parts.PARTS[name], how)
    with cupy_stand_in.in_place_of_cupy():
        sys.exit(main(command=COMMAND))
