"""A training with everything that a checkpoint has to save, and all its numbers as text."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import dnnkit as dk

EPOCHS = 3


@dataclass(frozen=True)
class Job:
    """What is trained, and the checkpoint interval."""

    backend: str
    num_threads: int
    dtype: str
    every: str
    keep: int

    def run(self, folder: Path, *, saves: bool = True) -> str:
        """Train to the end, from the folder's checkpoint; return the numbers as JSON."""
        (x, y), (x_test, y_test) = dk.datasets.digits.load_data()
        net = dk.Sequential(
            [
                dk.Rescaling(1 / 16),
                dk.Flatten(),
                dk.Dense(96, activation="gelu"),
                dk.Dropout(0.2),
                dk.Dense(10, activation="softmax"),
            ],
            seed=5,
            dtype=self.dtype,
            backend=self.backend,
            num_threads=self.num_threads,
        )
        rates = dk.schedules.CosineDecay(0.01, 300, warmup_steps=20)
        net.compile(dk.Adam(rates), "sparse_categorical_crossentropy", ["accuracy"])
        stopper = dk.EarlyStopping(patience=EPOCHS)
        callbacks = [
            stopper,
            dk.ModelCheckpoint(folder / "best", save_best_only=True),
            dk.CSVLogger(folder / "log.csv"),
        ]
        options = {"checkpoint": folder / "run", "checkpoint_every": self.every, "checkpoint_keep": self.keep}
        history = net.fit(
            x,
            y,
            epochs=EPOCHS,
            validation_data=(x_test, y_test),
            callbacks=callbacks,
            verbose=0,
            **(options if saves else {}),
        )
        snapshot, best = net.executable.snapshot(), dk.load(folder / "best").executable.snapshot()
        numbers = {
            "parameters": _sums(snapshot.parameters),
            "slots": _sums(snapshot.slots),
            "step": snapshot.state.step,
            "epoch": snapshot.state.epoch,
            "history": net.history.history,
            "epochs": net.history.epoch,
            "returned": history.history,
            "returned epochs": history.epoch,
            "best epoch": stopper.best_epoch,
            "best": _sums(best.parameters),
            "log": (folder / "log.csv").read_text(),
        }
        return json.dumps(numbers, indent=1)


def _sums(arrays: dict) -> dict[str, str]:
    return {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
