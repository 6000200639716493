"""Checkpoint folders of networks that are trained together: one checkpoint per network."""

from pathlib import Path

from dnnkit.deferred import dataclass
from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.files import as_path
from dnnkit.saves.folder import is_save
from dnnkit.settings import shown
from dnnkit.training.checkpoints import Checkpoints, Every


@dataclass(frozen=True)
class Folder:
    """The folder of the checkpoints of several networks.

    Attributes:
        path: the folder.
        hint: how to continue after an interruption; "" if the caller says so.
    """

    path: Path
    hint: str = "repeat the call with resume=True to continue"

    @classmethod
    def of(cls, given: "str | Path | Folder | None") -> "Folder | None":
        """Return the folder for what `fit_many` was given."""
        return given if given is None or isinstance(given, Folder) else cls(as_path(given))


def checkpoints_in(folder: Folder | None, count: int, every: str, *, resume: bool) -> list[Checkpoints] | None:
    """Return the checkpoints of `count` networks, in `folder/000`, `folder/001`, ...; None without a folder.

    Raises:
        CheckpointError: there are checkpoints and `resume` is False, or they belong to more networks.
    """
    if folder is None:
        return None
    home = folder.path
    if Every(every).steps:
        raise ConfigurationError(
            f"checkpoint_every is {shown(every)}, but fit_many saves only between epochs: expected a time or a "
            "number of epochs, such as '30 s' or '1 epoch'"
        )
    there = sorted(int(path.name) for path in home.glob("[0-9]*") if path.name.isdecimal() and is_save(path))
    if is_save(home):
        raise CheckpointError(f"{home} contains the save of a single network: choose another folder")
    if there and not resume:
        raise CheckpointError(
            f"{home} already has checkpoints of {len(there)} networks: pass resume=True to continue, or choose "
            "another folder"
        )
    if there and there[-1] >= count:
        raise CheckpointError(
            f"{home} holds checkpoints of {there[-1] + 1} networks, but {count} are given: give the same networks in "
            "the same order, or choose another folder"
        )
    return [Checkpoints(home / f"{number:03d}", every, keep=1, hint="") for number in range(count)]
