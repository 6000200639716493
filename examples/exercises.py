"""Exercises from solutions: the same notebook with blanks, so that the two cannot drift apart.

In a solution, the code that readers have to find is between two comments:

    # blank: sigmoid backward
    dx = dy * y * (1 - y)
    # end blank

The exercise has `dx = ...` instead. Everything else is the same, including the cells that check the answers.
"""

import ast
import copy
import re
import textwrap
from collections.abc import Mapping
from typing import Any

BLANK = re.compile(r"^([ \t]*)# blank: ([^\n]+)\n(.*?)^[ \t]*# end blank$", re.MULTILINE | re.DOTALL)

NOTICE = """\
> **This is the exercise.** Replace each `...` between `# blank` and `# end blank` with your code; the cells after it
> check your answer and say what is wrong. The solution has the same name, one folder up."""


def answers(notebook: Mapping[str, Any]) -> dict[str, str]:
    """Return the code of each blank, by name, without indentation."""
    cells = [_text(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return {name: textwrap.dedent(body) for text in cells for _, name, body in BLANK.findall(text)}


def fill(notebook: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the notebook without outputs and with `given` in its blanks; other blanks stay as they are."""
    filled = copy.deepcopy(dict(notebook))
    for cell in filled["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = BLANK.sub(lambda match: _replaced(match, given), _text(cell))
            cell["outputs"], cell["execution_count"] = [], None
    return filled


def make_exercise(solution: Mapping[str, Any]) -> dict[str, Any]:
    """Return the solution with its blanks empty."""
    exercise = fill(solution, {name: _emptied(body) for name, body in answers(solution).items()})
    notice = {"cell_type": "markdown", "id": "exercise", "metadata": {}, "source": NOTICE}
    exercise["cells"].insert(1, notice)
    return exercise


def _replaced(match: re.Match[str], given: Mapping[str, str]) -> str:
    indent, name, body = match.groups()
    if name in given:
        body = textwrap.indent(given[name].rstrip("\n") + "\n", indent)
    return f"{indent}# blank: {name}\n{body}{indent}# end blank"


def _emptied(body: str) -> str:
    """Return the body with `...` for the value of an assignment or a return, else for all of it."""
    lines = []
    for statement in ast.parse(body).body:
        match statement:
            case ast.Assign(targets=targets):
                lines.append(f"{', '.join(ast.unparse(target) for target in targets)} = ...")
            case ast.AugAssign(target=target):
                lines.append(f"{ast.unparse(target)} = ...")
            case ast.Return():
                lines.append("return ...")
            case _:
                lines.append("...")
    return "\n".join(lines)


def _text(cell: Mapping[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
