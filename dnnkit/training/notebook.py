"""An output of a notebook cell that can be replaced while the cell runs."""

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether code runs in a Jupyter kernel, whose cells can display text and images."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class Cell:
    """One output of the running cell."""

    def __init__(self) -> None:
        from IPython.display import DisplayHandle  # reached only within IPython

        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
        self._shown = False

    def show(self, output: Any, **options: Any) -> None:
        """Replace the output by anything that IPython can display."""
        (self._handle.update if self._shown else self._handle.display)(output, **options)
        self._shown = True

    def show_text(self, text: str) -> None:
        """Replace the output by plain text."""
        self.show({"text/plain": text}, raw=True)
