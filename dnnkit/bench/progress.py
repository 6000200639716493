"""Progress bars on standard error; standard output is reserved for results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stage = Callable[[str, int], Callable[[], None]]
"""`stage(title, total)` starts a stage and returns the function to call after each of its parts."""


def silent(title: str, total: int) -> Callable[[], None]:
    """Show no bar."""
    return lambda: None


@contextmanager
def bar(quiet: bool = False) -> Iterator[Stage]:
    """Show one bar per stage; a full bar disappears when the next stage or the end of the block is reached."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if quiet:
        yield silent
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    # Two refreshes per second, because drawing disturbs the measurement. In a file the bar would be an empty line.
    shown = Progress(*columns, console=console, transient=True, refresh_per_second=2, disable=not console.is_terminal)
    with shown as progress:

        def stage(title: str, total: int) -> Callable[[], None]:
            for earlier in progress.tasks:
                progress.update(earlier.id, visible=not earlier.finished)
            if not console.is_terminal:
                console.print(f"{title} ...", highlight=False)
            task = progress.add_task(title, total=total)
            return lambda: progress.advance(task)

        yield stage
