"""The notebooks of `examples/`, for the tests that run them."""

import contextlib
import dis
import importlib.util
import io
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import nbformat
import pytest

from tests.test_documents import has_mnist

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECK = "check_answer("
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
    """Import `examples/exercises.py`, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("examples_exercises", EXAMPLES / "exercises.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Session:
    """A notebook's cells, run one after the other in this process, in a separate namespace."""

    def __init__(self, names: Mapping[str, Any] | None = None) -> None:
        self.names = dict(names or {"__name__": "__main__"})

    def run(self, source: str) -> str:
        """Run the cell and return what it prints."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, "<cell>", "exec"), self.names)
        return printed.getvalue()

    def fork(self) -> "Session":
        """Return a session that continues from here without rebinding this one's names."""
        return Session(self.names)


def answers_and_mistakes(name: str, mistakes: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Run the exercise; for each blank yield (blank, body, what its check says) with nothing, with every mistake in
    that blank, and with the solution."""
    make, blank_notebook = maker(), exercise(name)
    right = make.answers(solution(name))
    empty = make.answers(blank_notebook)
    cells = _code(make.fill(blank_notebook, right))
    needed, session = _needed(cells), Session()
    said: dict[int, str] = {}
    checked_by = {}
    for place, source in enumerate(cells):
        for _, blank, _ in make.BLANK.findall(source):
            until_check = next((at for at in range(place, len(cells)) if CHECK in cells[at]), None)
            assert until_check is not None, f"{blank!r} is never checked"
            checked_by[blank] = place, until_check
            for body in (empty[blank], *(body for where, body, _ in mistakes if where == blank)):
                attempt, branch = _code(make.fill(blank_notebook, {**right, blank: body})), session.fork()
                yield blank, body, "".join(branch.run(attempt[at]) for at in range(place, until_check + 1))
        if place in needed:
            said[place] = session.run(source)
    for blank, (place, until_check) in checked_by.items():
        yield blank, right[blank], "".join(said.get(at, "") for at in range(place, until_check + 1))


def _code(notebook: Any) -> list[str]:
    return [str(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _needed(cells: list[str]) -> set[int]:
    """Return the cells that check an answer, and those they depend on: most of a notebook only shows something."""
    wanted: set[str] = set()
    found = set()
    for place, source in reversed(list(enumerate(cells))):
        taken, made, changed = _names(compile(source, "<cell>", "exec"))
        if CHECK in source or maker().BLANK.search(source) or wanted & (made | changed):
            found.add(place)
            wanted = wanted - made | taken
    return found


def _names(code: CodeType) -> tuple[set[str], set[str], set[str]]:
    """Return the names that a cell reads from earlier ones, those that it binds, and those whose objects it may
    change."""
    taken, made, changes = set(), set(), False
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            made.add(step.argval)
        elif step.opname == "LOAD_NAME" and step.argval not in made:
            taken.add(step.argval)
        changes |= step.opname in ("STORE_SUBSCR", "STORE_ATTR")
    inner = {name for part in code.co_consts if isinstance(part, CodeType) for name in _inner_names(part)}
    taken |= inner - made
    return taken, made, taken if changes else set()


def _inner_names(code: CodeType) -> set[str]:
    """Return the free names of a function, including those of nested functions."""
    parts = [part for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*map(_inner_names, parts))


def marks(printed: str) -> list[str]:
    """Return the lines of a check's output that say right or wrong."""
    return re.findall(r"^[✓✗].*$", printed, re.MULTILINE)
