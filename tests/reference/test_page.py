"""The reference is up to date and covers every registry."""

import subprocess
import sys
from pathlib import Path

from dnnkit.registry import REGISTRIES
from tests.reference.page import FOLDER, GIVEN, PAGES


def texts(folder: Path) -> dict[str, str]:
    """Return the reference below a folder: file -> text."""
    files = [folder / "reference.md", *(folder / "reference").iterdir()]
    return {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in files}


def test_the_pages_are_what_the_registries_hold(tmp_path: Path) -> None:
    # In its own process, where no other test has registered anything.
    subprocess.run([sys.executable, "-m", "tests.reference", tmp_path], cwd=FOLDER.parent, check=True)
    assert texts(tmp_path) == texts(FOLDER), "regenerate it: python -m tests.reference"


def test_no_kind_is_left_out() -> None:
    kinds = {registry.kind for registry in REGISTRIES.values()}
    assert kinds == set(GIVEN) == {kind for _, of_page in PAGES.values() for kind in of_page}
