"""Wrapper of an executable that trains in its own way and delegates everything else."""

from collections.abc import Hashable
from typing import Any

from dnnkit.backends.executable import AfterBatch, Executable, Gradients
from dnnkit.backends.state import HostArray, Plan, Totals, TrainingState
from dnnkit.kernels.array import Array


class Around(Executable):
    """Delegates everything except training to the inner executable."""

    def __init__(self, inner: Executable) -> None:
        self._inner, self.program = inner, inner.program

    @property
    def within(self) -> Executable:
        """The executable that a backend built."""
        return self._inner

    @property
    def plan(self) -> Plan:
        """How the backend runs the program."""
        return self._inner.plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self._inner.plan = plan

    @property
    def state(self) -> TrainingState:
        """Step, epoch and position."""
        return self._inner.state

    @state.setter
    def state(self, state: TrainingState) -> None:
        self._inner.state = state

    @property
    def api_version(self) -> int:  # type: ignore[override]
        """See `Executable`."""
        return self._inner.api_version

    @property
    def reads_in_parallel(self) -> bool:  # type: ignore[override]
        """See `Executable`."""
        return self._inner.reads_in_parallel

    @property
    def most_filled(self) -> float:  # type: ignore[override]
        """See `Executable`."""
        return self._inner.most_filled

    @property
    def loads_in_parallel(self) -> bool:  # type: ignore[override]
        """See `Executable`."""
        return self._inner.loads_in_parallel

    def load(self, x: Array, y: Array | None, weights: Array | None) -> Any:  # noqa: D102
        return self._inner.load(x, y, weights)

    @property
    def loading(self) -> Hashable | None:  # noqa: D102
        return self._inner.loading

    def gradients(self, data: Any, *, with_input: bool = False) -> Gradients:  # noqa: D102
        return self._inner.gradients(data, with_input=with_input)

    def differentiate_batch(self, x: Any, y: Any) -> Gradients | None:  # noqa: D102
        return self._inner.differentiate_batch(x, y)

    def evaluate(  # noqa: D102
        self, data: Any, batch_size: int, parameters: Any = None, after_batch: AfterBatch | None = None
    ) -> Totals:
        return self._inner.evaluate(data, batch_size, parameters, after_batch)

    def weight(self, data: Any, rows: HostArray | None = None) -> float:  # noqa: D102
        return self._inner.weight(data, rows)

    def targets(self, data: Any) -> tuple[HostArray, HostArray | None]:  # noqa: D102
        return self._inner.targets(data)

    def predict(self, data: Any, batch_size: int, parameters: Any = None) -> HostArray:  # noqa: D102
        return self._inner.predict(data, batch_size, parameters)

    def predict_few(self, x: Any, parameters: Any = None) -> HostArray | None:  # noqa: D102
        return self._inner.predict_few(x, parameters)

    def settle(self) -> Any:  # noqa: D102
        return self._inner.settle()

    def copy_parameters(self) -> Any:  # noqa: D102
        return self._inner.copy_parameters()

    def read_parameter(self, name: str, parameters: Any = None) -> HostArray:  # noqa: D102
        return self._inner.read_parameter(name, parameters)
