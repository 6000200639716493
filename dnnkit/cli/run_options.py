"""What `dnnkit train` was asked for, kept in the run folder: `--resume` takes it from there."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from dnnkit.errors import CheckpointError
from dnnkit.saves.folder import read_files, to_json

FILE = "run.json"


@dataclass(frozen=True)
class RunOptions:
    """Everything that decides the numbers of a run; of one that was kept, `backend` is the one that ran."""

    dataset: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    learning_rate: float | None
    batch_size: int
    epochs: int
    seed: int
    dtype: str
    backend: str | None

    def to_files(self) -> dict[str, bytes]:
        """What a checkpoint keeps besides."""
        return {FILE: to_json(asdict(self))}

    @classmethod
    def of_run(cls, folder: Path) -> "RunOptions":
        """Those of the run in a folder; raises `CheckpointError` where there is none."""
        files = read_files(folder)
        if FILE not in files:
            raise CheckpointError(
                f"{folder} is a save, but no run of `dnnkit train` that can be resumed: load it in Python, by "
                f"dk.load({str(folder)!r}), and call fit"
            )
        try:
            values = json.loads(files[FILE])
            values |= {"hidden": tuple(values["hidden"]), "backend": json.loads(files["state.json"])["backend"]}
            kinds = get_type_hints(cls)
            wrong = [f.name for f in fields(cls) if not _fits(values.get(f.name), kinds[f.name])]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(f"{folder} is damaged: {FILE} cannot be understood ({error!r})") from error
        if wrong or len(values) != len(fields(cls)):
            raise CheckpointError(f"{folder} is not a run that this version can resume: see {', '.join(wrong) or FILE}")
        return cls(**values)


def place_of_run(folder: Path) -> str:
    """Where the run in a folder stands, in words."""
    files = read_files(folder)
    fit, state = json.loads(files["fit.json"]), json.loads(files["state.json"])
    within = f"in epoch {fit['epoch'] + 1}, after step {state['position']:,} of {state['steps']:,}"
    return within if state["position"] else f"after epoch {fit['epoch']}"


def _fits(value: Any, kind: Any) -> bool:
    if kind == tuple[int, ...]:
        return isinstance(value, tuple) and all(type(item) is int for item in value)
    return type(value) in (get_args(kind) or (kind,)) or (type(value) is int and float in get_args(kind))
