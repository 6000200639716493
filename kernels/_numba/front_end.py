"""Numba as a front end: compile a function and everything it calls to one module of LLVM bitcode, not machine code.

Numba normally produces machine code per function, with wrappers for Python and C, and optimizes each function alone and
again in every caller. Here functions are typed, lowered and simplified, and LLVM optimizes a module once, when it is
complete. `kernels/_native/machine_code.py` compiles it to machine code.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding import Linkage
from numba import types

from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._numba.private import (
    codegen,
    compiler,
    cpu_target,
    global_compiler_lock,
    make_function,
    register_pass,
    sigutils,
    typed_passes,
    untyped_passes,
)
from dnnkit.kernels._target import processor
from dnnkit.kernels._target.llvm import disposed, machine, passes

FASTMATH = {"contract", "nsz"}
"""Without "nnan" and "ninf", which would hide a NaN in training, and without "reassoc" and "arcp", which would undo the
numerically stable formulas (docs/design/0008-fastmath.md).
"""

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": FASTMATH}
"""With Python's error model every division tests for zero, and loops with a division are not vectorized."""


def bitcode(function: Callable[..., Any], signature: Any, symbol: str) -> Bitcode:
    """Compile a function for these argument types, under a symbol, with all callees except those called by symbol.

    The module is optimized for a processor level; LLVM selects instructions for this processor later
    (`_native/machine_code.py`).
    """
    arguments, returned = sigutils.normalize_signature(signature)
    flags = compiler.Flags()
    cpu_target.options.parse_as_flags(flags, dict(OPTIONS))
    context = cpu_target.typing_context, cpu_target.target_context
    with global_compiler_lock:
        made = compiler.compile_extra(*context, function, arguments, returned, flags, {}, pipeline_class=Callee)
        module = made.library.code_for_callers().clone()
        for library in made.library.callees():
            module.link_in(library.code_for_callers() if isinstance(library, Lowered) else _foreign(library), True)
        cpu_target.target_context.remove_user_function(made.entry_point)  # it is never called through Numba's registry
    entry = made.fndesc.llvm_func_name
    for number, one in enumerate(module.functions):
        if not one.is_declaration:
            one.linkage = "external" if one.name == entry else "internal"
            one.name = symbol if one.name == entry else f"{number}"
    for one in module.global_variables:
        if not one.is_declaration:
            one.linkage = "internal"  # dropped mostly: objects for Python, with unstable names
    module.name = symbol
    _optimise(module)
    return Bitcode(symbol, _needs(module), module.as_bitcode())


def _simplify(module: Any) -> None:
    """Simplify each function: less code is linked and inlined, and loops have the form that later passes expect."""
    manager, options = _for_functions()
    for function in module.functions:
        if not function.is_declaration:
            manager.run(function, options)


@cache
def _for_functions() -> Any:
    """Return LLVM's full function pipeline: with fewer passes, erf in float64 is not vectorized."""
    options = passes(_level())
    return options.getFunctionPassManager(), options


@cache
def _level() -> Any:
    """Return a target machine of this processor's level, so that output is the same on all processors of the level."""
    return machine(processor.MODELS.get(processor.LEVEL, processor.LEVEL))


def _optimise(module: Any) -> None:
    """Run LLVM's full module pipeline once; then strip names."""
    options = passes(_level())
    with disposed(options.getModulePassManager()) as manager:
        manager.run(module, options)
    with disposed(llvm.create_new_module_pass_manager()) as manager:
        for add in ("strip_dead_prototype", "strip_symbols"):
            getattr(manager, f"add_{add}_pass")()
        manager.run(module, options)


def _needs(module: Any) -> tuple[str, ...]:
    """Return dnnkit's symbols that a module calls but does not define. All others must exist in the process."""
    called = [one.name for one in module.functions if one.is_declaration and not one.name.startswith("llvm.")]
    ours = tuple(name for name in called if name.startswith("dnnkit."))
    missing = [name for name in called if name not in ours and llvm.address_of_symbol(name) is None]
    assert not missing, f"{module.name} calls undefined functions: {missing}"
    return ours


def _foreign(library: Any) -> Any:
    """Return a function of Numba's own library, as lowered."""
    module = library._final_module.clone()
    for function in module.functions:
        if not function.is_declaration and function.linkage == Linkage.external:
            function.linkage = "weak_odr"
    return module


