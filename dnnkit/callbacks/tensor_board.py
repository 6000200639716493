"""A callback that writes TensorBoard event files, using the tensorboard package."""

import os
import re
import time
from collections.abc import Mapping
from io import BytesIO
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from dnnkit.backends.diagnosis import remark
from dnnkit.callbacks.base import CALLBACKS, Callback, Logs
from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path, check_writable
from dnnkit.instead import ARGUMENTS, refuse
from dnnkit.network.checks import check_count
from dnnkit.saves.schema import COUNT, record, taken, text
from dnnkit.settings import shown

_NUMBERS = count()
"""Counter that makes the names of a process's event files unique."""

_FILE = record(
    {"file": text(r"events\.out\.tfevents\.[0-9A-Za-z_.-]{1,200}", "the name of an event file"), "size": COUNT}
)
STATE = record({"train": _FILE, "validation": _FILE})


@CALLBACKS.named("TensorBoard")
class TensorBoard(Callback):
    """Write loss, metrics and learning rate for TensorBoard; `tensorboard --logdir logs` shows them during training.

    Names are those of Keras: the folders `train` and `validation` have `epoch_loss`, `epoch_accuracy`, ... by epoch,
    `train` also `epoch_learning_rate`; `validation` has `evaluation_loss_vs_iterations`, ... by update.

    Arguments:
        log_dir: the folder.
        histogram_freq: number of epochs between histograms of all parameters; 0 (default) for none.
        update_freq: "epoch" (default); "batch" or a number of batches also writes `batch_loss`, ... by update, and
            makes training run step by step.
        others: Keras's arguments for what is not supported; an error unless they are off.

    Raises:
        UnknownArgument: an argument asks for something unsupported; the message says what to use instead.
        ConfigurationError: an argument is invalid, or the package `tensorboard` is not installed.
        CheckpointError: in `fit`, the folder cannot be written. If only later writes fail, this is logged and training
            continues.

    Source: Keras; file format of https://github.com/tensorflow/tensorboard.
    """

    def __init__(
        self,
        log_dir: str | Path = "logs",
        histogram_freq: int = 0,
        *,
        update_freq: Literal["epoch", "batch"] | int = "epoch",
        **others: Any,
    ) -> None:
        refuse(
            "TensorBoard", [name for name in others if others[name] or name not in ARGUMENTS["TensorBoard"]], type(self)
        )
        self.log_dir = as_path(log_dir)
        self.histogram_freq = check_count("histogram_freq", histogram_freq, 0)
        if isinstance(update_freq, str) and update_freq not in ("epoch", "batch"):
            raise ConfigurationError(
                f"update_freq is {shown(update_freq)}: expected 'epoch', 'batch' or a number of batches"
            )
        freq = {"epoch": None, "batch": 1}[update_freq] if isinstance(update_freq, str) else update_freq
        self._every = 0 if freq is None else check_count("update_freq", freq)
        if self._every:
            self.on_train_batch_end = self._write_batch  # type: ignore[method-assign] # overridden only if needed
        _protocol()
        self._files = self._new_files()

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._files = self._new_files()
        check_writable(self.log_dir)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        last = max(self.model.executable.state.step - 1, 0) // self.model.gradient_accumulation_steps
        rate = float(self.model.optimizer.hyperparameters(last, 1).learning_rates[0])
        values = {"learning_rate": rate, **(logs or {})}
        held_out = {name.removeprefix("val_"): value for name, value in values.items() if name.startswith("val_")}
        trained = {name: value for name, value in values.items() if not name.startswith("val_")}
        wants_histograms = self.histogram_freq and (epoch + 1) % self.histogram_freq == 0
        histograms = dict(self.model.parameters) if wants_histograms else {}
        self._write("train", epoch, "epoch_{}", trained, histograms)
        if held_out:
            self._write("validation", epoch, "epoch_{}", held_out)

    def on_test_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._write("validation", self.model.executable.state.step, "evaluation_{}_vs_iterations", logs or {})

    def _write_batch(self, batch: int, logs: Logs | None = None) -> None:
        step = self.model.executable.state.step
        if step % self._every == 0:
            self._write("train", step, "batch_{}", logs or {})

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {name: {"file": file.path.name, "size": file.size} for name, file in self._files.items()}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        for name, file in taken(state, STATE, "the state").items():
            self._files[name] = _EventFile(self.log_dir / name, file["file"], file["size"])

    def _new_files(self) -> dict[str, "_EventFile"]:
        return {name: _EventFile(self.log_dir / name) for name in ("train", "validation")}

    def _write(
        self, name: str, step: int, tag: str, scalars: Mapping[str, Any], histograms: Mapping[str, Any] | None = None
    ) -> None:
        numbers = {tag.format(of): float(value) for of, value in scalars.items()}
        try:
            self._files[name].write(step, numbers, histograms or {})
        except OSError as error:
            remark(f"TensorBoard cannot write to {self.log_dir}, training continues: {error.strerror}")


class _EventFile:
    """An event file, created on the first write, and open only while writing."""

    def __init__(self, folder: Path, name: str = "", size: int = 0) -> None:
        """Create a new file, or continue an existing one after its first `size` bytes."""
        import socket  # imported late to keep `import dnnkit` fast

        host = re.sub("[^0-9A-Za-z-]", "_", socket.gethostname())
        self.path = folder / (name or f"events.out.tfevents.{time.time():.0f}.{host}.{os.getpid()}.{next(_NUMBERS)}")
        self.size = min(size, self.path.stat().st_size) if self.path.exists() else 0

    def write(self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Any]) -> None:
        """Append numbers, and histograms of arrays, by their names in TensorBoard."""
        protocol, values = _protocol(), []
        for tag, number in scalars.items():
            values.append(protocol.Summary.Value(tag=tag, simple_value=number))
        for tag, array in histograms.items():
            values += protocol.histogram_pb(tag, array).value
        events = [protocol.Event(step=step, wall_time=time.time(), summary=protocol.Summary(value=values))]
        if not self.size:
            events.insert(0, protocol.Event(wall_time=time.time(), file_version="brain.Event:2"))
        records = BytesIO()
        for event in events:
            protocol.RecordWriter(records).write(event.SerializeToString())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(self.size)  # drops a partial record, or what followed a checkpoint
            file.write(records.getvalue())
        self.size += len(records.getvalue())


def _protocol() -> Any:
    """Return the writer's parts of the package `tensorboard`; raise `ConfigurationError` if it is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise ConfigurationError(
            f"TensorBoard writes its files with the package tensorboard, which cannot be imported ({error}): "
            "pip install tensorboard"
        ) from error
    return SimpleNamespace(Event=Event, Summary=Summary, histogram_pb=histogram_pb, RecordWriter=RecordWriter)
