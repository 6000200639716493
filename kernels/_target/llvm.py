"""How LLVM is asked: for which processor, and with which passes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm


def triple() -> str:
    """The kind of machine and system."""
    return str(llvm.get_process_triple())


def machine(cpu: str, features: str = "") -> Any:
    """Who makes machine code for a processor: linked where it lies, as x86 wants it, or as the system's is."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    relocation = "static" if triple().startswith("x86_64") else "default"
    return llvm.Target.from_triple(triple()).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc=relocation, codemodel="jitdefault", jit=True
    )


def passes(for_machine: Any) -> Any:
    """LLVM's own series of passes, for a machine."""
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization, tuning.slp_vectorization = True, False
    return llvm.create_pass_builder(for_machine, tuning)


@contextmanager
def disposed(manager: Any) -> Iterator[Any]:
    """A module's pass manager for one run, freed afterwards.

    llvmlite never frees it: `ObjectRef._dispose`, which does nothing, precedes `NewPassManager._dispose` in the method
    resolution order. That leaks 125 kB per compiled function.
    """
    try:
        yield manager
    finally:
        llvm.newpassmanagers.NewPassManager._dispose(manager)
        manager.detach()
