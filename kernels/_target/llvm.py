"""LLVM target machines and pass pipelines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm


def triple() -> str:
    """Return the target triple of this process."""
    return str(llvm.get_process_triple())


def machine(cpu: str, features: str = "") -> Any:
    """Return a target machine for a processor; code is linked statically on x86, else with the default relocation."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    relocation = "static" if triple().startswith("x86_64") else "default"
    return llvm.Target.from_triple(triple()).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc=relocation, codemodel="jitdefault", jit=True
    )


def passes(for_machine: Any) -> Any:
    """Return LLVM's standard pass builder for a target machine."""
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization, tuning.slp_vectorization = True, False
    return llvm.create_pass_builder(for_machine, tuning)


@contextmanager
def disposed(manager: Any) -> Iterator[Any]:
    """Yield a module's pass manager for one run, and free it afterwards.

    llvmlite never frees it: `ObjectRef._dispose`, which does nothing, precedes `NewPassManager._dispose` in the method
    resolution order. That leaks 125 kB per compiled function.
    """
    try:
        yield manager
    finally:
        llvm.newpassmanagers.NewPassManager._dispose(manager)
        manager.detach()
