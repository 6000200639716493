"""Whole programs: what Python or an address calls is optimised and made machine code once, with all that it calls.

Numba makes of every function machine code of its own, with wrappers for Python and for C, and optimises it once for
itself and again in each of its callers. Here a function that another one calls is only typed and lowered; LLVM sees it
when its outermost caller is complete.
"""

from typing import Any

from numba import _dynfunc
from numba.core import codegen, compiler, typed_passes
from numba.core.compiler_machinery import register_pass

Library: Any = codegen.JITCodeLibrary
Lowering: Any = typed_passes.NativeLowering


class Deferred(Library):
    """A function's code, optimised when its machine code is asked for, or when foreign code is linked with it."""

    def add_linking_library(self, library: Any) -> None:
        """Remember a callee."""
        self._linking_libraries.append(library)

    def finalize(self) -> None:
        """Link this with all that it calls, then optimise."""
        self._raise_if_finalized()
        self._link_and_optimize()
        self._final_module.verify()
        self._finalize_final_module()

    def _link_and_optimize(self) -> None:
        callees: dict[Any, None] = {}
        self._collect(callees)
        self._linking_libraries = []
        entries = {function.name for function in self._final_module.functions if not function.is_declaration}
        for library in callees:
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._linkable(), preserve=True)
        for function in self._final_module.functions:
            if not function.is_declaration and function.name not in entries:
                function.linkage = "linkonce_odr"  # dropped where every call was inlined
        self._optimize_final_module()

    def _collect(self, found: dict[Any, None]) -> None:
        for library in self._linking_libraries:
            if library not in found:
                found[library] = None
                if isinstance(library, Deferred) and not library._finalized:
                    library._collect(found)

    def _linkable(self) -> Any:
        """This function alone, not optimised; whole even if nobody who is linked already calls it."""
        if self._finalized:
            return self._get_module_for_linking()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == codegen.ll.Linkage.external:
                function.linkage = "weak_odr"
        return self._final_module


Library._linkable = Library._get_module_for_linking


class OptimizedFirst(Deferred):
    """A callee's code that is optimised by itself, and then again in its callers."""

    _optimized = False

    def _linkable(self) -> Any:
        if not self._optimized and not self._finalized:
            self._link_and_optimize()
            self._optimized = True
        return super()._linkable()


def _prepare(state: Any, kind: Any = Deferred) -> None:
    """A library of ours; and no counting of references, for callers keep arrays alive, and nothing is allocated."""
    state.targetctx = state.targetctx.subtarget(enable_nrt=False)
    state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
    state.library.enable_object_caching()


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerEntry(Lowering):
    """Lower a function that is called by its address or from Python."""

    _name = "dnnkit_lower_entry"

    def run_pass(self, state: Any) -> bool:
        """Numba's lowering, into a library of ours."""
        _prepare(state)
        return bool(super().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerCallee(Lowering):
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
        stand_in = _dynfunc.make_function(lowered.fndesc.lookup_module(), state.func_id.func_name, "", 0, lowered.env, (state.library,))
        state.targetctx.insert_user_function(stand_in, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=stand_in)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerCalleeOptimizedFirst(LowerCallee):
    """The same, optimised before it is inlined."""

    _name = "dnnkit_lower_callee_optimized_first"
    library = OptimizedFirst


class _Compiler(compiler.Compiler):
    lowering: Any

    def define_pipelines(self) -> Any:
        """Numba's, but for the lowering."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [
                (self.lowering, text) if step is typed_passes.NativeLowering else (step, text)
                for step, text in pipeline.passes
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
