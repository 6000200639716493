"""The notebooks of `examples/`, for the tests that run them."""

import contextlib
import importlib.util
import io
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.test_documents import has_mnist

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("[0-9]_*.ipynb"))


@cache
def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def solution(name: str) -> Any:
    return read(EXAMPLES / f"{name}.ipynb")


def exercise(name: str) -> Any:
    return read(EXAMPLES / "exercises" / f"{name}.ipynb")


def skip_without_data(name: str) -> None:
    if "mnist.load_data" in str(solution(name)) and not has_mnist():
        pytest.skip("needs MNIST in DNNKIT_DATA_DIR")


@cache
def maker() -> Any:
    """`examples/exercises.py`, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("examples_exercises", EXAMPLES / "exercises.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Session:
    """A notebook's cells, run one after the other in this process, in names of their own."""

    def __init__(self, names: Mapping[str, Any] | None = None) -> None:
        self.names = dict(names or {"__name__": "__main__"})

    def run(self, source: str) -> str:
        """What the cell prints."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, "<cell>", "exec"), self.names)
        return printed.getvalue()

    def fork(self) -> "Session":
        """A session that goes on from here without changing which values this one's names have."""
        return Session(self.names)


def answers_and_mistakes(name: str, mistakes: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Run the exercise; for each blank give (blank, body, what its check says) with the solution, with nothing, and
    with every mistake in that blank."""
    make, blank_notebook = maker(), exercise(name)
    right = make.answers(solution(name))
    empty = make.answers(blank_notebook)
    filled = make.fill(blank_notebook, right)
    cells = [index for index, cell in enumerate(filled["cells"]) if cell["cell_type"] == "code"]
    session = Session()
    for place, index in enumerate(cells):
        source = filled["cells"][index]["source"]
        blanks = [found[1] for found in make.BLANK.findall(source)]
        until_check = next((p for p in range(place, len(cells)) if "check_answer(" in _source(filled, cells[p])), None)
        for blank in blanks:
            assert until_check is not None, f"{blank!r} is never checked"
            variants = [right[blank], empty[blank], *(body for where, body, _ in mistakes if where == blank)]
            for body in variants:
                attempt = make.fill(blank_notebook, {**right, blank: body})
                branch = session.fork()
                printed = [branch.run(_source(attempt, cells[p])) for p in range(place, until_check + 1)]
                yield blank, body, "".join(printed)
        session.run(source)


def _source(notebook: Any, index: int) -> str:
    return str(notebook["cells"][index]["source"])


def marks(printed: str) -> list[str]:
    """The lines of a check's output that say right or wrong."""
    return re.findall(r"^[✓✗].*$", printed, re.MULTILINE)
