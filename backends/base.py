"""What a backend is: operations, a name, whether it works on this machine, and how it builds a program.

A backend of your own is a subclass with `name` and `xp`; see docs/extending.md.
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
    """An array library with a name: whether it works here, and how it builds a program."""

    api_version = 2
    """Of this contract. Backends of version 1 work on: what they build is given no program that it does not know."""
    name: str
    """As in `DNNKIT_BACKEND`."""
    install = ""
    """The pip command that makes the backend work where it does not."""
    _device_asked: str | None = None

    def __init__(self, device: str | None = None) -> None:
        """`device` is what stands behind the colon of `cupy:1`."""
        if device is not None:
            raise ValueError(f"backend {self.name!r} has no devices to choose from, but {device!r} was asked for")

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Why the backend cannot work here, in words; None if it can. Must be cheap and must not raise."""
        return None

    @classmethod
    def remedy(cls) -> str:
        """What would make it work where it does not; empty if nothing would."""
        return cls.install

    @property
    def address(self) -> str:
        """What chooses it again: its name, and the device if one was asked for, as in `cupy:1`."""
        return self.name if self._device_asked is None else f"{self.name}:{self._device_asked}"

    @property
    def version(self) -> str:
        """The array library's version."""
        return str(getattr(self.xp, "__version__", "unknown"))

    @property
    def device(self) -> str:
        """Where it computes, in words."""
        return "cpu"

    def diagnose(self) -> list[Finding]:
        """What `dnnkit doctor` should tell of a backend that works, beyond its version."""
        return []

    # -- building ----------------------------------------------------------------------------------------------------

    def unsupported_reason(self, program: Program) -> str | None:
        """Why the backend's fast path cannot take the program; None if it can."""
        parts = program.custom_parts
        return f"{', '.join(parts)}: not built in, so not compiled or preallocated" if parts else None

    def seconds_per_step(self, program: Program, rows: int) -> float | None:
        """The predicted seconds of a training step, by which "auto" compares backends; None if it cannot be predicted.

        Arguments:
            program: a network with a loss.
            rows: of a batch.
        """
        return None

    def compile_ahead(self, dtype: str) -> None:
        """Compile what training in that dtype may need, whatever the network, the data and the machine's load."""

    def build(self, program: Program) -> Executable:
        """The program, ready to run, its parameters zero."""
        return StagewiseExecutable(self, program, self.plan(program, "stage by stage"))

    def build_by_stages(self, program: Program) -> Executable:
        """The same, one operation after another, whatever the backend has that is faster."""
        return StagewiseExecutable(self, program, self.plan(program, "stage by stage"))

    def many(self, workers: int) -> "Many | None":
        """What trains several networks at the same time, so many at most, each in one thread.

        None where they are trained one after the other.
        """
        return None

    def plan(self, program: Program, execution: str, **details: Any) -> Plan:
        """How the program is run, for the record."""
        estimated = ", ".join(metric.name for metric in program.metrics if metric.exact is not None)
        if estimated:
            details["estimated while training"] = f"{estimated}; exact in validation and evaluate"
        return Plan(self.name, self.version, self.device, execution, self.unsupported_reason(program), details)
