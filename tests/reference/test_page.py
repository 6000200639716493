"""docs/reference.md is up to date and covers every registry."""

import subprocess
import sys
from pathlib import Path

from dnnkit.registry import REGISTRIES
from tests.reference.page import FILE, GIVEN


def test_the_page_is_what_the_registries_hold(tmp_path: Path) -> None:
    target = tmp_path / "reference.md"  # in its own process, where no other test has registered anything
    subprocess.run([sys.executable, "-m", "tests.reference", target], cwd=FILE.parents[1], check=True)
    assert target.read_text() == FILE.read_text(), "regenerate it: python -m tests.reference"


def test_no_kind_is_left_out() -> None:
    assert {registry.kind for registry in REGISTRIES.values()} == set(GIVEN)
