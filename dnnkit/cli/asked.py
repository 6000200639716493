"""What options of `dnnkit train` stand for, and whether they were given."""

from itertools import count
from pathlib import Path

import typer

from dnnkit.errors import ConfigurationError


def is_given(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given, and not left at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def require_free(folder: Path, overwrite: bool, *, can_resume: bool = True) -> None:
    """Raise `ConfigurationError` where the folder holds a run that is not to be replaced."""
    from dnnkit.saves.folder import is_save

    if is_save(folder) and not overwrite:
        go_on = f"go on with it by --resume {folder}, " if can_resume else ""
        raise ConfigurationError(
            f"{folder} holds a run already: {go_on}replace it by --overwrite, or choose another folder"
        )


def units(hidden: list[str] | None) -> tuple[int, ...]:
    """The sizes of hidden layers."""
    numbers = [number for item in hidden or ["128"] for number in item.split(",")]
    if any(not number.strip().isdecimal() or len(number) > 400 or int(number) == 0 for number in numbers):
        raise ConfigurationError(
            f"--hidden {','.join(numbers)[:200]}: expected whole numbers above 0, such as 128 or 256,128"
        )
    return tuple(int(number) for number in numbers)


def new_folder(name: str) -> Path:
    """runs/digits, or the first of runs/digits-2, runs/digits-3, ... that is not there yet."""
    candidates = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(folder for folder in candidates if not folder.exists())
