"""Monitoring of a fit: warnings about the loss, and the records of `diagnose=True`."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from dnnkit.backends.state import Totals
from dnnkit.diagnosis.checks import checks_at, warn
from dnnkit.diagnosis.course import Course, Rehearsal, rehearse, usual_loss
from dnnkit.diagnosis.first_look import FirstLook, Looked
from dnnkit.kernels.array import Array
from dnnkit.network.lowering import initial_parameters
from dnnkit.network.protocol import Network

if TYPE_CHECKING:
    from dnnkit.diagnosis.recorder import Recorder
    from dnnkit.training.history import History


class Watch:
    """Monitors one fit of a network.

    Arguments:
        net: the network, built.
        look: a sample of the data; None if there is none.
        batch_size: rows per batch.
        recorder: records the state of layers; None without `diagnose`.
        whose: how warnings refer to the network if it is one of several.
    """

    def __init__(
        self,
        net: Network,
        look: FirstLook | None,
        batch_size: int,
        recorder: "Recorder | None" = None,
        whose: str = "",
    ) -> None:
        self._net, self._look, self._batch_size, self._recorder = net, look, batch_size, recorder
        self._whose = whose
        self._losses: list[float] = []
        self._checks, self._said = checks_at("epoch"), set[str]()
        self._begins = False

    def begin(self) -> None:
        """Called before the first epoch, after a checkpoint was restored."""
        self._begins = self._net.executable.state.step == 0
        if self._recorder is not None:
            self._recorder.record(self._net, 0)

    @property
    def records(self) -> bool:
        """Whether each epoch has to be reported when it ends."""
        return self._recorder is not None

    def epoch_ended(self, totals: Totals) -> None:
        """Called after the steps of an epoch, before the network's epoch counter advances."""
        self.epochs_ended(self._net.executable.state.epoch, [totals.mean_loss], totals)

    def epochs_ended(self, number: int, losses: list[float], totals: Totals) -> None:
        """Called after several epochs with these mean losses, the first of which is `number`; the totals are those of
        the last.
        """
        program, rows, last = self._net.executable.program, int(totals.weight), number + len(losses) - 1
        for epoch, loss in enumerate(losses, number):
            self._losses.append(loss)
            usual = None
            if len(self._losses) == 1 and self._look is not None and self._begins and totals.reduction == "mean":
                usual = usual_loss(program, self._look)
            nan_step = totals.nan_step if epoch == last else -1
            course = Course(epoch + 1, self._losses, nan_step, self._begins, rows, usual, self._rehearse)
            warn(self._checks, course, self._said, self._whose)
        if self._recorder is not None and self._recorder.wants(len(self._losses)):
            self._recorder.record(self._net, len(self._losses))

    def end(self, history: "History", is_shown: bool) -> None:
        """Called after the last epoch."""
        if self._recorder is not None:
            if not self._recorder.wants(len(self._losses)):  # otherwise it has been recorded
                self._recorder.record(self._net, len(self._losses))
            history.diagnosis = self._recorder.diagnosis()
            if is_shown:
                _print(str(history.diagnosis))

    def _rehearse(self) -> Rehearsal | None:
        net = self._net
        if self._look is None or not self._begins or net.input_shape is None:
            return None
        first = initial_parameters(net.graph, net.seed, net.dtype)
        return rehearse(net, first, self._look, self._batch_size)


def _print(text: str) -> None:
    """Print to standard output if possible, replacing characters that its encoding lacks."""
    with suppress(OSError, ValueError, LookupError):
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding))


def watching(
    net: Network,
    looked: Looked,
    x: Array,
    y: Array,
    batch_size: int,
    diagnose: bool,
    whose: str = "",
    *,
    is_all: bool = True,
) -> Watch:
    """Check a fit's data, issuing warnings, and return the fit's monitor; without `is_all`, the data is not checked."""
    program, backend = net.executable.program, net.backend
    with backend.on_device():
        look, recorder = looked.at(program, backend, x, y) if is_all else None, None
        if diagnose:
            from dnnkit.diagnosis.recorder import Recorder  # imported late: most fits do not need it

            recorder = Recorder(net, look or FirstLook(program, backend, x, y))
    return Watch(net, look, batch_size, recorder, whose)
