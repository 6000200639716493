"""Options of `dnnkit train`: their values, and whether they were given."""

from itertools import count
from pathlib import Path

import typer

from dnnkit.errors import ConfigurationError


def is_given(context: typer.Context, name: str) -> bool:
    """Return whether a parameter was given explicitly."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def require_free(folder: Path, overwrite: bool, *, can_resume: bool = True) -> None:
    """Raise `ConfigurationError` if the folder holds a run and `overwrite` is False."""
    from dnnkit.saves.folder import is_save

    if is_save(folder) and not overwrite:
        go_on = f"continue it with --resume {folder}, " if can_resume else ""
        raise ConfigurationError(
            f"{folder} holds a run already: {go_on}replace it with --overwrite, or choose another folder"
        )


def units(hidden: list[str] | None) -> tuple[int, ...]:
    """Return the sizes of the hidden layers: `["64,32"]` is (64, 32); the default is (128,)."""
    numbers = [number for item in hidden or ["128"] for number in item.split(",")]
    if any(not number.strip().isdecimal() or len(number) > 400 or int(number) == 0 for number in numbers):
        raise ConfigurationError(
            f"--hidden {','.join(numbers)[:200]}: expected whole numbers above 0, such as 128 or 256,128"
        )
    return tuple(int(number) for number in numbers)


def new_folder(name: str) -> Path:
    """Return runs/NAME, or the first of runs/NAME-2, runs/NAME-3, ... that does not exist."""
    candidates = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(folder for folder in candidates if not folder.exists())
