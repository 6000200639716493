"""Discovery of peers by their files, without importing them: no interpreter needs all libraries."""

import ast
import importlib
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .interpreters import FOLDER

FUNCTIONS = {"train": "network", "predict": "network", "neuron": "neuron", "gemm": "product", "copy": "copy"}
"""The function that a peer needs for each kind of workload."""


class Peer(NamedTuple):
    """A way of using a library."""

    family: str
    """The library: `torch` for `torch-compile`."""
    variant: str
    again: bool = False
    """Whether this is the second measurement of a twin."""

    @property
    def name(self) -> str:
        """The name that users type."""
        return "-".join(filter(None, (self.family, self.variant)))

    @property
    def is_general(self) -> bool:
        """Whether it trains any dense network: every activation, optimizer, loss and dtype that workloads have."""
        return self.variant in _literal(_file(self.family), "GENERAL", ())

    @property
    def needs_gpu(self) -> bool:
        """Whether it computes on a GPU; such peers are measured only if named."""
        return self.variant in _literal(_file(self.family), "GPU", ())

    @property
    def distribution(self) -> str:
        """The distribution that installs the library."""
        return _literal(_file(self.family), "PACKAGES")[0]

    @property
    def title(self) -> str:
        """Its name in the results."""
        return f"{self.name}-again" if self.again else self.name

    def load(self) -> ModuleType:
        """Import and return the peer's module, which imports the library."""
        return importlib.import_module(f".{_file(self.family).stem}", __package__)


def find_peers() -> dict[str, Peer]:
    """Return all peers by name."""
    peers = [
        Peer(file.stem.removesuffix("_peer").replace("_", "-"), variant)
        for file in sorted(FOLDER.glob("*_peer.py"))
        for variant in _literal(file, "VARIANTS")
    ]
    return {peer.name: peer for peer in peers}


def choose_peers(names: str | None, general: bool = False) -> list[Peer]:
    """Return the comma-separated peers, or all that run on a CPU; with `general`, only of the general ones."""
    peers = {name: peer for name, peer in find_peers().items() if peer.is_general or not general}
    usual = [name for name, peer in peers.items() if not peer.needs_gpu]
    given = usual if names is None else [name.strip() for name in names.split(",")]
    unknown = [name for name in given if name not in peers]
    if unknown:
        near = get_close_matches(unknown[0], peers, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SystemExit(f"unknown peers {', '.join(unknown)}: {hint}choose from {', '.join(peers)}")
    return [peers[name] for name in given]


def not_installed(peer: Peer, about: dict[str, Any]) -> str:
    """Return why a peer with a missing library is skipped, and how to install it."""
    return f"{about['missing']} is not installed; to install it: pip install {peer.distribution}"


def _file(family: str) -> Path:
    return FOLDER / f"{family.replace('-', '_')}_peer.py"


def _literal(file: Path, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the strings that a peer's file assigns to a name; the file is parsed, not imported."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and isinstance(node.value, ast.Tuple):
            return tuple(str(each.value) for each in node.value.elts if isinstance(each, ast.Constant))
    if default is None:
        raise ValueError(f"{file.name} has no line {name} = (...)")
    return default
