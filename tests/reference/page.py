"""Generation of docs/reference.md from the registries and docstrings."""

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import dnnkit as dk

import dnnkit.kinds  # isort: skip
import dnnkit.diagnosis.findings  # registers what only `diagnose=True` asks
from dnnkit.diagnosis.checks import Check
from dnnkit.kernels import optimizer_step
from dnnkit.kernels.registry import FOLDERS
from dnnkit.network.whole import Shown
from dnnkit.registry import REGISTRIES, Registry
from dnnkit.saves.layouts import Layout

FILE = Path(__file__).parents[2] / "docs" / "reference.md"

HEAD = """# Reference

Everything that dnnkit has a name for, generated from the registries by `python -m tests.reference`; a test checks it.
Names may be spelled as a class or with underscores, and wherever a name is accepted, so is an object.
Letters: `B` rows of a batch, `I` and `O` features in and out, `C` classes.
"""

GIVEN = {
    "layer": 'A network is a list of layers: `dk.Sequential([dk.Dense(64, activation="relu"), ...])`.',
    "activation": "`dk.Dense(64, activation=NAME)`, `dk.Activation(NAME)`; on arrays `dk.ops.NAME(x)` and "
    "`dk.ops.NAME_grad(x)`. Define others by [formula](formulas.md).",
    "loss": "`net.compile(optimizer, loss=NAME)`; on arrays `dk.ops`.",
    "metric": "`net.compile(optimizer, loss, metrics=[NAME, ...])`, or a custom function `(y_true, y_pred)`.",
    "optimizer": "`net.compile(optimizer=NAME, ...)`. Each takes a number or a schedule as `learning_rate`, and "
    "`global_clipnorm`, an upper bound for the norm of the whole gradient.",
    "schedule": "In place of a learning rate: `dk.Adam(dk.schedules.CosineDecay(1e-3, 10_000))`.",
    "initializer": "`dk.Dense(64, kernel_initializer=NAME, bias_initializer=NAME)`.",
    "regularizer": "`dk.Dense(64, kernel_regularizer=NAME)`: a penalty on parameters, added to the loss.",
    "constraint": "`dk.Dense(64, kernel_constraint=NAME)`: applied after each update.",
    "callback": "`net.fit(..., callbacks=[...])`.",
    "estimator": "On a table: `estimator.fit(x, y)`, then `predict` and `score`, as in scikit-learn.",
    "encoder": "`dk.DNNClassifier(encoder=NAME)`, `dk.DNNRegressor(encoder=NAME)`, or used separately.",
    "preset": '`dk.DNNClassifier(preset=NAME)`, `dk.DNNRegressor(preset=NAME)`: the meaning of "auto".',
    "data set": "`dk.datasets.NAME.load_data()`, `dnnkit train NAME`.",
    "warning": "Warnings that `compile`, `fit` and `fit(diagnose=True)` issue for networks and data that look "
    "wrong ([diagnosis](diagnosis.md)); each `TrainingWarning` begins with its name, by which a filter can silence it.",
    "executor": "`dk.fit_many(..., executor=NAME)`: where networks are trained ([many networks](many-networks.md)).",
    "communicator": "`net.fit(..., distributed=NAME)`, `dnnkit train --distributed NAME` ([MPI](mpi.md)).",
    "stream format": "`net.fit(PATH, ...)`, `dk.streams.open(PATH)`: chosen by file extension ([streams](streams.md)).",
    "layout": "`net.save_weights(path, layout=NAME)`, `net.load_weights(path, layout=NAME)` ([export](export.md)).",
    "backend": "`DNNKIT_BACKEND=NAME`, `dk.set_backend(NAME)`, `dk.Sequential(..., backend=NAME)`, `net.to(NAME)`.",
}
"""How each kind is used."""


def page() -> str:
    """Return the document."""
    parts = [HEAD]
    for kind, given in GIVEN.items():
        registry = REGISTRIES[kind]
        parts.append(f"## {registry.plural.capitalize().replace('_', ' ')}\n\n{given}\n")
        parts += _kernels(registry) if kind == "activation" else _things(registry)
    parts.append("## Networks\n")
    parts.append(_entry("dk.Model", dk.Model))
    parts += _members(dk.Sequential, "Sequential")
    parts.append("## Functions\n")
    parts += [_entry(f"dk.{name}", function) for name, function in _functions()]
    return "\n".join(parts)


def _kernels(registry: Registry[Any]) -> Iterator[str]:
    """Yield a table of kernels and their formulas."""
    yield "| name | formula | other names |\n| --- | --- | --- |"
    for name in registry.names():
        maths = _section(_contract(registry.kind, name), "Maths").replace("|", "\\|")
        yield f"| `{name}` | {maths} | {_codes(_others(registry, name))} |"
    yield ""


