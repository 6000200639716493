"""Loss and metrics of a batch, on a backend's operations; per output if a program has several."""

from dnnkit.backends.operations import Operations
from dnnkit.backends.outputs import added_up, weights_of
from dnnkit.backends.program import Program
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array


class Measuring:
    """Computes what a program measures."""

    def __init__(self, backend: Operations, program: Program) -> None:
        self._backend, self._program, self._xp = backend, program, backend.xp
        self._heads = [registry.activation(each.head) for each in program.outputs or (program,)]

    def loss(
        self, scores: Array, targets: Array | None, weights: Array | None, scale: float, out: Array | None
    ) -> tuple[Array, list[Array], Array]:
        """Return (sum of the loss, of each output's loss, `scale` times the gradient of the scores)."""
        program, backend = self._program, self._backend
        assert program.loss is not None, "the network checks that it is compiled"
        if not program.outputs:
            total, gradient = backend.loss(program.loss, scores, targets, weights, scale, out=out)
            return total, [], gradient
        return added_up(
            program.outputs,
            scores,
            targets,
            weights,
            scale,
            backend.loss,
            self._xp,
        )

    def metrics(self, scores: Array, targets: Array | None, weights: Array | None, losses: list[Array]) -> list[Array]:
        """Return the weighted sum of each metric, on predictions or scores as required; `losses` are the outputs'."""
        program, backend = self._program, self._backend
        if program.outputs:
            return self._of_outputs(scores, targets, weights, losses)
        predictions = scores
        if any(metric.reads_predictions for metric in program.metrics):
            predictions = backend.activation(self._heads[0], scores)
        return [
            backend.metric(metric, predictions if metric.reads_predictions else scores, targets, weights)
            for metric in program.metrics
        ]

    def _of_outputs(
        self, scores: Array, targets: Array | None, weights: Array | None, losses: list[Array]
    ) -> list[Array]:
        program, backend, xp = self._program, self._backend, self._xp
        parts: dict[int, tuple[Array, Array]] = {}
        predictions: dict[int, Array] = {}
        found, sums = [], iter(losses)
        for metric in program.metrics:
            number, output = metric.output, program.outputs[metric.output]
            if metric.is_loss:
                found.append(next(sums))
                continue
            if number not in parts:
                parts[number] = output.scores(scores, xp), output.targets_of(targets, xp)
            own, wanted = parts[number]
            if metric.reads_predictions:
                if number not in predictions:
                    predictions[number] = backend.activation(self._heads[number], own)
                own = predictions[number]
            found.append(backend.metric(metric, own, wanted, weights_of(weights, number, xp)))
        return found

    def predictions(self, scores: Array, out: Array | None = None) -> Array:
        """Return the predictions from scores; `out` is memory that may be used for them."""
        if not self._program.outputs:
            return self._backend.activation(self._heads[0], scores, out=out)
        outputs = zip(self._program.outputs, self._heads, strict=True)
        return self._xp.concat(
            [self._backend.activation(head, output.scores(scores, self._xp)) for output, head in outputs], axis=1
        )
