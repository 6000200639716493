"""The command; see the package."""

import sys
from pathlib import Path

from tests.dnnkit.saves import make

folder = Path(sys.argv[1])
if folder.exists():
    sys.exit(f"{folder} is there already: a save is never made again")
make(folder)
