"""Base class of backends: operations, a name, availability, and how to build a program.

A custom backend is a subclass with `name` and `xp`; see docs/extending.md.
"""

from typing import TYPE_CHECKING, Any

from dnnkit.backends.diagnosis import Finding
from dnnkit.backends.executable import Executable
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.executable import StagewiseExecutable
from dnnkit.backends.state import Plan

if TYPE_CHECKING:
    from dnnkit.backends.many import Many


class Backend(Operations):
    """An array library under a name: whether it works here, and how it builds a program."""

    api_version = 2
    """Version of this contract. Backends of version 1 still work: their executables get no program they do not support.
    """
    name: str
    """Name, as in `DNNKIT_BACKEND`."""
    install = ""
    """The pip command that installs what the backend needs."""
    _device_asked: str | None = None

    def __init__(self, device: str | None = None) -> None:
        """Create the backend; `device` is the part after the colon in `cupy:1`."""
        if device is not None:
            raise ValueError(f"backend {self.name!r} has no devices to choose from, but {device!r} was requested")

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Return why the backend cannot work here, or None. Must be cheap and must not raise."""
        return None

    @classmethod
    def remedy(cls) -> str:
        """Return what would make the backend work; empty if nothing would."""
        return cls.install

    @property
    def address(self) -> str:
        """Name that selects it again: its name, with the device if one was requested, as in `cupy:1`."""
        return self.name if self._device_asked is None else f"{self.name}:{self._device_asked}"

    @property
    def version(self) -> str:
        """Version of the array library."""
        return str(getattr(self.xp, "__version__", "unknown"))

    @property
    def device(self) -> str:
        """Where it computes, for display."""
        return "cpu"

    def diagnose(self) -> list[Finding]:
        """Return findings for `dnnkit doctor` about a working backend, besides its version."""
        return []

    # -- building ----------------------------------------------------------------------------------------------------

    def unsupported_reason(self, program: Program) -> str | None:
        """Return why the backend's fast path does not support the program, or None."""
        parts = program.custom_parts
        return f"{', '.join(parts)}: not built in, so not compiled or preallocated" if parts else None

    def seconds_per_step(self, program: Program, rows: int) -> float | None:
        """Return the predicted seconds per training step, by which "auto" compares backends; None if unknown.

        Arguments:
            program: a network with a loss.
            rows: rows per batch.
        """
        return None

    def compile_ahead(self, dtype: str) -> None:
        """Compile everything that training in this dtype may need, for any network, data and load."""

    def build(self, program: Program) -> Executable:
        """Return the program as an executable, with all parameters zero."""
        return StagewiseExecutable(self, program, self.plan(program, "stage by stage"))

    def build_by_stages(self, program: Program) -> Executable:
        """Return a stagewise executable, even if the backend has a faster one."""
        return StagewiseExecutable(self, program, self.plan(program, "stage by stage"))

    def many(self, workers: int) -> "Many | None":
        """Return what trains up to `workers` networks at once, each in one thread.

        None if networks are trained one after another.
        """
        return None

    def plan(self, program: Program, execution: str, **details: Any) -> Plan:
        """Return a record of how the program is run."""
        estimated = ", ".join(metric.name for metric in program.metrics if metric.exact is not None)
        if estimated:
            details["estimated while training"] = f"{estimated}; exact in validation and evaluate"
        return Plan(self.name, self.version, self.device, execution, self.unsupported_reason(program), details)
