"""docs/diagnosis.md lists every warning, and shows the output of its programs."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from dnnkit.diagnosis import course, findings, first_look  # noqa: F401  they register their checks
from dnnkit.diagnosis.checks import CHECKS
from dnnkit.network import agreement  # noqa: F401  likewise

DOCUMENT = Path(__file__).parents[3] / "docs" / "diagnosis.md"
WHEN = {"compile": "`compile`", "fit": "first batch", "epoch": "end of an epoch", "diagnose": "`diagnose=True`"}


def table() -> list[str]:
    """The table rows, according to the registry."""
    checks = sorted(CHECKS.usable(), key=lambda check: list(WHEN).index(check.moment))
    return [f"| {check.name} | {WHEN[check.moment]} | {check.about} |" for check in checks]


def test_the_table_is_that_of_the_registry() -> None:
    rows = re.findall(rf"^\| .* \| (?:{'|'.join(map(re.escape, WHEN.values()))}) \| .* \|$", DOCUMENT.read_text(), re.M)
    assert rows == table(), "\n".join(table())


def words(text: str) -> list[str]:
    """Return the text without its numbers, which may differ in their last digits."""
    return re.sub(r"-?\d[\d.,]*(e[+-]?\d+)?%?", "#", text).split()


def test_the_output_shown_is_the_output_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", DOCUMENT.read_text(), re.M | re.DOTALL)
    assert len([shown for _, shown in blocks if shown]) >= 4
    try:
        for code, shown in blocks:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(DOCUMENT), "exec"), names)
            assert words(printed.getvalue()) == words(shown), printed.getvalue()
    finally:
        CHECKS._things.pop("too few samples", None)
