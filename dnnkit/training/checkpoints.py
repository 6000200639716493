"""Checkpoints: a fit saves itself while it runs, and resumes as if it had not been interrupted.

A checkpoint is a save of the network (`dk.load` reads it) plus the progress of the fit and the states of its callbacks.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, Self

from dnnkit.backends.diagnosis import remark
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.deferred import dataclass
from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.files import as_path, check_writable
from dnnkit.network.protocol import Network
from dnnkit.saves.folder import is_save, read_files, require_readable, to_json, write_files
from dnnkit.saves.kinds import ARCHITECTURE, FIT
from dnnkit.saves.numbers import Numbers, shapes_of
from dnnkit.saves.saving import architecture_of, files_of
from dnnkit.saves.schema import contents, parsed, read, taken
from dnnkit.saves.serialization import describe
from dnnkit.saves.tensors import from_safetensors, to_safetensors
from dnnkit.settings import plain, shown
from dnnkit.training.callback_states import with_arrays, without_arrays
from dnnkit.training.fingerprint import THOROUGH
from dnnkit.training.history import History
from dnnkit.training.run import Run, Standing

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Every:
    """An interval, "30 s", "500 steps" or "1 epoch"; in the other units it is infinite or 0."""

    def __init__(self, text: str) -> None:
        pattern = r"\s*(\d+(?:\.\d+)?)\s*(?:(s|min|h)|(step)s?|(epoch)s?)\s*"
        found = re.fullmatch(pattern, text) if isinstance(text, str) else None
        count = float(found[1]) if found else 0.0
        if found is None or count == 0 or (found[2] is None and count % 1):
            raise ConfigurationError(
                f"checkpoint_every is {shown(text)}: expected a time, or a number of steps or epochs, such as '30 s', "
                "'5 min', '500 steps' or '1 epoch'"
            )
        self.seconds = count * SECONDS[found[2]] if found[2] else inf
        self.steps = int(count) if found[3] else 0
        self.epochs = int(count) if found[4] else 0


@dataclass(frozen=True)
class _Checkpoint:
    """The checked contents of a checkpoint."""

    architecture: Mapping[str, Any]
    fit: Mapping[str, Any]
    numbers: Numbers
    arrays: Mapping[str, Any]
    """Arrays of callbacks."""

    @classmethod
    def read(cls, folder: Path) -> "_Checkpoint":
        """Read the newest complete checkpoint."""
        files, place = read_files(folder), str(folder)
        described = parsed(files, "architecture.json", place)
        require_readable(described, place)
        if "fit.json" not in files:
            raise CheckpointError(
                f"{folder} holds a save, but not a checkpoint of a fit: choose another folder, or continue from the "
                "save by dk.load"
            )
        fit, numbers = read(files, "fit.json", FIT, place), Numbers.of(files, place)
        if fit["first_step"] > numbers.state.step:  # would make a fit limited by steps run forever
            raise CheckpointError(f"{folder} is damaged: fit.json began at step {fit['first_step']}, in the future")
        arrays = from_safetensors(contents(files, "callbacks.safetensors", place), f"{place}: callbacks.safetensors")
        return cls(taken(described, ARCHITECTURE, f"{place} is damaged: architecture.json"), fit, numbers, arrays)


class Checkpoints:
    """The checkpoints of one fit, in one folder."""

    def __init__(
        self,
        folder: str | Path,
        every: str = "30 s",
        keep: int = 3,
        *,
        starts_anew: bool = False,
        besides: Mapping[str, bytes] | None = None,
        hint: str = "the same call of fit resumes from there",
    ) -> None:
        """`starts_anew` ignores existing checkpoints; `besides` are additional files; `hint` says how to resume."""
        self.folder, self.hint, self._besides = as_path(folder), hint, dict(besides or {})
        self._every, self._keep, self._starts_anew = Every(every), keep, starts_anew
        self._there: _Checkpoint | None = None
        self._described: dict[str, Any] = {}
        self._was_written, self._saved_at = False, monotonic()
        self._lock: Any = None
        self.were_final = False
        """Whether the existing checkpoint was of a finished fit."""
        check_writable(self.folder)

    @classmethod
    def of(cls, given: "str | Path | Checkpoints", every: str, keep: int) -> "Checkpoints":
        """Return the checkpoints of a folder, or the given ones."""
        return given if isinstance(given, Checkpoints) else cls(given, every, keep)

    def __enter__(self) -> Self:
        """Lock the folder for this process, and read an existing checkpoint."""
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / ".fit.lock", timeout=0)
            self._lock.acquire()
        except Timeout:
            raise CheckpointError(
                f"{self.folder} is in use by another running fit: wait for it to end, or choose another folder"
            ) from None
        except OSError as error:
            raise CheckpointError(f"cannot write checkpoints to {self.folder}: {error.strerror}") from error
        try:
            if is_save(self.folder) and not self._starts_anew:
                self._there = _Checkpoint.read(self.folder)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if not is_save(self.folder):  # nothing was written
            with suppress(OSError):
                (self.folder / ".fit.lock").unlink()
                self.folder.rmdir()

    @property
    def is_there(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return self._was_written or self._there is not None

    @property
    def seed(self) -> int | None:
        """The seed of the network in the checkpoint."""
        return None if self._there is None else int(self._there.architecture["seed"])

    # -- resuming ----------------------------------------------------------------------------------------------------

    def begin(self, net: Network, run: Run) -> Standing | None:
        """Restore the network from the checkpoint and return the fit's progress; None if there is no checkpoint.

        Raises `CheckpointError` listing the differences if it belongs to another run.
        """
        self._described = _describe(net, run)
        if self._there is None:
            return None
        fit, now, numbers = self._there.fit, self._there.architecture, self._there.numbers
        if self._described["optimizer"] == now["optimizer"]:  # with hyperparameters that callbacks had changed
            self._described["optimizer"] = fit["run"].get("optimizer")
        found = list(differences("", fit["run"], self._described))
        if found:
            raise CheckpointError(
                f"{self.folder} holds a checkpoint of another run: {'; '.join(found[:4])}"
                f"{f'; and {len(found) - 4} more' if len(found) > 4 else ''}. Choose another folder, or "
                "repeat the original call of fit"
            )
        if numbers.backend != net.backend.address:
            remark(
                f"the checkpoint in {self.folder} is of backend {numbers.backend!r}, but the network is on "
                f"{net.backend.address!r}: results will agree up to rounding"
            )
        numbers.check(shapes_of(net), net.dtype, net.executable.program.measured, str(self.folder))
        numbers.give_to(net)
        net.history.plan = net.executable.plan
        _take_numbers(net.optimizer, now["optimizer"])
        history = History.from_json(fit["history"], is_checked=True)
        history.plan = net.executable.plan
        return Standing(fit["epoch"], fit["first_step"], history, fit["was_stopped"])

    def restore(self, callbacks: CallbackList) -> None:
        """Restore the states of the callbacks."""
        if self._there is not None:
            callbacks.restore_each(with_arrays(self._there.fit["callbacks"], self._there.arrays), str(self.folder))

    # -- saving ------------------------------------------------------------------------------------------------------

    def steps_until_due(self, standing: Standing, step: int) -> float:
        """Return the number of steps until the next checkpoint, from update `step`."""
        return self._every.steps - (step - standing.first_step) % self._every.steps if self._every.steps else inf

    def epochs_until_due(self, epochs_ended: int) -> float:
        """Return the number of epochs until the next checkpoint."""
        return self._every.epochs - epochs_ended % self._every.epochs if self._every.epochs else inf

    @property
    def is_timed(self) -> bool:
        """Whether checkpoints are due by time."""
        return self._every.seconds < inf

    def is_due(self, standing: Standing, step: int, epochs_ended: int) -> bool:
        """Whether to save now, after update `step`, or, with `epochs_ended` above 0, at the end of an epoch."""
        if epochs_ended:
            if self._every.epochs and epochs_ended % self._every.epochs == 0:
                return True
        elif self._every.steps and (step - standing.first_step) % self._every.steps == 0:
            return True
        return monotonic() - self._saved_at >= self._every.seconds

    def save(self, net: Network, standing: Standing, callbacks: CallbackList, *, must: bool = True) -> None:
        """Write a checkpoint; unless `must`, a failure is only logged and training continues."""
        arrays: dict[str, Any] = {}
        known = without_arrays(callbacks.state_of_each(), arrays, "callback")
        fit = {
            "run": self._described,
            "epoch": standing.epoch,
            "first_step": standing.first_step,
            "history": standing.history.to_json(),
            "was_stopped": standing.was_stopped,
            "callbacks": known,
        }
        with net.turns:
            files = {**files_of(net), "fit.json": to_json(fit), "callbacks.safetensors": to_safetensors(arrays)}
        files |= self._besides
        try:
            write_files(self.folder, files, self._keep if self.is_there else 1)
            self._was_written = True
        except CheckpointError as error:
            if must:
                raise
            remark(f"no checkpoint, training continues: {error}")
        finally:
            self._saved_at = monotonic()


def _describe(net: Network, run: Run) -> dict[str, Any]:
    """Return what must be equal for a run to be resumed, as JSON values."""
    architecture = architecture_of(net)
    for name in ("format", "dnnkit", "num_threads"):
        del architecture[name]
    data, validation = run.fingerprints(THOROUGH)
    described = {
        **architecture,
        "initial_epoch": run.first_epoch,
        "batches": run.schedule,
        "the data's fingerprint": data,
        "the validation data's fingerprint": validation,
    }
    return dict(json.loads(to_json(described)))


def differences(place: str, there: Any, here: Any) -> Iterator[str]:
    """Describe the differences of two JSON values, such as of a checkpoint (`there`) and of this call (`here`)."""
    if isinstance(there, dict) and isinstance(here, dict) and there.get("type") == here.get("type"):
        for name in {**there, **here}:
            yield from differences(f"{place}.{name}".removeprefix("."), there.get(name), here.get(name))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, (one, other) in enumerate(zip(there, here, strict=True)):
            yield from differences(f"{place}[{number}]", one, other)
    elif there != here:
        yield f"{place} is {_short(there)} there, {_short(here)} here"


def _short(value: Any) -> str:
    if isinstance(value, dict) and "type" in value:
        return str(value["type"])
    if isinstance(value, list):
        return f"{len(value)} of {', '.join(dict.fromkeys(_short(item) for item in value))}" if value else "none"
    return "none" if value is None else shown(value)


def _take_numbers(thing: Any, described: Any) -> None:
    """Set hyperparameters that callbacks may have changed."""
    for field in fields(thing):
        value = described.get(field.name) if isinstance(described, Mapping) else None
        name, now = field.name, getattr(thing, field.name)
        if isinstance(plain(now), int | float) and isinstance(value, int | float) and describe(now) != value:
            setattr(thing, name, value)
