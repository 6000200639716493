"""Where it is shown how all networks stand: a table in place on a terminal or in a notebook, lines elsewhere."""

import sys
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from dnnkit.backends.diagnosis import remark
from dnnkit.many.history import ManyHistory
from dnnkit.many.standing import Standing
from dnnkit.many.text_table import cut
from dnnkit.training.notebook import Cell, in_notebook
from dnnkit.training.progress import Verbosity, check_verbosity

LINES = 12
"""Networks that a table shows at most; fewer on a low terminal."""
NOTEBOOK = 100
"""Letters in a line of a notebook's output."""
REFRESH, PAUSE = 0.1, 2.0
"""Seconds between two pictures of a live table, and between two lines elsewhere."""


def make_table(verbose: Verbosity, many: ManyHistory, epochs: int) -> "Table":
    """0: silent; 1: a live table; 2: a line now and then; "auto": 1 on a terminal or in a notebook, else 2."""
    verbose = check_verbosity(verbose)
    if (sys.stdout is None or getattr(sys.stdout, "closed", False)) and not in_notebook():
        verbose = 0
    if verbose == "auto":
        verbose = 1 if in_notebook() or sys.stdout.isatty() else 2
    live = NotebookTable if in_notebook() else LiveTable if find_spec("rich") else LineTable
    return {0: Table, 1: live, 2: LineTable}[int(verbose)](Standing(many, epochs))


class Table:
    """Silent; the base of the others.

    Arguments:
        standing: what is shown.
    """

    pause = 0.0
    """Seconds between two updates that are shown."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self._next = perf_counter() + self.pause
        self._shows = True

    def update(self) -> None:
        """Some epochs were trained: show them, if it is time."""
        if perf_counter() >= self._next:
            self._next = perf_counter() + self.pause
            self._try(self._show)

    def close(self) -> None:
        """Training is over, also by an exception: one line stays."""
        self._try(self._leave)

    def _show(self) -> None:
        pass

    def _leave(self) -> None:
        pass

    def _try(self, show: Any) -> None:
        """Where nothing can be written any more (a full disk, a pipe that nobody reads), training goes on."""
        if not self._shows:
            return
        try:
            show()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self._shows = False
            remark(f"progress is not shown any more, training goes on: {error}")


class LineTable(Table):
    """A line now and then."""

    pause = PAUSE

    def _show(self) -> None:
        print(self.standing.line(), flush=True)

    _leave = _show


class LiveTable(Table):
    """A table in place on a terminal; a line stays."""

    pause = REFRESH

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
    """The table as one output of a notebook's cell, which stays."""

    pause = 5 * REFRESH

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing)
        self._cell = Cell()

    def _show(self) -> None:
        self._cell.show_text("\n".join(self.standing.picture(NOTEBOOK, LINES)))

    _leave = _show
