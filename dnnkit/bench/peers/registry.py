"""Which peers exist, found by their files without importing them: no interpreter needs all libraries."""

import ast
import importlib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from .interpreters import FOLDER

FUNCTIONS = {"train": "network", "predict": "network", "neuron": "neuron", "gemm": "product", "copy": "copy"}
"""The function that a peer needs for a kind of work."""


class Peer(NamedTuple):
    """A way to use a library."""

    family: str
    """The library: `torch` of `torch-compile`."""
    variant: str
    again: bool = False
    """Measured a second time, as if it were another."""

    @property
    def name(self) -> str:
        """What people type."""
        return "-".join(filter(None, (self.family, self.variant)))

    @property
    def title(self) -> str:
        """What it is called in the results."""
        return f"{self.name}-again" if self.again else self.name

    def load(self) -> ModuleType:
        """The peer's module; imports the library."""
        return importlib.import_module(f".{self.family.replace('-', '_')}_peer", __package__)


def find_peers() -> dict[str, Peer]:
    """All peers by name."""
    peers = [
        Peer(file.stem.removesuffix("_peer").replace("_", "-"), variant)
        for file in sorted(FOLDER.glob("*_peer.py"))
        for variant in _variants(file)
    ]
    return {peer.name: peer for peer in peers}


def choose_peers(names: str | None) -> list[Peer]:
    """Those listed, separated by commas; None for all."""
    peers = find_peers()
    given = list(peers) if names is None else [name.strip() for name in names.split(",")]
    unknown = [name for name in given if name not in peers]
    if unknown:
        raise SystemExit(f"unknown peers {', '.join(unknown)}: choose from {', '.join(peers)}")
    return [peers[name] for name in given]


def _variants(file: Path) -> tuple[str, ...]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VARIANTS":
            return tuple(ast.literal_eval(node.value))
    raise ValueError(f"{file.name} has no line VARIANTS = (...)")
