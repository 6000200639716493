"""Progress display: a live table on a terminal or in a notebook, lines elsewhere."""

import sys
from importlib.util import find_spec
from math import inf
from time import perf_counter
from typing import Any

from dnnkit.backends.diagnosis import remark
from dnnkit.many.history import ManyHistory
from dnnkit.many.standing import Standing
from dnnkit.many.text_table import cut
from dnnkit.training.notebook import Cell, in_notebook
from dnnkit.training.progress import Verbosity, check_verbosity

LINES = 12
"""Maximum number of networks in a table; fewer on a terminal with few rows."""
NOTEBOOK = 100
"""Characters per line in a notebook."""
REFRESH, PAUSE = 0.1, 2.0
"""Seconds between updates of a live table, and between lines elsewhere."""


def make_table(verbose: Verbosity, many: ManyHistory, epochs: int) -> "Table":
    """Return a display: 0 silent, 1 live table, 2 lines; "auto": 1 on a terminal or in a notebook, else 2."""
    verbose = check_verbosity(verbose)
    if (sys.stdout is None or getattr(sys.stdout, "closed", False)) and not in_notebook():
        verbose = 0
    if verbose == "auto":
        verbose = 1 if in_notebook() or sys.stdout.isatty() else 2
    live = NotebookTable if in_notebook() else LiveTable if find_spec("rich") else LineTable
    return {0: Table, 1: live, 2: LineTable}[int(verbose)](Standing(many, epochs))


class Table:
    """A silent display; base of the others.

    Arguments:
        standing: the progress to show.
    """

    pause = 0.0
    """Minimum seconds between updates."""
    patience = inf
    """Seconds for which it can do without an update."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self._next = perf_counter() + self.pause
        self._shows = True

    def update(self) -> None:
        """Show the progress if the last update is old enough."""
        if perf_counter() >= self._next:
            self._next = perf_counter() + self.pause
            self._try(self._show)

    def close(self) -> None:
        """Show the final line when training ends, also after an exception."""
        self._try(self._leave)

    def _show(self) -> None:
        pass

    def _leave(self) -> None:
        pass

    def _try(self, show: Any) -> None:
        """Show, and stop showing for good if output fails (a full disk, a closed pipe); training continues."""
        if not self._shows:
            return
        try:
            show()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            self._shows = False
            remark(f"progress display stopped, training continues: {error}")


class LineTable(Table):
    """Prints a line of progress periodically."""

    pause = PAUSE

    def _show(self) -> None:
        print(self.standing.line(), flush=True)

    _leave = _show


class LiveTable(Table):
    """A live table on a terminal; a line remains at the end."""

    pause, patience = REFRESH, 2 * REFRESH

    def __init__(self, standing: Standing) -> None:
        from rich.console import Console

        super().__init__(standing)
        self._console = Console(highlight=False)
        self._live: Any = None

    def _show(self) -> None:
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        width, height = self._console.size
        lines = self.standing.picture(width - 1, max(1, min(LINES, height - 5)))
        self._live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)

    def _leave(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._console.print(cut(self.standing.line(), self._console.width), soft_wrap=True, markup=False)


class NotebookTable(Table):
    """A table as one output of a notebook cell, which remains."""

    pause, patience = 5 * REFRESH, 5 * REFRESH

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing)
        self._cell = Cell()

    def _show(self) -> None:
        self._cell.show_text("\n".join(self.standing.picture(NOTEBOOK, LINES)))

    _leave = _show
