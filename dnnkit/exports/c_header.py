"""Networks as a single C99 header: weights as constants, memory from the caller, no allocation."""

import re
import textwrap
from math import prod
from pathlib import Path
from typing import Any

from dnnkit._version import __version__
from dnnkit.errors import ConfigurationError
from dnnkit.exports.c_body import Body
from dnnkit.exports.c_numbers import HELPERS, OF_NUMBERS, numbers
from dnnkit.exports.tracing import trace
from dnnkit.exports.values import Rows, Value
from dnnkit.exports.walking import describe
from dnnkit.files import as_path, replace_all
from dnnkit.network.checks import check_dtype
from dnnkit.network.protocol import Network

HEADER = """\
/* A network trained with dnnkit {version}, in C99:
{layers}
 *
 * int {name}_predict({signature});
 *
 * predicts one sample; all numbers are of type {real}.
{arrays}
 *   scratch  {scratch} numbers of working memory, which need no initialization
 * Arrays must not overlap. Returns 0{refusal}.
 * Nothing is allocated and no other memory is written, so threads may predict in parallel, each with its own arrays.
 * Weights: {bytes} bytes. Link the math library, -lm.
 */
#ifndef {guard}
#define {guard}

#include <math.h>

{defines}

{code}
#endif
"""


def write(net: Network, path: str | Path, dtype: Any) -> Path:
    """Write the network as a header; return its path."""
    path = as_path(path)
    if path.suffix != ".h":
        raise ConfigurationError(f"the C header {str(path)!r} must end in .h")
    replace_all({path: source(net, path.stem, dtype).encode()})
    return path


def source(net: Network, name: str, dtype: Any = "float32") -> str:
    """Return the header's text; all its identifiers start with `name`."""
    name, checked = identifier(name), check_dtype(dtype)
    traced = trace(net, "C")
    taken = {"scratch"}
    inputs = {_named(called, "x", len(traced.inputs), taken): value for called, value in traced.inputs.items()}
    outputs = {_named(called, "y", len(traced.outputs), taken): value for called, value in traced.outputs.items()}
    real = "float" if checked == "float32" else "double"
    body = Body(name, real, traced.labels)
    for called, value in inputs.items():
        body.give(value, called)
    for called, value in outputs.items():
        body.output(value, called)
    statements = body.statements(list(outputs.values()))
    parameters = [f"const {real} *{called}" for called in inputs] + [f"{real} *{called}" for called in outputs]
    signature = ", ".join([*parameters, f"{real} *scratch"])
    scratch = f"{name.upper()}_SCRATCH"
    sizes = {**inputs, **outputs}
    defines = {f"{name.upper()}_{_macro(called, sizes)}": _size(value) for called, value in sizes.items()}
    defines[scratch] = max(body.scratch, 1)
    helpers = [HELPERS[one].format(name=name, real=real, f=body.suffix) for one in HELPERS if one in body.helpers]
    constants = [f"static const {kind} {called}[{len(array)}] = {{\n{numbers(array, body.suffix)}\n}};\n"
                 for called, (kind, array) in body.constants.items()]  # fmt: skip
    unused = [f"(void){one};" for one in [*inputs, "scratch"] if one not in body.used]
    described = re.sub(r"\*/|/\*", "", describe(net))
    predict = [
        f"static inline int {name}_predict({signature})", "{", *(f"    {line}" for line in [*unused, *statements]),
        "    return 0;", "}", "",
    ]  # fmt: skip
    return HEADER.format(
        version=__version__,
        layers=textwrap.fill(f"{described}.", 110, initial_indent=" * ", subsequent_indent=" * "),
        name=name,
        signature=signature,
        real=real,
        arrays="\n".join(_said(called, value, sizes, name) for called, value in sizes.items()),
        scratch=scratch,
        refusal=", or 1 if a class number is invalid; the outputs are then undefined" if body.refuses else "",
        bytes=f"{body.bytes:,}",
        guard=f"{name.upper()}_H",
        defines="\n".join(f"#define {one} {size}" for one, size in defines.items()),
        code="\n".join([*helpers, *constants, *body.functions, "\n".join(predict)]),
    )


def _size(value: Value) -> int:
    return prod(size.times if isinstance(size, Rows) else size for size in value.shape)


def _macro(called: str, sizes: dict[str, Value]) -> str:
    """Return the macro for the size of an array."""
    return (
        {"x": "INPUTS", "y": "OUTPUTS"}.get(called, f"SIZE_OF_{called.upper()}")
        if len(sizes) == 2
        else (f"SIZE_OF_{called.upper()}")
    )


def _said(called: str, value: Value, sizes: dict[str, Value], name: str) -> str:
    shape = " x ".join(str(size) for size in value.shape[1:]) or "1"
    more = f", of shape {shape}, row-major" if value.ndim > 2 else ""
    return f" *   {called:7}  {name.upper()}_{_macro(called, sizes)} numbers{more}"


def _named(called: str, alone: str, count: int, taken: set[str]) -> str:
    """Return the name of an argument; a single input is x, a single output y."""
    base = alone if count == 1 else identifier(called)
    number, found = 0, base
    while found.lower() in taken:
        number += 1
        found = f"{base}_{number}"
    taken.add(found.lower())
    return found


KEYWORDS = """
alignas alignof and asm auto bool break case catch char class const continue default delete do double else
enum explicit export extern false float for friend goto if inline int long mutable namespace new not operator
or private protected public register restrict return short signed sizeof static struct switch template this
throw true try typedef typename union unsigned using virtual void volatile while xor main
"""
"""Reserved words of C and C++, and `main`."""

LOCAL = re.compile(r"[hijkrst]\d*|sum|least")
"""Names of local variables in the generated functions."""


def identifier(text: str) -> str:
    """Convert text to a C identifier: letters, digits and underscores."""
    found = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "net"
    if found[0].isdigit() or found.lower() in KEYWORDS.split() or LOCAL.fullmatch(found) or found in OF_NUMBERS:
        found = f"net_{found}"
    return found
