"""`net.trace`."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from dnnkit.network.protocol import Network

if TYPE_CHECKING:
    from dnnkit.diagnosis.trace import Trace


class Traceable(Network):
    """One step of a network, seen through."""

    def trace(self, x: Any, y: Any, sample_weight: Any = None) -> "Trace":
        """Every intermediate and gradient of one training step on all of x and y as one batch; changes nothing.

        Computed operation by operation on NumPy by the kernels' formulas, in the network's dtype: the numbers are those
        of `get_gradients` up to rounding, dropout with the mask of the next update. `print` the result, or take arrays
        from it: `trace["dense/output"]`, `trace["dense/kernel/gradient"]`.

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
        """Samples, targets and row weights as the executable loads them; builds the network if need be."""
