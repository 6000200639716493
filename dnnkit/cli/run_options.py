"""The options of a `dnnkit train` run, saved in its folder so that `--resume` can read them."""

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
    """Everything that determines a run's results. In a saved run, `backend` is the one that computed it."""

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
        """Return the file that checkpoints keep in addition to their own."""
        return {FILE: to_json(asdict(self))}

    @classmethod
    def of_run(cls, folder: Path) -> "RunOptions":
        """Read the options of the run in a folder; raise `CheckpointError` if it holds none."""
        files = read_files(folder)
        if "estimator.json" in files:
            raise CheckpointError(f"{folder} is a run on a table, and these cannot be resumed: train again")
        if FILE not in files:
            raise CheckpointError(
                f"{folder} is a save, but not a run of `dnnkit train` that can be resumed: load it in Python with "
                f"dk.load({str(folder)!r}) and call fit"
            )
        values = read(files, FILE, RUN, str(folder))
        state = read(files, "state.json", STATE, str(folder))
        return cls(**{**values, "hidden": tuple(values["hidden"]), "backend": state.get("backend")})


def place_of_run(folder: Path) -> str:
    """Describe how far the run in a folder has come."""
    files = read_files(folder)
    fit, state = (read(files, f"{name}.json", kind, str(folder)) for name, kind in (("fit", FIT), ("state", STATE)))
    within = f"in epoch {fit['epoch'] + 1}, after step {state['position']:,} of {state['steps']:,}"
    return within if state["position"] else f"after epoch {fit['epoch']}"
