"""Usage errors in one line: what was given, what was expected, what to do."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from dnnkit.registry import did_you_mean

UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What Typer raises for a command line that it cannot parse; the parser and its exception class are not public."""

EXPECTED = {"int": "a whole number", "integer": "a whole number", "float": "a number"}
"""What an option expects, by the name of its type in Python or in the parser."""

EXIT_STATUS = (
    "Exit status: 0 success, 1 `dnnkit doctor` found something that cannot work (other commands: an internal error), "
    "2 an error that you can fix, reported in one line, 130 Ctrl-C, 141 the reader of the output is gone, 143 SIGTERM."
)


def explain(error: Any) -> str:
    """Return one line for a usage error.

    Arguments:
        error: a `UsageError`.
    """
    context, message = getattr(error, "ctx", None), str(error.format_message()).strip().rstrip(".")
    parameter, option = getattr(error, "param", None), getattr(error, "option_name", None)
    if context is None:  # for example if a value is missing
        what = "no value: expected one after it" if "requires" in message else f"a value: expected {option} alone"
        return message if option is None else f"{option} was given {what}"
    command, see = context.command_path, f"`{context.command_path} --help`"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        hint = did_you_mean(option, options_of(context))
        return f"`{command}` has no option {option}: {hint}{see} lists all options"
    if kind == "MissingParameter" and parameter is not None:
        needed = " ".join(map(shown, arguments_of(context)))
        return f"`{command}` needs {shown(parameter)}: expected `{command} {needed}`; see {see}"
    if parameter is not None:
        said = [name for name in parameter.opts if name in options_of(context)] or [shown(parameter)]
        given = [repr(value) for place, value, _ in _given(context) if options_of(context)[place] is parameter]
        wanted = expected(parameter)
        cure = str(error.message).rstrip(".") if wanted is None else f"expected {wanted}"
        return f"{said[0]} is {', '.join(given) or 'wrong'}: {cure}; see {see}"
    if message.startswith("No such command"):
        commands = getattr(context.command, "commands", {})
        wrong = next((word for word in typed(context) if not word.startswith("-")), "")
        hint = did_you_mean(wrong, commands)
        return f"there is no command `{command} {wrong}`: {hint}choose one of {', '.join(commands)}"
    if "extra argument" in message:
        if (with_commas := commas_instead(context)) is not None:
            return with_commas
        needed = " ".join(map(shown, arguments_of(context))) or "no argument"
        extra = message.rpartition("(")[2].rstrip(")")
        return f"`{command}` was also given {extra!r}: expected {needed} and options; see {see}"
    return f"{message[:1].lower()}{message[1:]}: see {see}"


def commas_instead(context: Any) -> str | None:
    """Return the fix if a list option was given several words: `--hidden 64 32` should be `--hidden 64,32`.

    Arguments:
        context: Typer's context of the command.

    Returns:
        One line; None if no list option is followed by words that could be more of its values.
    """
    options, places = options_of(context), len(arguments_of(context))
    stray = sum(len(rest) for _, _, rest in _given(context, with_first=True))
    for name, value, rest in _given(context):
        if not getattr(options[name], "multiple", False) or not rest:
            continue
        if value.replace(",", "").isdecimal():
            more = [other for other in rest if other.replace(",", "").isdecimal()]
        else:
            more = rest[: max(0, stray - places)]
        if more:
            values = [value, *more]
            return f"{name} {' '.join(values)}: expected a list with commas: {name} {','.join(values)}"
    return None


def _given(context: Any, *, with_first: bool = False) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each option with a value: its name, the value, and the words between it and the next option.

    With `with_first` also the words before the first option and after flags, under an empty name.
    """
    options, words = options_of(context), typed(context)
    place, name, value = 0, "", ""
    while True:
        rest: list[str] = []
        while place < len(words) and (not words[place].startswith("-") or words[place] in ("-", "--")):
            rest.append(words[place])
            place += 1
        if name or with_first:
            yield name, value, rest
        if place == len(words):
            return
        name, equals, value = words[place].partition("=")
        place += 1
        if name not in options or is_flag(options[name]):
            name = ""
        elif not equals and place < len(words):
            value = words[place]
            place += 1


def typed(context: Any) -> list[str]:
    """Return the words that were typed after the name of the command."""
    depth, parent = 0, context.parent
    while parent is not None:
        depth, parent = depth + 1, parent.parent
    return sys.argv[1 + depth :]


def options_of(context: Any) -> dict[str, Any]:
    """Return the options of a command, keyed by each of their names."""
    return {
        name: parameter
        for parameter in context.command.get_params(context)
        if parameter.param_type_name == "option"
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def arguments_of(context: Any) -> Sequence[Any]:
    """Return the positional arguments of a command, in order."""
    return [parameter for parameter in context.command.get_params(context) if parameter.param_type_name == "argument"]


def is_flag(parameter: Any) -> bool:
    """Return whether an option takes no value."""
    return bool(getattr(parameter, "is_flag", False))


def shown(parameter: Any) -> str:
    """Return the name of an argument as the help shows it."""
    return str(parameter.metavar or parameter.name).upper()


def expected(parameter: Any) -> str | None:
    """Describe what an option or argument expects; None if only the error knows."""
    descriptor = getattr(parameter, "type_descriptor", None)  # in versions of Typer that have their own parser
    kind = getattr(descriptor.annotation, "__name__", "") if descriptor else getattr(parameter.type, "name", "")
    return EXPECTED.get(kind)
