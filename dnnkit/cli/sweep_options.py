"""The options of a `dnnkit sweep` run, saved in its folder so that `--resume` can read them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import CheckpointError
from dnnkit.files import read_regular, replace
from dnnkit.saves.folder import to_json
from dnnkit.saves.schema import list_of, one_of, read, record, text
from dnnkit.settings import FINITE, SHARE, or_none, whole

FILE, NETWORKS, RANKING, OUT_OF_FOLD = "sweep.json", "networks", "ranking.json", "out_of_fold.npy"
"""Files of the run folder: options, checkpoint of all networks, results, out-of-fold predictions."""
METRICS = "loss", "accuracy", "r2"
"""Values of --metric; those of the data are among them."""
LARGEST = 1 << 20
"""Largest size of the options file in bytes."""

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
    },
    {
        "target": list_of(text(), 10_000),
        "task": or_none(one_of("classes", "numbers")),
        "ignore": list_of(text(), 10_000),
        "categories": list_of(text(), 10_000),
        "held_out": SHARE,
        "delimiter": or_none(text()),
        "decimal": or_none(text()),
        "encoding": or_none(text()),
        "missing": list_of(text(), 1000),
    },
)


@dataclass(frozen=True)
class SweepOptions:
    """Everything that determines the results of a sweep."""

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
    target: tuple[str, ...] = ()
    task: str | None = None
    ignore: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    held_out: float = 0.2
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()

    @property
    def basis(self) -> dict[str, str]:
        """The text of each setting that the grid does not vary."""
        rate = {} if self.learning_rate is None else {"learning_rate": repr(self.learning_rate)}
        return {
            "hidden": self.hidden,
            "activation": self.activation,
            "dropout": "0",
            "optimizer": self.optimizer,
            **rate,
        }

    def keep(self, folder: Path) -> None:
        """Write the options to the run folder, which is created."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace(folder / FILE, to_json(asdict(self)))
        except OSError as error:
            raise CheckpointError(f"cannot write to {folder}: {error.strerror}; choose a writable folder") from error

    @classmethod
    def of_run(cls, folder: Path) -> "SweepOptions":
        """Read the options of the sweep in a folder; raise `CheckpointError` if it holds none."""
        try:
            content = read_regular(folder / FILE, LARGEST)
        except OSError as error:
            raise CheckpointError(
                f"{folder} is not a run of `dnnkit sweep` that can be resumed: {error.strerror}"
            ) from None
        values = read({FILE: content}, FILE, SWEEP, str(folder))
        lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})


def is_sweep(folder: Path) -> bool:
    """Return whether the folder holds a sweep."""
    return (folder / FILE).exists()
