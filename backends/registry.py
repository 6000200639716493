"""Which backends there are, which one is meant, and why.

Precedence: an explicit argument, `use_backend`, `set_backend`, the environment variable `DNNKIT_BACKEND`, then
"auto": the first of `AUTO` that works. Other backends come from installed packages, through the entry-point group
`dnnkit.backends`. A name that does not exist or cannot work is an error that lists what does; nothing is ever
replaced in silence.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dnnkit.backends.base import Backend
from dnnkit.errors import BackendUnavailable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILT_IN = {
    "cupy": "dnnkit.backends.cupy_backend:CupyBackend",
    "numba": "dnnkit.backends.numba_backend:NumbaBackend",
    "numpy": "dnnkit.backends.numpy_backend:NumpyBackend",
}
"""Name -> where its class is. A new built-in backend adds its line here."""

AUTO = ("cupy", "numba", "numpy")
"""What "auto" tries, fastest first; those that are not part of this installation are passed over."""

VARIABLE = "DNNKIT_BACKEND"
GROUP = "dnnkit.backends"

_in_context: ContextVar[str | None] = ContextVar("dnnkit_backend", default=None)
_set_by_user: str | None = None


@dataclass(frozen=True)
class BackendInfo:
    """A backend as this machine sees it; `reason` says why it is not available."""

    name: str
    available: bool
    reason: str | None
    version: str | None
    device: str | None


@dataclass(frozen=True)
class Choice:
    """The name that is in force and where it came from, in words."""

    name: str
    origin: str


def available() -> list[BackendInfo]:
    """Every backend that is known here, whether it works or not; the built-in ones first."""
    return [_info(name) for name in _names()]


def set_backend(name: str | None) -> None:
    """Choose the backend for the whole process; None takes the choice back."""
    global _set_by_user
    if name is not None:
        resolve(name)
    _set_by_user = name


@contextmanager
def use_backend(name: str) -> Iterator[Backend]:
    """Choose the backend within a `with` block, in this thread or task only."""
    backend = resolve(name)
    token = _in_context.set(name)
    try:
        yield backend
    finally:
        _in_context.reset(token)


def choice(argument: str | None = None) -> Choice:
    """Which name is in force, by precedence; "auto" is not resolved yet."""
    candidates = (
        (argument, "argument"),
        (_in_context.get(), "use_backend"),
        (_set_by_user, "set_backend"),
        (os.environ.get(VARIABLE), f"environment variable {VARIABLE}"),
    )
    for name, origin in candidates:
        if name:
            return Choice(name, origin)
    return Choice("auto", "default")


def get_backend(name: str | Backend | None = None) -> Backend:
    """The backend in force, or the one named; raises `BackendUnavailable` if it cannot work."""
    if isinstance(name, Backend):
        return name
    chosen = choice(name)
    return resolve(chosen.name, chosen.origin)


@cache
def _instance(name: str, device: str | None) -> Backend:
    return _load(name)(device)


def resolve(name: str, origin: str = "argument") -> Backend:
    """The backend of that name: `numpy`, `cupy:1`, `auto`, a plugin's; made once and then reused."""
    if not isinstance(name, str):
        raise BackendUnavailable(f"a backend is chosen by its name, such as 'numpy'; got {name!r}")
    if name == "auto":
        name = next((n for n in AUTO if n in _names() and _reason(n) is None), "numpy")
    base, _, device = name.partition(":")
    if base not in _names():
        raise BackendUnavailable(f"there is no backend {base!r} (from: {origin}). {_what_works()}")
    reason = _load(base).unavailable_reason()
    if reason is not None:
        install = f" To install it: {install_command(base)}." if install_command(base) else ""
        raise BackendUnavailable(
            f"backend {base!r} (from: {origin}) cannot work here: {reason}.{install} {_what_works(besides=base)}"
        )
    try:
        return _instance(base, device or None)
    except (ValueError, RuntimeError) as error:
        raise BackendUnavailable(f"backend {name!r} (from: {origin}): {error}") from error


def install_command(name: str) -> str:
    """What makes a backend work here, mostly a pip command; empty if nothing does."""
    try:
        return _load(name).remedy()
    except BackendUnavailable:
        return ""


# -- finding them ----------------------------------------------------------------------------------------------------


@cache
def _plugins() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # a fifth of dnnkit's import time, and not needed to import it

    plugins = {}
    for point in entry_points(group=GROUP):
        if point.name in BUILT_IN:
            raise BackendUnavailable(
                f"the installed package {_package(point)} names its backend {point.name!r}, "
                f"which is one of dnnkit's own: uninstall it or ask its authors for another name"
            )
        plugins[point.name] = point
    return plugins


def _package(point: "EntryPoint") -> str:
    return point.dist.name if point.dist is not None else point.value


def _names() -> list[str]:
    return [*BUILT_IN, *sorted(_plugins())]


def _load(name: str) -> type[Backend]:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        built_in: type[Backend] = getattr(importlib.import_module(module), attribute)
        return built_in
    point = _plugins()[name]
    try:
        loaded = point.load()
    except Exception as error:  # a plugin may fail in any way; the message says whose fault it is
        raise BackendUnavailable(
            f"backend {name!r} of the installed package {_package(point)} could not be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise BackendUnavailable(f"backend {name!r} of {_package(point)} is not a subclass of dnnkit's Backend")
    if loaded.api_version != Backend.api_version or loaded.name != name:
        raise BackendUnavailable(
            f"backend {name!r} of {_package(point)} says name = {loaded.name!r}, api_version = "
            f"{loaded.api_version}; this dnnkit wants {name!r} and {Backend.api_version}: update the one or the other"
        )
    return loaded


def _reason(name: str) -> str | None:
    """Why a backend cannot work here; None if it can. Cheap: whoever asks for "auto" asks this."""
    try:
        reason = _load(name).unavailable_reason()
        if reason is None:
            _instance(name, None)
        return reason
    except (BackendUnavailable, ValueError, RuntimeError) as error:
        return str(error)


def _info(name: str) -> BackendInfo:
    reason = _reason(name)
    if reason is not None:
        return BackendInfo(name, False, reason, None, None)
    backend = _instance(name, None)
    return BackendInfo(name, True, None, backend.version, backend.device)


def _what_works(besides: str = "") -> str:
    infos = [info for info in available() if info.name != besides]
    works = ", ".join(info.name for info in infos if info.available)
    broken = "".join(
        f"; {info.name} does not: {info.reason}"
        + (f" (to install it: {install_command(info.name)})" if install_command(info.name) else "")
        for info in infos
        if not info.available and info.name in BUILT_IN
    )
    return f"What works here: {works}{broken}."
