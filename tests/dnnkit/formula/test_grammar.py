"""A formula is mathematics and nothing else: any text is a tree or one error, and Python never sees it."""

import builtins
import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy.parsing import sympy_parser

from dnnkit.errors import ConfigurationError
from dnnkit.formula import Formula, derivation, grammar
from dnnkit.formula.differentiate import functions_of
from dnnkit.formula.grammar import FUNCTIONS, LONGEST, Node, parse

X, ONE, TWO = Node("name", text="x"), Node("number", text="1"), Node("number", text="2")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x", X),
        (" ( x ) ", X),
        ("-x**2", Node("negative", (Node("**", (X, TWO)),))),
        ("x^2^1", Node("**", (X, Node("**", (TWO, ONE))))),
        ("2**-x", Node("**", (TWO, Node("negative", (X,))))),
        ("1-2-x", Node("-", (Node("-", (ONE, TWO)), X))),
        ("1+2*x", Node("+", (ONE, Node("*", (TWO, X))))),
        ("- + - x", X),
        ("1 if x > 2 else x", Node("where", (Node(">", (X, TWO)), ONE, X))),
        ("where(not x < 1, 1, 2)", Node("where", (Node("not", (Node("<", (X, ONE)),)), ONE, TWO))),
        ("1 < x < 2", Node("and", (Node("<", (ONE, X)), Node("<", (X, TWO))))),
        ("Piecewise((x, x > 1), (1, True))",
         Node("piecewise", (Node("pair", (X, Node(">", (X, ONE)))), Node("pair", (ONE, Node("name", text="True")))))),
    ],
)  # fmt: skip
def test_trees(text, tree):
    assert parse(text, ()) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os')", 'character 12: "\'" is not allowed in a formula'),
        ("__import__(x)", "unknown function '__import__'"),
        ("x.real", "character 2: '.' is not allowed in a formula"),
        ("x.__class__", "is not allowed in a formula"),
        ("exp.x", "character 4: '.'"),
        ("x[0]", "character 2: '['"),
        ("lambda x: x", "is not allowed in a formula"),
        ("(lambda)(x)", "unknown name 'lambda'"),
        ("eval(x)", "unknown function 'eval'"),
        ("x := 2", "is not allowed in a formula"),
        ("x = 2", "is not allowed in a formula"),
        ("x; x", "is not allowed in a formula"),
        ("x\n+ é", "character 5: 'é'"),
        ("x\0", "is not allowed in a formula"),
        ("f'{x}'", "is not allowed in a formula"),
        ("x @ x", "is not allowed in a formula"),
        ("x // 2", "character 4: expected a number"),
        ("x % 2", "is not allowed in a formula"),
        ("[x for x in x]", "is not allowed in a formula"),
        ("x if x > 0", "expected 'else'"),
        ("y * x", "unknown name 'y': expected True, e, pi, x"),
        ("(x", "expected ')', not 'the end'"),
        ("x)", "unexpected ')'"),
        ("x x", "unexpected 'x'"),
        ("2x", "unexpected 'x'"),
        ("tanh(x, x)", "tanh takes 1 arguments, not 2"),
        ("where(x > 0, x)", "where takes 3 arguments, not 2"),
        ("exp()", "expected a number, a name"),
        ("1e999 * x", "too large a number"),
        ("", "is text in x"),
        ("   ", "is text in x"),
        (None, "is text in x"),
        ("x+" * LONGEST + "x", "characters; at most 500"),
        ("(" * 60 + "x" + ")" * 60, "levels deep"),
        ("x" + "**x" * 60, "levels deep"),
        ("exp(" * 60 + "x" + ")" * 60, "levels deep"),
    ],
)
def test_everything_else_is_one_error_that_says_where(text, message):
    with pytest.raises(ConfigurationError) as caught:
        parse(text, ())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(text=st.text(max_size=60))
def test_any_text_is_a_tree_or_an_error(text):
    try:
        tree = parse(text, ())
    except ConfigurationError:
        return
    assert names_of(tree) <= {"x", *grammar.CONSTANTS}


WORDS = [
    *FUNCTIONS, *grammar.WORDS, *grammar.CONSTANTS, "x", "x", "x", "1", "0", "2.5", "1e3", "1e308", "(", "(", ")", ")",
    "+", "-", "*", "/", "**", "^", "<", ">=", "==", "!=", "__import__", "os", "'os'", ".", ".system", "[", "]", "{",
    ",", "}", "lambda", "import", "eval", "exec", "open", "__class__", "globals", "\\", "\n", "#", "=", ":=", ";", "@",
]  # fmt: skip
texts = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


@given(text=texts)
def test_any_text_is_an_activation_or_an_error_and_never_python(text):
    def forbidden(*arguments, **options):
        raise AssertionError(f"asked to evaluate {arguments!r}")

    def compile_checked(source, *arguments):
        """Only generated statements are compiled: no name but theirs."""
        assert "os" not in source.replace("cos", "")
        assert "__" not in source
        return compile(source, *arguments)

    with pytest.MonkeyPatch().context() as changed:
        changed.setattr(builtins, "eval", forbidden)
        changed.setattr(os, "system", forbidden)
        changed.setattr(sympy_parser, "eval_expr", forbidden)  # how SymPy parses text
        changed.setattr(derivation, "compile", compile_checked, raising=False)
        changed.setattr(derivation, "derived", functions_of)  # in this process, where that is detected
        with suppress(ConfigurationError):
            Formula("fuzzed", text)


def names_of(node: Node) -> set[str]:
    own = {node.text} if node.kind == "name" else set()
    return own.union(*(names_of(part) for part in node.arguments))
