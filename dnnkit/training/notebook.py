"""What a notebook's cell shows while it runs: an output that is replaced by each new one."""

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether code runs in a Jupyter kernel, whose cells can show text and pictures."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class Cell:
    """One output of the running cell."""

    def __init__(self) -> None:
        from IPython.display import DisplayHandle  # only ever reached inside IPython

        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
        self._shown = False

    def show(self, output: Any, **options: Any) -> None:
        """Put anything that IPython can display in the output's place."""
        (self._handle.update if self._shown else self._handle.display)(output, **options)
        self._shown = True

    def show_text(self, text: str) -> None:
        """Put plain text in the output's place."""
        self.show({"text/plain": text}, raw=True)