class Lowered(codegen.JITCodeLibrary):
    """Lowered and simplified code of a function, and its callees."""

    def add_linking_library(self, library: Any) -> None:
        """Record a callee."""
        self._linking_libraries.append(library)

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout
        _simplify(module)

    def code_for_callers(self) -> Any:
        """Return the module of this function alone."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "weak_odr"  # linked even if nothing already in the module calls it
        return self._final_module

    def callees(self, found: dict[Any, None] | None = None) -> dict[Any, None]:
        """Return everything this calls, directly or indirectly, added to `found`."""
        return _callees(self, {} if found is None else found)


def _callees(library: Any, found: dict[Any, None]) -> dict[Any, None]:
    for callee in library._linking_libraries:
        if callee not in found:
            found[callee] = None
            _callees(callee, found)
    return found


@cache
def _size_of(kind: Any) -> Any:
    """Return the size of an LLVM type in bytes."""
    return cpu_target.target_context.get_abi_sizeof(kind)


def _our_context(numbas: Any) -> Any:
    """Return a lowering context without reference counting: callers keep arrays alive, and nothing is allocated.

    It caches the sizes of LLVM types, which Numba queries for every variable. And it looks for new declarations only
    once per compiled function, as Numba does too, not for every operator or constant without special code.
    """
    return numbas.subtarget(enable_nrt=False, get_abi_sizeof=_size_of, refresh=lambda: None)


_functions: Any = types.Function
_ask = _functions.get_call_type
_answers: dict[Any, Any] = {}

OPERANDS = types.Integer, types.Float, types.Boolean, types.Array, types.BaseTuple


def _ask_once(function: Any, context: Any, arguments: Any, keywords: Any) -> Any:
    """Return Numba's typing of a call, cached for operators.

    For an operator Numba tries every signature that Python and NumPy declare, during type inference and again during
    code generation.
    """
    key = function, *arguments
    if key in _answers:
        return _answers[key]
    answer, called = _ask(function, context, arguments, keywords), function.typing_key
    is_operator = called is bool or getattr(called, "__module__", "") == "_operator"
    if is_operator and not keywords and all(isinstance(operand, OPERANDS) for operand in arguments):
        _answers[key] = answer
    return answer


@contextmanager
def _operators_asked_once() -> Iterator[None]:
    """Cache operator typing while kernels are compiled; other users of Numba are not affected."""
    kept, _functions.get_call_type = _functions.get_call_type, _ask_once
    try:
        yield
    finally:
        _functions.get_call_type = kept


@register_pass(mutates_CFG=False, analysis_only=False)
class Lower(typed_passes.NativeLowering):
    """Lowering without machine code and wrappers."""

    _name = "dnnkit_lower"

    def run_pass(self, state: Any) -> bool:
        """Run Numba's lowering with dnnkit's context and library."""
        state.targetctx = _our_context(state.targetctx)
        state.library = Lowered(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        lowered = state["cr"]
        # A placeholder that represents the function to its callers; it is never called.
        module, name = lowered.fndesc.lookup_module(), state.func_id.func_name
        stand_in = make_function(module, name, "", 0, lowered.env, (state.library,))
        state.targetctx.insert_user_function(stand_in, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=stand_in)
        return True


FOR_OTHERS = {
    untyped_passes.WithLifting,
    untyped_passes.InlineClosureLikes,
    untyped_passes.RewriteDynamicRaises,
    untyped_passes.MakeFunctionToJitFunction,
    untyped_passes.InlineInlinables,
    untyped_passes.FindLiterallyCalls,
    untyped_passes.LiteralUnroll,
    untyped_passes.LiteralPropagationSubPipelinePass,
    typed_passes.IRLegalization,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.InlineOverloads,
    typed_passes.NopythonRewrites,
    typed_passes.DumpParforDiagnostics,
}
"""Passes for closures, `with`, exceptions, `literal_unroll` and array expressions, none of which kernels use."""


class Callee(compiler.Compiler):
    """Compiler of functions that are called from compiled code."""

    def define_pipelines(self) -> Any:
        """Return Numba's pipelines, with this module's lowering and without unneeded passes."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [
                (Lower, text) if step is typed_passes.NativeLowering else (step, text)
                # Each pass once: nothing changes between Numba's repetitions.
                for step, text in dict(pipeline.passes).items()
                if step not in FOR_OTHERS
            ]
        return pipelines

    def _compile_core(self) -> Any:
        with _operators_asked_once():
            return super()._compile_core()
