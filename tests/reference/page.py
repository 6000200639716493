"""Generation of docs/reference.md and docs/reference/ from the registries and docstrings."""

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from textwrap import dedent, wrap
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
from tools.docs_site import anchor

FOLDER = Path(__file__).parents[2] / "docs"

HEAD = """# Reference

Everything that dnnkit has a name for, generated from the registries by `python -m tests.reference`; a test checks it.
Names may be spelled as a class or with underscores, and wherever a name is accepted, so is an object.
Letters: `B` rows of a batch, `I` and `O` features in and out, `C` classes.
"""

PAGES = {
    "layers": ("Layers", ["layer"]),
    "activations": ("Activations", ["activation"]),
    "losses": ("Losses", ["loss"]),
    "metrics": ("Metrics", ["metric"]),
    "optimizers": ("Optimizers and schedules", ["optimizer", "schedule"]),
    "parameters": ("Initializers, regularizers, constraints", ["initializer", "regularizer", "constraint"]),
    "training": ("Callbacks and warnings", ["callback", "warning"]),
    "estimators": ("Estimators", ["estimator", "encoder", "preset"]),
    "surroundings": (
        "Data, files and machines",
        ["data set", "stream format", "layout", "executor", "communicator", "backend"],
    ),
}
"""File in docs/reference -> its title and the kinds on it; networks and functions have a file each."""
NETWORKS = "The members of `dk.Sequential` and `dk.Model`; `net` is a network."
FUNCTIONS = "The functions of `import dnnkit as dk`."

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


@dataclass(frozen=True)
class Entry:
    """A name, and the text below its heading."""

    name: str
    text: str


@dataclass(frozen=True)
class Section:
    """The entries of a kind."""

    title: str
    given: str
    entries: list[Entry]


def pages() -> dict[str, str]:
    """Return the documents: file below docs/ -> text. reference.md is the index of the others."""
    made = {name: (title, [_section_of(REGISTRIES[kind]) for kind in kinds]) for name, (title, kinds) in PAGES.items()}
    networks = [_entry("dk.Sequential", dk.Sequential), _entry("dk.Model", dk.Model), *_members(dk.Sequential)]
    functions = [_entry(f"dk.{name}", function) for name, function in _functions()]
    made["networks"] = ("Networks", [Section("Networks", NETWORKS, networks)])
    made["functions"] = ("Functions", [Section("Functions", FUNCTIONS, functions)])
    files = {f"reference/{name}.md": _page(title, sections) for name, (title, sections) in made.items()}
    return {"reference.md": _index(made), **files}


def _page(title: str, sections: list[Section]) -> str:
    """Return a document: its sections, each entry with a heading that can be linked to."""
    names = [entry.name for section in sections for entry in section.entries]
    assert len({anchor(name) for name in names}) == len(names), "two headings have one anchor: move a kind"
    parts = [f"# {title}\n"]
    for section in sections:
        parts += [f"## {section.title}\n"] if section.title != title else []
        parts.append(f"{section.given}\n")
        parts += [f"### `{entry.name}`\n\n{entry.text}\n" for entry in section.entries]
    return "\n".join(parts)


def _index(made: dict[str, tuple[str, list[Section]]]) -> str:
    """Return reference.md: every name as a link."""
    parts = [HEAD]
    for name, (_, sections) in made.items():
        for section in sections:
            links = [f"[`{entry.name}`](reference/{name}.md#{anchor(entry.name)})" for entry in section.entries]
            given = section.given.replace("](../", "](")
            parts.append(f"## {section.title}\n\n{given}\n\n{', '.join(links)}\n")
    return "\n".join(parts)


def _section_of(registry: Registry[Any]) -> Section:
    entries = _kernels(registry) if registry.kind == "activation" else _things(registry)
    given = GIVEN[registry.kind].replace("](", "](../")
    return Section(registry.plural.capitalize().replace("_", " "), given, list(entries))


def _kernels(registry: Registry[Any]) -> Iterator[Entry]:
    """Yield an entry for each kernel without a class: its formulas, other names and source."""
    for name in registry.names():
        contract = _contract(registry.kind, name)
        also = [f"Other names: {_codes(others)}"] if (others := _others(registry, name)) else []
        source = [f"Source: {said}"] if (said := _section(contract, "Source")) else []
        yield Entry(name, "\n\n".join([contract.partition("\n")[0], _maths(contract), *also, *source]))


def _things(registry: Registry[Any]) -> Iterator[Entry]:
    """Yield an entry for each: signature, docstring, and the formula and shapes of its kernel."""
    described: set[type] = set()
    for name in registry.names():
        thing = registry.get(name)
        names = [*dict.fromkeys([name, *_others(registry, name)])]
        if isinstance(thing, type):
            names = [one for one in names if one != thing.__name__]
        title = thing.__name__ if isinstance(thing, type) else name
        contract = _contract(registry.kind, name)
        told = _told(thing) or contract.partition("\n")[0]
        if isinstance(thing, Check):
            told = f"{_told(thing.look)} Checked at: {thing.moment}."
        elif isinstance(thing, partial):
            told = contract.partition("\n")[0]
        elif isinstance(thing, Layout):
            told = f"Weights of {thing.thing}."
        elif is_dataclass(thing) and not isinstance(thing, type):
            if type(thing) in described:
                told = told.partition("\n\n")[0]
            told = f"`{thing!r}`: {told}"
            described.add(type(thing))
        parts = [_call(title, thing)] if isinstance(thing, type) else []
        parts += [f"Names: {_codes(names)}"] if names and names != [title] else []
        parts += [told.rstrip(), _maths(contract)]
        said = {what: _section(contract, what) for what in ("Shapes", "Units", "Source")}
        parts.append("\n".join(f"- {what}: {text}" for what, text in said.items() if text))
        yield Entry(title, "\n\n".join(part for part in parts if part))


def _maths(contract: str) -> str:
    """Return the formulas of a kernel, one per line."""
    maths = _section(contract, "Maths")
    return "```text\n" + "\n".join(re.split(r"; +", maths)) + "\n```" if maths else ""


def _call(name: str, thing: Any) -> str:
    """Return a signature in lines of at most 80 characters."""
    called = f"{name}{_signature(thing)}"
    lines = wrap(called, 80, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "```py\n" + "\n".join(lines) + "\n```"


def _others(registry: Registry[Any], name: str) -> list[str]:
    return [other for other, known in registry._others.items() if known == name]


def _members(thing: type) -> Iterator[Entry]:
    for member, value in sorted(inspect.getmembers(thing)):
        is_public = not member.startswith("_") and "Internal." not in (inspect.getdoc(value) or "")
        if is_public and (inspect.isfunction(value) or isinstance(value, property | Shown)):
            yield _entry(f"net.{member}", value)


def _functions() -> Iterable[tuple[str, Any]]:
    return [(name, getattr(dk, name)) for name in sorted(dk.__all__) if inspect.isfunction(getattr(dk, name))]


def _entry(name: str, thing: Any) -> Entry:
    called = [] if isinstance(thing, property | Shown) else [_call(name, thing)]
    return Entry(name, "\n\n".join([*called, _told(thing.fget if isinstance(thing, property) else thing).rstrip()]))


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
    text = re.sub(r"(\*\*(?:Returns|Source)\*\*\n\n) +", r"\1", text)
    entry = r"^    (\w[\w*]*(?:,\s+\w[\w*]*)*): "  # a list of names may continue on further lines
    text = re.sub(entry, lambda found: f"- `{' '.join(found[1].split())}`: ", text, flags=re.MULTILINE)
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
