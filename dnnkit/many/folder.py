"""Checkpoint folders of networks that are trained together: one checkpoint per network."""

from pathlib import Path

from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.files import as_path
from dnnkit.saves.folder import is_save
from dnnkit.settings import shown
from dnnkit.training.checkpoints import Checkpoints, Every


def checkpoints_in(folder: str | Path | None, count: int, every: str, *, resume: bool) -> list[Checkpoints] | None:
    """Return the checkpoints of `count` networks, in `folder/000`, `folder/001`, ...; None without a folder.

    Raises:
        CheckpointError: there are checkpoints and `resume` is False, or they are of more networks.
    """
    if folder is None:
        return None
    home = as_path(folder)
    if Every(every).steps:
        raise ConfigurationError(
            f"checkpoint_every is {shown(every)}, but many networks are saved between epochs: expected a time or "
            "epochs, such as '30 s' or '1 epoch'"
        )
    there = sorted(int(path.name) for path in home.glob("[0-9]*") if path.name.isdecimal() and is_save(path))
    if is_save(home):
        raise CheckpointError(f"{home} is the save of a single network: choose another folder")
    if there and not resume:
        raise CheckpointError(
            f"{home} holds checkpoints of {len(there)} networks already: resume=True goes on from them, or choose "
            "another folder"
        )
    if there and there[-1] >= count:
        raise CheckpointError(
            f"{home} holds checkpoints of {there[-1] + 1} networks, but {count} are given: give the same networks in "
            "the same order, or choose another folder"
        )
    return [Checkpoints(home / f"{number:03d}", every, keep=1, hint="") for number in range(count)]