def _things(registry: Registry[Any]) -> Iterator[str]:
    """Yield an entry for each: signature, docstring, and the formula and shapes of its kernel."""
    for name in registry.names():
        thing = registry.get(name)
        names = [*dict.fromkeys([name, *_others(registry, name)])]
        if isinstance(thing, type):
            names = [one for one in names if one != thing.__name__]
        title = f"{thing.__name__}{_signature(thing)}" if isinstance(thing, type) else name
        also = f"\n\nNames: {_codes(names)}" if names and names != [title] else ""
        contract = _contract(registry.kind, name)
        told = _told(thing) or contract.partition("\n")[0]
        if isinstance(thing, Check):
            told = f"{_told(thing.look)} Checked at: {thing.moment}."
        elif isinstance(thing, partial):
            told = contract.partition("\n")[0]
        elif isinstance(thing, Layout):
            told = f"Weights of {thing.thing}."
        elif is_dataclass(thing) and not isinstance(thing, type):
            told = f"`{thing!r}`: {told}"
        text = f"### `{title}`{also}\n\n{told}".rstrip()
        if contract:
            lines = [f"{what}: {_section(contract, what)}" for what in ("Maths", "Shapes", "Units", "Source")]
            text += "\n\n" + "\n".join(f"- {line}" for line in lines if not line.endswith(": "))
        yield text + "\n"


def _others(registry: Registry[Any], name: str) -> list[str]:
    return [other for other, known in registry._others.items() if known == name]


def _members(thing: type, name: str) -> Iterator[str]:
    yield _entry(f"dk.{name}", thing)
    for member, value in sorted(inspect.getmembers(thing)):
        is_public = not member.startswith("_") and "Internal." not in (inspect.getdoc(value) or "")
        if is_public and (inspect.isfunction(value) or isinstance(value, property | Shown)):
            yield _entry(f"net.{member}", value)


def _functions() -> Iterable[tuple[str, Any]]:
    return [(name, getattr(dk, name)) for name in sorted(dk.__all__) if inspect.isfunction(getattr(dk, name))]


def _entry(name: str, thing: Any) -> str:
    signature = "" if isinstance(thing, property | Shown) else _signature(thing)
    told = _told(thing.fget if isinstance(thing, property) else thing)
    return f"### `{name}{signature}`\n\n{told}\n"


def _signature(thing: Any) -> str:
    """Return names and defaults, without types."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return "()"
    given = [one.replace(annotation=one.empty) for one in signature.parameters.values() if one.name != "self"]
    given = [one.replace(default=...) if inspect.isfunction(one.default) else one for one in given]
    return str(signature.replace(parameters=given, return_annotation=signature.empty)).replace("Ellipsis", "...")


def _told(thing: Any) -> str:
    """Return the docstring as Markdown, with sections such as Arguments as lists."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"^(Arguments|Attributes|Returns|Raises|Source):$", r"**\1**\n", text, flags=re.MULTILINE)
    text = re.sub(r"(\*\*Returns\*\*\n\n) +", r"\1", text)
    text = re.sub(r"^    (\w[\w, *]*): ", r"- `\1`: ", text, flags=re.MULTILINE)
    return re.sub(r"^        (?=\S)", "  ", text, flags=re.MULTILINE)


def _contract(kind: str, name: str) -> str:
    """Return the docstring of the kernel of that name; empty if there is none."""
    if kind == "optimizer":
        return _rule(name)
    folder = FOLDERS.get(kind)
    if folder is None:
        return ""
    try:
        return import_module(f"dnnkit.kernels.{folder}.{name}").__doc__ or ""
    except ModuleNotFoundError:
        return ""


def _rule(name: str) -> str:
    """Return a rule's formula from the docstring of the kernel that all rules share."""
    maths = re.search(r"^Maths: *(.*?)^\w+:", optimizer_step.__doc__ or "", re.MULTILINE | re.DOTALL)
    assert maths is not None
    rules = re.findall(r"^ *(\w+)  +(.*?)(?=^ {10}\w+  |\Z)", maths[1], re.MULTILINE | re.DOTALL)
    return "".join(f"Maths: {' '.join(said.split())}\n" for rule, said in rules if rule == name)


def _section(contract: str, name: str) -> str:
    """Return a section of a kernel's docstring, in one line."""
    found = re.search(rf"^{name}: +(.*?)(?=^\w+: |\Z)", contract, re.MULTILINE | re.DOTALL)
    if found is None or found[1].strip() in ("-", "none."):
        return ""
    return " ".join(dedent(found[1]).split())


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
