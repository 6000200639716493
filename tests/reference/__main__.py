"""Write docs/reference.md, or the given file; see the package."""

import sys
from pathlib import Path

from tests.reference.page import FILE, page

(Path(sys.argv[1]) if sys.argv[1:] else FILE).write_text(page())
