"""Registry of backends: which exist, which one is selected, and why.

Precedence: an explicit argument, `use_backend`, `set_backend`, the environment variable `DNNKIT_BACKEND`, then "auto":
the first of `AUTO` that works for everything that is not a network; `choosing.py` decides for networks. Other backends
come from installed packages, through the entry-point group `dnnkit.backends`. A name that does not exist or cannot work
is an error that lists what works; there is never a silent fallback.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from dnnkit.backends.base import Backend
from dnnkit.backends.diagnosis import warn_once
from dnnkit.deferred import dataclass
from dnnkit.errors import BackendUnavailable
from dnnkit.registry import Lazy, Registry, did_you_mean


def _is_backend(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Backend)


BACKENDS: Registry[type[Backend]] = Registry(
    "backend", "a subclass of dnnkit's Backend", _is_backend, error=BackendUnavailable
)
BACKENDS.add("numba", Lazy("dnnkit.backends.numba_backend:NumbaBackend"))
BACKENDS.add("cupy", Lazy("dnnkit.backends.cupy_backend:CupyBackend"))
BACKENDS.add("numpy", Lazy("dnnkit.backends.numpy_backend:NumpyBackend"))

AUTO = ("numba", "numpy")
"""Backends that "auto" tries, in order; those that are not installed are skipped.

No GPU is among them: host arrays passed to `dk.ops` stay on the host, and whether a network gains from a GPU depends on
its program.
"""

VARIABLE = "DNNKIT_BACKEND"

_in_context: ContextVar[str | None] = ContextVar("dnnkit_backend", default=None)
_set_by_user: str | None = None


@dataclass(frozen=True)
class BackendInfo:
    """A backend on this machine; `reason` says why it is not available."""

    name: str
    available: bool
    reason: str | None
    version: str | None
    device: str | None


@dataclass(frozen=True)
class Choice:
    """The selected name, and where it comes from, for messages."""

    name: str
    origin: str


def available() -> list[BackendInfo]:
    """Return every known backend, working or not; the built-in ones first."""
    return [_info(name) for name in BACKENDS]


def set_backend(name: str | None) -> None:
    """Select the backend for the whole process; None resets it."""
    global _set_by_user
    if name is not None:
        resolve(name)
    _set_by_user = name


@contextmanager
def use_backend(name: str) -> Iterator[Backend]:
    """Select the backend within a `with` block, in this thread or task only."""
    backend = resolve(name)
    token = _in_context.set(name)
    try:
        yield backend
    finally:
        _in_context.reset(token)


def choice(argument: str | None = None) -> Choice:
    """Return the selected name, by precedence; "auto" is not resolved."""
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
    """Return the selected backend, or the named one. Raises `BackendUnavailable` if it cannot work."""
    if isinstance(name, Backend):
        return name
    if name is not None and not isinstance(name, str):
        raise BackendUnavailable(
            f"backend is {name!r}: expected a name, such as 'numpy', or an object of class Backend"
        )
    chosen = choice(name)
    return resolve(chosen.name, chosen.origin)


def get_backend_or_default(address: str, origin: str) -> Backend:
    """Return the backend of this name; if it cannot work, log that and return the selected one.

    `origin` names what continues on it, for the message.
    """
    try:
        return resolve(address, origin)
    except BackendUnavailable as error:
        backend = get_backend()
        warn_once(f"{origin}, of backend {address!r}, continues on {backend.name!r}: {error}")
        return backend


@cache
def _instance(name: str, device: str | None) -> Backend:
    made = _load(name)(device)
    made._device_asked = device
    return made


def resolve(name: str, origin: str = "argument") -> Backend:
    """Return the backend of this name: `numpy`, `cupy:1`, `auto`, a plugin's. Instances are cached."""
    if not isinstance(name, str):
        raise BackendUnavailable(f"a backend is chosen by its name, such as 'numpy'; got {name!r}")
    if name == "auto":
        name = next((n for n in AUTO if n in BACKENDS and reason_against(n) is None), "numpy")
    base, _, device = name.partition(":")
    if base not in BACKENDS:
        near = did_you_mean(base, BACKENDS)
        raise BackendUnavailable(f"there is no backend {base!r} (from: {origin}). {near.capitalize()}{_what_works()}")
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
    """Return what makes a backend work here, mostly a pip command; empty if nothing does."""
    try:
        return _load(name).remedy()
    except BackendUnavailable:
        return ""


# -- lookup ----------------------------------------------------------------------------------------------------------


def _load(name: str) -> type[Backend]:
    loaded = BACKENDS[name]
    if loaded.api_version not in range(1, Backend.api_version + 1) or loaded.name != name:
        of = f" of {BACKENDS.origin(name)}" if BACKENDS.origin(name) else ""
        raise BackendUnavailable(
            f"backend {name!r}{of} has name = {loaded.name!r}, api_version = {loaded.api_version}; this dnnkit expects "
            f"{name!r} and 1 to {Backend.api_version}: update one of them"
        )
    return loaded


def reason_against(name: str) -> str | None:
    """Return why a backend cannot work here, or None. Cheap except for a GPU, since every "auto" asks it."""
    try:
        reason = _load(name).unavailable_reason()
        if reason is None:
            _instance(name, None)
        return reason
    except (BackendUnavailable, ValueError, RuntimeError) as error:
        return str(error)


def _info(name: str) -> BackendInfo:
    reason = reason_against(name)
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
        if not info.available and not BACKENDS.origin(info.name)
    )
    return f"What works here: {works}{broken}."
