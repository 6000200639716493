"""Numba as a front end: a function and all that it calls become one module of LLVM bitcode, and no machine code.

Numba makes of every function machine code of its own, with wrappers for Python and for C, and optimises it once for
itself and again in each of its callers. Here functions are typed, lowered and simplified; LLVM optimises a module once,
when it is complete. `kernels/_native/machine_code.py` makes machine code of it.
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
"""Not "nnan" or "ninf": with them a NaN in training would go unseen. Not "reassoc" or "arcp": they undo what the stable
formulas are written for (docs/design/0008-fastmath.md)."""

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": FASTMATH}
"""With Python's error model every division tests for zero, and no loop with one is vectorised."""


def bitcode(function: Callable[..., Any], signature: Any, symbol: str) -> Bitcode:
    """The function, for arguments of these types, under a symbol; with all that it calls, but what it calls by symbol.

    Optimised for processors of a level; LLVM chooses instructions for this one later (`_native/machine_code.py`).
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
        cpu_target.target_context.remove_user_function(made.entry_point)  # nobody calls it by what Numba knows
    entry = made.fndesc.llvm_func_name
    for number, one in enumerate(module.functions):
        if not one.is_declaration:
            one.linkage = "external" if one.name == entry else "internal"
            one.name = symbol if one.name == entry else f"{number}"
    for one in module.global_variables:
        if not one.is_declaration:
            one.linkage = "internal"  # dropped, most of them: what Numba would keep for Python, of names that differ
    module.name = symbol
    _optimise(module)
    return Bitcode(symbol, _needs(module), module.as_bitcode())


def _simplify(module: Any) -> None:
    """Simplify each function: little is then linked and inlined, and loops have the form that later passes expect."""
    manager, options = _for_functions()
    for function in module.functions:
        if not function.is_declaration:
            manager.run(function, options)


@cache
def _for_functions() -> Any:
    """All passes that LLVM has for functions: with fewer, erf in float64 does not become vectors."""
    options = passes(_level())
    return options.getFunctionPassManager(), options


@cache
def _level() -> Any:
    """A processor of this one's level, not this one: what is made for it is the same on all of them."""
    return machine(processor.MODELS.get(processor.LEVEL, processor.LEVEL))


def _optimise(module: Any) -> None:
    """All of LLVM's passes once; then drop names."""
    options = passes(_level())
    with disposed(options.getModulePassManager()) as manager:
        manager.run(module, options)
    with disposed(llvm.create_new_module_pass_manager()) as manager:
        for add in ("strip_dead_prototype", "strip_symbols"):
            getattr(manager, f"add_{add}_pass")()
        manager.run(module, options)


def _needs(module: Any) -> tuple[str, ...]:
    """The symbols of ours that a module calls and does not hold. The system must have all others."""
    called = [one.name for one in module.functions if one.is_declaration and not one.name.startswith("llvm.")]
    ours = tuple(name for name in called if name.startswith("dnnkit."))
    missing = [name for name in called if name not in ours and llvm.address_of_symbol(name) is None]
    assert not missing, f"{module.name} calls what is nowhere: {missing}"
    return ours


def _foreign(library: Any) -> Any:
    """A function of Numba's own, as it was lowered."""
    module = library._final_module.clone()
    for function in module.functions:
        if not function.is_declaration and function.linkage == Linkage.external:
            function.linkage = "weak_odr"
    return module


class Lowered(codegen.JITCodeLibrary):
    """A function's code, lowered and simplified, and what it calls."""

    def add_linking_library(self, library: Any) -> None:
        """Remember a callee."""
        self._linking_libraries.append(library)

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout
        _simplify(module)

    def code_for_callers(self) -> Any:
        """This function alone."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "weak_odr"  # linked even if nobody who is already there calls it
        return self._final_module

    def callees(self, found: dict[Any, None] | None = None) -> dict[Any, None]:
        """All that this calls, directly or not, added to `found`."""
        return _callees(self, {} if found is None else found)


def _callees(library: Any, found: dict[Any, None]) -> dict[Any, None]:
    for callee in library._linking_libraries:
        if callee not in found:
            found[callee] = None
            _callees(callee, found)
    return found


@cache
def _size_of(kind: Any) -> Any:
    """Bytes of one of LLVM's types."""
    return cpu_target.target_context.get_abi_sizeof(kind)


def _our_context(numbas: Any) -> Any:
    """What says how to lower: no counting of references, for callers keep arrays alive, and nothing is allocated.

    It remembers the sizes of LLVM's types, which Numba asks for whenever a variable is declared. And it looks for new
    declarations only before it compiles a function, as Numba does too, not also whenever there is no special code for
    an operator and a constant.
    """
    return numbas.subtarget(enable_nrt=False, get_abi_sizeof=_size_of, refresh=lambda: None)


_functions: Any = types.Function
_ask = _functions.get_call_type
_answers: dict[Any, Any] = {}

OPERANDS = types.Integer, types.Float, types.Boolean, types.Array, types.BaseTuple


def _ask_once(function: Any, context: Any, arguments: Any, keywords: Any) -> Any:
    """How Numba types a call.

    For an operator it tries all that Python and NumPy declare, when types are inferred and again when code is emitted;
    here the answer is remembered.
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
    """While kernels are compiled; other users of Numba keep its way."""
    kept, _functions.get_call_type = _functions.get_call_type, _ask_once
    try:
        yield
    finally:
        _functions.get_call_type = kept


@register_pass(mutates_CFG=False, analysis_only=False)
class Lower(typed_passes.NativeLowering):
    """Lower a function for compiled code: no machine code, and no wrappers."""

    _name = "dnnkit_lower"

    def run_pass(self, state: Any) -> bool:
        """Numba's lowering, with a context and into a library of ours."""
        state.targetctx = _our_context(state.targetctx)
        state.library = Lowered(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        lowered = state["cr"]
        # What stands for the function among its callers; it is never called itself.
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
"""Passes for closures, `with`, exceptions, `literal_unroll` and expressions of arrays: kernels have none of these."""


class Callee(compiler.Compiler):
    """Compiles what is called from compiled code."""

    def define_pipelines(self) -> Any:
        """Numba's, with our lowering and without what only other code needs."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [
                (Lower, text) if step is typed_passes.NativeLowering else (step, text)
                # Each once: nothing changes between Numba's repetitions.
                for step, text in dict(pipeline.passes).items()
                if step not in FOR_OTHERS
            ]
        return pipelines

    def _compile_core(self) -> Any:
        with _operators_asked_once():
            return super()._compile_core()
