"""What `dnnkit sweep` was asked for, kept in the run folder: `--resume` takes it from there."""

from dataclasses import asdict
from pathlib import Path

from dnnkit.deferred import dataclass
from dnnkit.errors import CheckpointError
from dnnkit.files import read_regular, replace
from dnnkit.saves.folder import to_json
from dnnkit.saves.schema import list_of, one_of, read, record, text
from dnnkit.settings import FINITE, or_none, whole

FILE, NETWORKS, RANKING, OUT_OF_FOLD = "sweep.json", "networks", "ranking.json", "out_of_fold.npy"
"""In the run folder: what was asked for, the checkpoint of all networks, what came out."""
METRICS = {"loss": "val_loss", "accuracy": "val_accuracy"}
LARGEST = 1 << 20
"""Bytes of the file that is read."""

SWEEP = record(
    {
        "dataset": text(),
        "grid": list_of(text(most=100_000), 1000),
        "folds": or_none(whole(2)),
        "repeats": whole(),
        "hidden": text(),
        "activation": text(),
        "optimizer": text(),
        "learning_rate": or_none(FINITE),
        "batch_size": or_none(whole()),
        "epochs": whole(),
        "patience": or_none(whole()),
        "halving": or_none(whole(2)),
        "metric": one_of(*METRICS),
        "seed": whole(0, 2**32 - 1),
        "dtype": text(),
        "backend": or_none(text()),
    }
)


@dataclass(frozen=True)
class SweepOptions:
    """Everything that decides the numbers of a sweep."""

    dataset: str
    grid: tuple[str, ...]
    folds: int | None
    repeats: int
    hidden: str
    activation: str
    optimizer: str
    learning_rate: float | None
    batch_size: int | None
    epochs: int
    patience: int | None
    halving: int | None
    metric: str
    seed: int
    dtype: str
    backend: str | None

    @property
    def basis(self) -> dict[str, str]:
        """The text of each setting, where the grid does not say otherwise."""
        rate = {} if self.learning_rate is None else {"learning_rate": repr(self.learning_rate)}
        return {
            "hidden": self.hidden,
            "activation": self.activation,
            "dropout": "0",
            "optimizer": self.optimizer,
            **rate,
        }

    def keep(self, folder: Path) -> None:
        """Write them to the run folder, which is made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace(folder / FILE, to_json(asdict(self)))
        except OSError as error:
            raise CheckpointError(
                f"cannot write to {folder}: {error.strerror}; choose a folder you may write to"
            ) from error

    @classmethod
    def of_run(cls, folder: Path) -> "SweepOptions":
        """Those of the sweep in a folder; raises `CheckpointError` where there is none."""
        try:
            content = read_regular(folder / FILE, LARGEST)
        except OSError as error:
            raise CheckpointError(
                f"{folder} is no run of `dnnkit sweep` that can be resumed: {error.strerror}"
            ) from None
        values = read({FILE: content}, FILE, SWEEP, str(folder))
        return cls(**{**values, "grid": tuple(values["grid"])})


def is_sweep(folder: Path) -> bool:
    """Whether a sweep was begun there."""
    return (folder / FILE).exists()
