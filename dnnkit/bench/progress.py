"""A bar on standard error while something is measured: standard output belongs to the results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stage = Callable[[str, int], Callable[[], None]]
"""`stage(title, total)` begins a stretch of work and returns what to call after each part of it."""


def silent(title: str, total: int) -> Callable[[], None]:
    """No bar."""
    return lambda: None


@contextmanager
def bar(quiet: bool = False) -> Iterator[Stage]:
    """One bar per stage; it vanishes when a later stage or the end of the block finds it full."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if quiet:
        yield silent
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    # Two refreshes per second: drawing takes time from what is measured. A file would get an empty line for the bar.
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
