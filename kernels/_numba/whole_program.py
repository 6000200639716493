"""Whole programs: what Python or an address calls is optimised and made machine code once, with all that it calls.

Numba makes of every function machine code of its own, with wrappers for Python and for C, and optimises it once for
itself and again in each of its callers. Here a function that another one calls is only typed and lowered; LLVM sees it
when its outermost caller is complete.
"""

import importlib
from typing import Any

from llvmlite.binding import Linkage
from numba.core import codegen, compiler, typed_passes, untyped_passes
from numba.core.compiler_machinery import register_pass

make_function: Any = importlib.import_module("numba._dynfunc").make_function
"""Numba's maker of Python functions from machine code."""


class Deferred(codegen.JITCodeLibrary):
    """A function's code, optimised when its machine code is asked for, or when foreign code is linked with it."""

    _lowered: Any = None
    """The code as it was before anything was linked to it."""

    def add_linking_library(self, library: Any) -> None:
        """Remember a callee."""
        self._linking_libraries.append(library)

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


class OptimizedFirst(Deferred):
    """A callee's code that is optimised by itself, and then again in its callers."""

    _optimized: Any = None

    def code_for_callers(self) -> Any:
        """This function with all that it calls, optimised."""
        if self._optimized is None:
            alone = OptimizedFirst(self._codegen, self.name)
            alone._final_module, alone._linking_libraries = super().code_for_callers().clone(), self._linking_libraries
            alone._link_and_optimize()
            self._optimized = alone._final_module
        return self._optimized


def _prepare(state: Any, kind: Any = Deferred) -> None:
    """A library of ours; and no counting of references, for callers keep arrays alive, and nothing is allocated."""
    state.targetctx = state.targetctx.subtarget(enable_nrt=False)
    state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
    state.library.enable_object_caching()


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerEntry(typed_passes.NativeLowering):
    """Lower a function that is called by its address or from Python."""

    _name = "dnnkit_lower_entry"

    def run_pass(self, state: Any) -> bool:
        """Numba's lowering, into a library of ours."""
        _prepare(state)
        changed = bool(super().run_pass(state))
        if state.flags.no_compile:  # a C callback's: Numba would not note what must be done before it is read again
            for library in (state.library, *state.library.callees()):
                state.reload_init.extend(library._reload_init)
        return changed


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerCallee(typed_passes.NativeLowering):
    """Lower a function that only compiled code calls."""

    _name = "dnnkit_lower_callee"
    library = Deferred

    def run_pass(self, state: Any) -> bool:
        """No machine code, and no wrappers."""
        _prepare(state, self.library)
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        lowered = state["cr"]
        # What stands for the function among its callers; it is never called itself.
        module, name = lowered.fndesc.lookup_module(), state.func_id.func_name
        stand_in = make_function(module, name, "", 0, lowered.env, (state.library,))
        state.targetctx.insert_user_function(stand_in, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=stand_in)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerCalleeOptimizedFirst(LowerCallee):
    """The same, optimised before it is inlined."""

    _name = "dnnkit_lower_callee_optimized_first"
    library = OptimizedFirst


FOR_OTHERS = {
    untyped_passes.WithLifting,
    untyped_passes.InlineClosureLikes,
    untyped_passes.RewriteDynamicRaises,
    untyped_passes.MakeFunctionToJitFunction,
    untyped_passes.InlineInlinables,
    untyped_passes.FindLiterallyCalls,
    untyped_passes.LiteralUnroll,
    untyped_passes.LiteralPropagationSubPipelinePass,
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
                for step, text in pipeline.passes
                if step not in FOR_OTHERS
            ]
        return pipelines


class Entry(_Compiler):
    """Compiles what is called from outside of compiled code."""

    lowering = LowerEntry


class Callee(_Compiler):
    """Compiles what is called from compiled code only."""

    lowering = LowerCallee


class CalleeOptimizedFirst(_Compiler):
    """The same, optimised before it is inlined."""

    lowering = LowerCalleeOptimizedFirst
