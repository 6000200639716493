"""What `dnnkit train` was asked for, kept in the run folder: `--resume` takes it from there."""

from dataclasses import asdict
from pathlib import Path

from dnnkit.deferred import dataclass
from dnnkit.errors import CheckpointError
from dnnkit.saves.folder import read_files, to_json
from dnnkit.saves.kinds import FIT, STATE
from dnnkit.saves.schema import list_of, read, record, text
from dnnkit.settings import FINITE, or_none, whole

FILE = "run.json"

RUN = record(
    {
        "dataset": text(),
        "hidden": list_of(whole(), 1000),
        "activation": text(),
        "optimizer": text(),
        "learning_rate": or_none(FINITE),
        "batch_size": or_none(whole()),
        "epochs": whole(),
        "seed": whole(0),
        "dtype": text(),
        "backend": or_none(text()),
    }
)


@dataclass(frozen=True)
class RunOptions:
    """Everything that decides the numbers of a run; of one that was kept, `backend` is the one that ran."""

    dataset: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    learning_rate: float | None
    batch_size: int | None
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
        if "estimator.json" in files:
            raise CheckpointError(f"{folder} is a run on a table, whose training is not resumed: train again")
        if FILE not in files:
            raise CheckpointError(
                f"{folder} is a save, but no run of `dnnkit train` that can be resumed: load it in Python, by "
                f"dk.load({str(folder)!r}), and call fit"
            )
        values = read(files, FILE, RUN, str(folder))
        state = read(files, "state.json", STATE, str(folder))
        return cls(**{**values, "hidden": tuple(values["hidden"]), "backend": state.get("backend")})


def place_of_run(folder: Path) -> str:
    """Where the run in a folder stands, in words."""
    files = read_files(folder)
    fit, state = (read(files, f"{name}.json", kind, str(folder)) for name, kind in (("fit", FIT), ("state", STATE)))
    within = f"in epoch {fit['epoch'] + 1}, after step {state['position']:,} of {state['steps']:,}"
    return within if state["position"] else f"after epoch {fit['epoch']}"
