"""Whole programs: what Python or an address calls is optimised and made machine code once, with all that it calls.

Numba makes of every function machine code of its own, with wrappers for Python and for C, and optimises it once for
itself and again in each of its callers. Here a function that another one calls is only typed and lowered; LLVM sees it
when its outermost caller is complete.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from llvmlite.binding import Linkage
from numba import types

from dnnkit.kernels._numba.private import codegen, compiler, make_function, register_pass, typed_passes, untyped_passes


class Deferred(codegen.JITCodeLibrary):
    """A function's code, optimised when its machine code is asked for, or when foreign code is linked with it."""

    _lowered: Any = None
    """The code as it was before anything was linked to it."""

    def add_linking_library(self, library: Any) -> None:
        """Remember a callee."""
        self._linking_libraries.append(library)

    def _optimize_functions(self, module: Any) -> None:
        """Simplify, so that little is linked and inlined, and loops have the form that later passes expect."""
        module.data_layout = self._codegen._data_layout
        passes, options = _passes_for_functions(self._codegen)
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, options)

    def _optimize_final_module(self) -> None:
        """LLVM's passes once; Numba has others before, to find counts of references that cancel."""
        passes, options = self._codegen._module_pass_manager()
        passes.run(self._final_module, options)

    def finalize(self) -> None:
        """Link this with all that it calls, then optimise."""
        self._raise_if_finalized()
        self._link_and_optimize()
        self._final_module.verify()
        self._finalize_final_module()

    def code_for_callers(self) -> Any:
        """This function alone, not optimised, whoever else has asked for its machine code."""
        module = self._lowered or self._final_module
        for function in module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "weak_odr"  # linked even if nobody who is already there calls it
        return module

    def _link_and_optimize(self) -> None:
        self._lowered, self._final_module = self._final_module, self._final_module.clone()
        entries = {function.name for function in self._lowered.functions if not function.is_declaration}
        for library in self.callees():
            self._reload_init.update(library._reload_init)
            ours = isinstance(library, Deferred)
            module = library.code_for_callers() if ours else library._get_module_for_linking()
            self._final_module.link_in(module, preserve=True)
        for function in self._final_module.functions:
            if not function.is_declaration and function.name not in entries:
                function.linkage = "linkonce_odr"  # dropped where every call was inlined
        self._optimize_final_module()

    def callees(self, found: dict[Any, None] | None = None) -> dict[Any, None]:
        """All that this calls, directly or not, added to `found`."""
        found = {} if found is None else found
        for library in self._linking_libraries:
            if library not in found:
                found[library] = None
                if isinstance(library, Deferred):
                    library.callees(found)
        return found


@cache
def _passes_for_functions(code_generator: Any) -> Any:
    """LLVM's passes for single functions, all that it has: with fewer, erf in float64 does not become vectors."""
    return code_generator._function_pass_manager()


@cache
def _our_context(numbas: Any) -> Any:
    """What says how to lower: no counting of references, for callers keep arrays alive, and nothing is allocated.

    It remembers the sizes of LLVM's types, which Numba asks for whenever a variable is declared. And it looks for new
    declarations only before it compiles a function, as Numba does too, not also whenever there is no special code for
    an operator and a constant.
    """
    return numbas.subtarget(enable_nrt=False, get_abi_sizeof=cache(numbas.get_abi_sizeof), refresh=lambda: None)


def _prepare(state: Any) -> None:
    """A context and a library of ours."""
    state.targetctx = _our_context(state.targetctx)
    state.library = Deferred(state.targetctx.codegen(), state.func_id.func_qualname)
    state.library.enable_object_caching()


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
class LowerEntry(typed_passes.NativeLowering):
    """Lower a function that is called by its address or from Python."""

    _name = "dnnkit_lower_entry"

    def run_pass(self, state: Any) -> bool:
        """Numba's lowering, into a library of ours, and one wrapper: for C if it is `native`, else for Python."""
        _prepare(state)
        state.flags.no_cfunc_wrapper = not state.flags.no_cpython_wrapper
        changed = bool(super().run_pass(state))
        if state.flags.no_compile:  # a C callback's: Numba would not note what must be done before it is read again
            for library in (state.library, *state.library.callees()):
                state.reload_init.extend(library._reload_init)
        return changed


@register_pass(mutates_CFG=False, analysis_only=False)
class LowerCallee(typed_passes.NativeLowering):
    """Lower a function that only compiled code calls."""

    _name = "dnnkit_lower_callee"

    def run_pass(self, state: Any) -> bool:
        """No machine code, and no wrappers."""
        _prepare(state)
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


class _Compiler(compiler.Compiler):
    lowering: Any
    """The pass that lowers."""

    def define_pipelines(self) -> Any:
        """Numba's, with our lowering and without what only other code needs."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [
                (self.lowering, text) if step is typed_passes.NativeLowering else (step, text)
                # Each once: nothing changes between Numba's repetitions.
                for step, text in dict(pipeline.passes).items()
                if step not in FOR_OTHERS
            ]
        return pipelines

    def _compile_core(self) -> Any:
        with _operators_asked_once():
            return super()._compile_core()


class Entry(_Compiler):
    """Compiles what is called from outside of compiled code."""

    lowering = LowerEntry


class Callee(_Compiler):
    """Compiles what is called from compiled code only."""

    lowering = LowerCallee
