"""The grammar of formulas. It can express only mathematics: the text is never executed as Python.

    choice     = either ["if" either "else" choice]
    either     = both {"or" both};   both = denied {"and" denied};   denied = ["not"] comparison
    comparison = sum {("<" | "<=" | ">" | ">=" | "==" | "!=") sum}
    sum        = product {("+" | "-") product};   product = sign {("*" | "/") sign}
    sign       = {"+" | "-"} power;   power = atom [("**" | "^") sign]
    atom       = number | name | name "(" choice {"," choice} ")" | "(" choice ["," choice] ")"

A pair `(value, condition)` is allowed only in `piecewise`.
"""

import re
from collections.abc import Callable, Iterable
from typing import Literal, NoReturn

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.registry import did_you_mean

FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "sqrt", "abs", "sign", "erf", "erfc", "step"), (1, 1)),
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"), (1, 1)),
    **dict.fromkeys(("asinh", "sigmoid", "softplus", "relu", "gelu", "silu"), (1, 1)),
    "max": (2, 8),
    "min": (2, 8),
    "clip": (3, 3),
    "where": (3, 3),
    "piecewise": (1, 16),
}
"""Functions of formulas, with their minimum and maximum numbers of arguments."""

Kind = Literal["activation", "loss"]
VARIABLES: dict[Kind, tuple[str, ...]] = {"activation": ("x",), "loss": ("y", "t")}
"""Variables: an activation's input, or a loss's prediction and target; the first is differentiated."""

CONSTANTS = ("pi", "e", "True")
LONGEST, DEEPEST = 500, 40
"""Maximum number of characters and depth: far more than an activation needs, few enough to differentiate."""

TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/^()<>,]))"
)
WORDS = ("if", "else", "and", "or", "not")


@dataclass(frozen=True)
class Node:
    """`kind` is the name of a function or operator with `arguments`, or "number" or "name" with `text`."""

    kind: str
    arguments: tuple["Node", ...] = ()
    text: str = ""


def parse(text: str, names: Iterable[str], kind: Kind = "activation") -> Node:
    """Parse a formula with these names; raise `ConfigurationError` that locates the error."""
    variables = VARIABLES[kind]
    if not isinstance(text, str) or not text.strip():
        example = {"activation": "x * tanh(x)", "loss": "(y - t)**2"}[kind]
        raise ConfigurationError(f"a formula is text in {' and '.join(variables)}, such as {example!r}; got {text!r}")
    return _Parser(text, {*variables, *CONSTANTS, *names}).whole()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: int


class _Parser:
    def __init__(self, text: str, names: set[str]) -> None:
        self._text, self._names, self._depth = text, names, 0
        if len(text) > LONGEST:
            raise ConfigurationError(f"the formula has {len(text)} characters; at most {LONGEST} are allowed")
        self._tokens = self._cut()
        self._next = 0

    def whole(self) -> Node:
        tree = self._choice()
        if self._here.kind != "end":
            self._refuse(f"unexpected {self._here.text!r}")
        return tree

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _cut(self) -> list[_Token]:
        tokens, place, end = [], 0, len(self._text.rstrip())
        while place < end:
            found = TOKEN.match(self._text, place, end)
            if found is None:
                place += len(self._text[place:]) - len(self._text[place:].lstrip())
                self._refuse(f"{self._text[place]!r} is not allowed in a formula", place)
            kind = str(found.lastgroup)
            token = found[kind]
            tokens.append(_Token("sign" if token in WORDS else kind, token, found.start(kind)))
            place = found.end()
        return [*tokens, _Token("end", "the end", end)]

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _takes(self, *signs: str) -> str:
        """Consume and return the current sign if it is one of these; otherwise return ""."""
        if self._here.kind != "sign" or self._here.text not in signs:
            return ""
        self._next += 1
        return self._tokens[self._next - 1].text

    def _needs(self, sign: str) -> None:
        if not self._takes(sign):
            self._refuse(f"expected {sign!r}, not {self._here.text!r}")

    def _refuse(self, why: str, place: int | None = None) -> NoReturn:
        place = self._here.place if place is None else place
        raise ConfigurationError(f"formula {self._text!r}, character {place + 1}: {why}")

    # -- grammar -----------------------------------------------------------------------------------------------------

    def _choice(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"more than {DEEPEST} levels deep: write it in a simpler way")
        value = self._chain(self._both, "or")
        if self._takes("if"):
            condition = self._chain(self._both, "or")
            self._needs("else")
            value = Node("where", (condition, value, self._choice()))
        self._depth -= 1
        return value

    def _both(self) -> Node:
        return self._chain(self._denied, "and")

    def _denied(self) -> Node:
        if self._takes("not"):
            return Node("not", (self._comparison(),))
        return self._comparison()

    def _comparison(self) -> Node:
        first, found = self._sum(), []
        while sign := self._takes("<", "<=", ">", ">=", "==", "!="):
            second = self._sum()
            found.append(Node(sign, (first, second)))
            first = second
        if not found:
            return first
        together = found[0]
        for each in found[1:]:
            together = Node("and", (together, each))
        return together

    def _sum(self) -> Node:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Node:
        return self._chain(self._sign, "*", "/")

    def _chain(self, part: Callable[[], Node], *signs: str) -> Node:
        value = part()
        while sign := self._takes(*signs):
            value = Node(sign, (value, part()))
        return value

    def _sign(self) -> Node:
        negative = False
        while sign := self._takes("+", "-"):
            negative ^= sign == "-"
        value = self._power()
        return Node("negative", (value,)) if negative else value

    def _power(self) -> Node:
        base = self._atom()
        if not self._takes("**", "^"):
            return base
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"more than {DEEPEST} levels deep: write it in a simpler way")
        power = Node("**", (base, self._sign()))
        self._depth -= 1
        return power

    def _atom(self) -> Node:
        token = self._here
        if token.kind == "number":
            self._next += 1
            if float(token.text) == float("inf"):
                self._refuse(f"{token.text} is too large a number", token.place)
            return Node("number", text=token.text)
        if token.kind == "name":
            self._next += 1
            return self._named(token)
        if self._takes("("):
            value = self._choice()
            if self._takes(","):
                value = Node("pair", (value, self._choice()))
            self._needs(")")
            return value
        self._refuse(f"expected a number, a name or '(', not {token.text!r}")

    def _named(self, token: _Token) -> Node:
        if not self._takes("("):
            if token.text not in self._names:
                known = ", ".join(sorted(self._names))
                self._refuse(f"unknown name {token.text!r}: expected {known}, or a function and '('", token.place)
            return Node("name", text=token.text)
        name = token.text.lower() if token.text == "Piecewise" else token.text
        if name not in FUNCTIONS:
            hint = did_you_mean(name, FUNCTIONS)
            self._refuse(f"unknown function {token.text!r}: {hint}choose from {', '.join(FUNCTIONS)}", token.place)
        arguments = [self._choice()]
        while self._takes(","):
            arguments.append(self._choice())
        self._needs(")")
        least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            self._refuse(f"{name} takes {wanted} arguments, not {len(arguments)}", token.place)
        return Node(name, tuple(arguments))
