"""`net.trace` as a method of networks."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from dnnkit.network.protocol import Network

if TYPE_CHECKING:
    from dnnkit.diagnosis.trace import Trace


class Traceable(Network):
    """Adds `trace` to a network."""

    def trace(self, x: Any, y: Any, sample_weight: Any = None) -> "Trace":
        """Return all intermediate values and gradients of a training step on x and y as one batch; changes nothing.

        They are computed operation by operation with the kernels' reference formulas on NumPy, in the network's dtype,
        and agree with `get_gradients` up to rounding; dropout uses the mask of the next update. Print the result, or
        access arrays by name: `trace["dense/output"]`, `trace["dense/kernel/gradient"]`.

        Arguments:
            x: samples (N, ...).
            y: targets, one row per sample.
            sample_weight: (N,), weight of each row.

        Returns:
            A `Trace`, a mapping of names to arrays.

        Raises:
            NotReady: the network is not compiled.
            DataError, ShapeError: x or y do not fit the network.
        """
        from dnnkit.backends.stagewise.finite import require_finite
        from dnnkit.diagnosis.trace import Trace

        x, y, weights = self._check(x, y, sample_weight)
        to_numpy = self.backend.to_numpy
        with self.turns:
            program, step = self.executable.program, self.executable.state.step
            parameters = {p.name: self.executable.read_parameter(p.name) for p in program.parameters}
        require_finite("x", x, program.dtype)
        x, y, weights = (None if array is None else to_numpy(array) for array in (x, y, weights))
        return Trace.of(self, program, parameters, x, y, weights, step=step, backend=self.backend)

    @abstractmethod
    def _check(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        """Convert samples, targets and row weights for the executable; build the network if necessary."""
