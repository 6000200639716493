"""Commands that run this package as a folder, so that an interpreter does not need dnnkit."""

import os
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).absolute().parent
VARIABLES = ("PYTHONPATH", "PYTHONHOME")
"""Variables that would lead another interpreter to the packages of this one."""


def command(python: str, *arguments: str) -> list[str]:
    """Return the command line `python FOLDER ARGUMENTS`."""
    return [python, str(FOLDER), *arguments]


def environment(python: str) -> dict[str, str]:
    """Return the environment: this interpreter finds the running dnnkit, another one only its own packages."""
    if python != sys.executable:
        return {name: value for name, value in os.environ.items() if name not in VARIABLES}
    paths = [str(FOLDER.parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def without_paths(text: str) -> str:
    """Remove folders of this machine from an interpreter's message."""
    return re.sub(r"(?<![\w/])/(?:[\w.+-]+/)+", "…/", text)
