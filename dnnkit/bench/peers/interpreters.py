"""How an interpreter is started on this package: as a folder, so that dnnkit need not be installed there."""

import os
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).absolute().parent
VARIABLES = ("PYTHONPATH", "PYTHONHOME")
"""What would lead another interpreter to the packages of this one."""


def command(python: str, *arguments: str) -> list[str]:
    """The command line: `python FOLDER ARGUMENTS`."""
    return [python, str(FOLDER), *arguments]


def environment(python: str) -> dict[str, str]:
    """Variables for it: this interpreter finds the dnnkit that runs now, another one nothing but its own packages."""
    if python != sys.executable:
        return {name: value for name, value in os.environ.items() if name not in VARIABLES}
    paths = [str(FOLDER.parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def without_paths(text: str) -> str:
    """A message of an interpreter without the folders of this machine."""
    return re.sub(r"(?<![\w/])/(?:[\w.+-]+/)+", "…/", text)
