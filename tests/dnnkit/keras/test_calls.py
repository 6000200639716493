"""Every call of the list runs, except those excluded with a reason: these say what to use instead."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from dnnkit.errors import DnnkitError
from tests.dnnkit.keras.calls import CALLS, SET_UP, Call, calls
from tests.dnnkit.keras.document import FILE, excluded_table

ALL = calls()


@pytest.fixture(scope="module", params=list(CALLS))
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict]]:
    """What the lines of a part share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("keras"))
        names: dict[str, Any] = {}
        exec(SET_UP, names)
        yield request.param, names


def test_calls(program: tuple[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    part, names = program
    wrong = []
    for call in ALL:
        if call.part == part and (words := _wrong(call, names)):
            wrong.append(f"{call.code}: {words}")
    assert not wrong, "\n".join(wrong)


def _wrong(call: Call, names: dict[str, Any]) -> str:
    """Return the fault of a call; nothing if it does what the list says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about outputs and losses that do not fit together: only calls are tested here
        try:
            value = _run(call.code, names)
        except Exception as error:
            if not call.reason:
                return f"{type(error).__name__}: {error}"
            if not (isinstance(error, DnnkitError) and len(str(error)) > 30):
                return f"says not what to use instead: {error!r}"
            return ""
    if value is False:
        return "is False"
    return f"works, although {call.reason}: take the mark away" if call.reason else ""


def _run(code: str, names: dict[str, Any]) -> Any:
    """Return the value of an expression; None for statements."""
    try:
        expression = compile(code, "<call>", "eval")
    except SyntaxError:
        exec(code, names)
        return None
    return eval(expression, names)


def test_there_are_enough_calls_and_few_exclusions() -> None:
    rest = [call for call in ALL if not call.reason]
    assert len(ALL) >= 187
    assert len({call.code for call in ALL}) == len(ALL)
    assert len(rest) > 0.8 * len(ALL)


def test_the_exclusions_are_published() -> None:
    assert excluded_table(ALL) in FILE.read_text(), "python -m tests.dnnkit.keras.document writes them"
