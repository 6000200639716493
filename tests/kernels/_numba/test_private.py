"""Numba's private parts behave as they are used here; a failure says what broke, and where to look."""

import ctypes
import gc
import inspect
import re
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy as np
import pytest
from llvmlite import ir
from numba import types
from packaging.requirements import Requirement

from dnnkit.backends.numba_backend.backend import AFTER, OLDEST, unsuitable_version
from dnnkit.kernels._native.functions import Function
from dnnkit.kernels._numba import front_end, private
from dnnkit.kernels._numba.jit import jit

FOLDER = "kernels/_numba"


def has(thing: Any, *names: str) -> None:
    missing = [name for name in names if not hasattr(thing, name)]
    assert not missing, f"Numba {numba.__version__}: {getattr(thing, '__name__', thing)} has no {missing}"


def takes(function: Any, *names: str) -> None:
    parameters = list(inspect.signature(function).parameters)
    assert parameters[: len(names)] == list(names), f"Numba {numba.__version__}: {function} takes {parameters}"


def test_a_function_is_lowered_into_a_library_that_others_are_linked_to() -> None:
    """front_end.Lowered overrides these of a code library, and reads these attributes."""
    library = private.codegen.JITCodeLibrary
    has(library, "add_linking_library", "_optimize_functions", "enable_object_caching")
    codegen = private.cpu_target.target_context.codegen()
    has(library(codegen, "test"), "_linking_libraries", "_final_module", "_codegen")
    has(codegen, "_data_layout")


def test_a_function_is_compiled_for_types_without_a_dispatcher() -> None:
    """front_end.bitcode calls this, with flags that are read from options."""
    takes(
        private.compiler.compile_extra,
        *("typingctx", "targetctx", "func", "args", "return_type", "flags", "locals", "library", "pipeline_class"),
    )
    has(private.cpu_target.options, "parse_as_flags")
    has(private.sigutils, "normalize_signature")
    assert isinstance(private.global_compiler_lock.is_locked(), bool)


def test_pipelines_are_lists_of_passes_with_a_lowering_to_replace() -> None:
    """front_end.Callee inserts its own lowering there, and omits what only other code needs."""
    (pipeline,) = _pipelines()
    kinds = [step for step, _ in pipeline.passes]
    assert private.typed_passes.NativeLowering in kinds
    assert len(front_end.FOR_OTHERS & set(kinds)) >= 8, "passes for others are not called so any more"
    takes(private.typed_passes.NativeLowering.run_pass, "self", "state")


def _pipelines() -> Any:
    """Return the passes of a Numba compiler for a function without code."""
    found = []

    class Looks(private.compiler.Compiler):
        def define_pipelines(self) -> Any:
            found.extend(super().define_pipelines())
            return super().define_pipelines()

    numba.njit(pipeline_class=Looks)(lambda: 0)()
    return found[:1]


def test_operators_are_typed_by_a_method_that_can_be_cached() -> None:
    """front_end._ask_once replaces it while kernels are compiled."""
    takes(types.Function.get_call_type, "self", "context", "args", "kws")


def _twice(number: Any) -> Any:
    return 2 * number


def test_a_dispatcher_gives_another_template_to_compiled_callers() -> None:
    """jit._compiled gives callers a version without machine code: by these two, on one object."""
    called = jit(_twice)
    assert {"get_call_template", "get_overload"} <= set(vars(called))
    assert jit(lambda x: called(x) + 1)(20) == 41
    assert private.unliteral(types.literal(3)) is types.int64


def test_records_are_passed_by_address_and_arrays_as_structures() -> None:
    """at_address makes arrays from addresses, with these fields; records are pointers."""
    context = private.cpu_target.target_context
    record = numba.from_dtype(np.dtype([("a", "i8")], align=True))
    assert isinstance(context.get_value_type(record), ir.PointerType)
    fields = context.data_model_manager[types.float64[::1]]._fields
    assert {"data", "shape", "strides", "itemsize", "meminfo", "parent"} <= set(fields), fields
    takes(private.populate_array, "array", "data", "shape", "strides", "itemsize", "meminfo")
    takes(private.load_item, "context", "builder", "arrayty", "ptr")


def test_helpers_that_emit_llvms_code_are_there() -> None:
    has(llvmlite.binding.newpassmanagers.NewPassManager, "_dispose")
    has(private.cgutils, "alloca_once", "get_or_insert_function", "pack_array", "unpack_tuple", "true_bit")
    has(llvmlite.binding, "add_symbol", "get_host_cpu_name", "get_host_cpu_features")
    assert callable(private.make_function)


def _twice_to(out: Any, number: Any) -> None:
    out[0] = 2 * number


def test_numbas_calling_convention_returns_a_status_and_takes_two_slots_first() -> None:
    """indirect_calls, shared and machine_code.caller use it: i32 (return slot, exception slot, arguments)."""
    arguments = types.void(types.CPointer(types.int64), types.int64)
    address = Function(
        "test.twice_to", "float64", lambda symbol: front_end.bitcode(_twice_to, arguments, symbol)
    ).address
    call = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 3, ctypes.c_int64)(address)
    unused, out = ctypes.c_int64(), ctypes.c_int64()
    assert call(ctypes.addressof(unused), None, ctypes.addressof(out), 21) == 0
    assert out.value == 42


def test_the_range_of_versions_is_that_of_the_package() -> None:
    lines = Path(__file__).parents[3].joinpath("pyproject.toml").read_text()
    wanted = Requirement(re.search(r'"(numba>=[^"]*)"', lines).group(1))  # type: ignore[union-attr]
    assert {str(one) for one in wanted.specifier} == {f">={OLDEST}", f"<{AFTER}"}
    assert numba.__version__ in wanted.specifier
    assert unsuitable_version(numba.__version__) is None
    for version, word in (("0.62.1", "older"), ("0.9", "older"), ("0.69.0", "newer"), ("1.0", "newer")):
        reason = unsuitable_version(version)
        assert reason is not None
        assert word in reason
        assert "pip install 'numba>=" in reason


def test_llvm_optimization_leaves_little_memory() -> None:
    """`_target.llvm.disposed` frees pass managers, which llvmlite leaks: 125 kB per function."""
    allocator = ctypes.CDLL(None)
    if not hasattr(allocator, "mallinfo2"):
        pytest.skip("needs glibc 2.33, which says what is in use")

    class InUse(ctypes.Structure):
        _fields_ = [(f"number_{place}", ctypes.c_size_t) for place in range(10)]

    def compile_once() -> int:
        front_end.bitcode(_twice_to, types.void(types.CPointer(types.int64), types.int64), "test.twice_to")
        gc.collect()
        found = allocator.mallinfo2()
        return int(found.number_4 + found.number_7)  # what is mapped, and what is in use of the rest

    allocator.mallinfo2.restype = InUse
    start = [compile_once() for _ in range(3)][-1]
    end = [compile_once() for _ in range(8)][-1]
    assert end - start < 8 * 40_000
