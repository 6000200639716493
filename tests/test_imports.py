"""No circular imports: at the top of a module, in its functions or for its types."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"dnnkit": ROOT / "dnnkit", "dnnkit.backends": ROOT / "backends", "dnnkit.kernels": ROOT / "kernels"}

Graph: TypeAlias = Mapping[str, Mapping[str, int]]
"""Return, per module by its file below the root, the files it imports and the lines that do."""


def modules() -> dict[str, Path]:
    """Return every module of the three packages by its full name; a package stands for its `__init__.py`."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            if path.resolve() == path:  # not through a symlink
                parts = path.relative_to(folder).with_suffix("").parts
                found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[tuple[str, int]]:
    """Yield the modules that a file imports, anywhere in it, and where; without the parent packages that Python
    imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield (submodule if submodule in known else node.module), node.lineno


@cache
def import_graph() -> Graph:
    known = modules()
    names = {module: str(path.relative_to(ROOT)) for module, path in known.items()}
    return {names[module]: {names[to]: at for to, at in imports(path, known)} for module, path in known.items()}


def shortest_cycle(graph: Graph, start: str) -> list[str]:
    """Return the files of the shortest cycle through this one, which is first and last; [] if there is none."""
    paths = [[start]]
    seen = set()
    for path in paths:
        for target in graph[path[-1]]:
            if target == start:
                return [*path, start]
            if target not in seen:
                seen.add(target)
                paths.append([*path, target])
    return []


def reachable(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    left = [start]
    while left:
        new = graph[left.pop()].keys() - found
        found |= new
        left += new
    return found


def components(graph: Graph) -> list[set[str]]:
    """Return sets of files that import one another, directly or indirectly."""
    reached = {file: reachable(graph, file) for file in graph}
    found: list[set[str]] = []
    for file in sorted(graph):
        if file in reached[file] and not any(file in component for component in found):
            found.append({other for other in reached[file] if file in reached[other]})
    return found


def described(graph: Graph, cycle: list[str]) -> str:
    return "\n".join(f"{file}:{graph[file][target]} imports {target}" for file, target in pairwise(cycle))


def test_the_graph_holds_every_module_once() -> None:
    graph = import_graph()
    assert {"dnnkit/__init__.py", "backends/base.py", "kernels/registry.py"} <= graph.keys()
    assert not [file for file in graph if file.startswith(("dnnkit/backends/", "dnnkit/kernels/"))]
    assert "backends/registry.py" in graph["dnnkit/network/building.py"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import dnnkit.errors", "dnnkit.errors"),
        ("from dnnkit.kernels import registry", "dnnkit.kernels.registry"),
        ("from dnnkit.kernels.registry import Activation", "dnnkit.kernels.registry"),
        ("from dnnkit import __version__", "dnnkit"),
        ("def f():\n    from dnnkit import errors", "dnnkit.errors"),
        ("if TYPE_CHECKING:\n    from dnnkit.network.sequential import Sequential", "dnnkit.network.sequential"),
    ],
)
def test_every_way_to_import_is_seen(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(text)
    assert list(imports(file, modules())) == [(expected, text.count("\n") + 1)]


def test_a_cycle_is_found_and_described() -> None:
    graph = {"a.py": {"b.py": 3}, "b.py": {"c.py": 5, "d.py": 6}, "c.py": {"a.py": 7}, "d.py": {}}
    assert components(graph) == [{"a.py", "b.py", "c.py"}]
    assert described(graph, shortest_cycle(graph, "b.py")) == (
        "b.py:5 imports c.py\nc.py:7 imports a.py\na.py:3 imports b.py"
    )


@pytest.mark.parametrize("package", ["dnnkit", "backends", "kernels"])
def test_no_cycle_goes_through_two_folders(package: str) -> None:
    graph = import_graph()
    for component in components(graph):
        folders = {str(Path(file).parent) for file in component}
        if len(folders) > 1 and any(file.startswith(f"{package}/") for file in component):
            cycles = sorted((shortest_cycle(graph, file) for file in component), key=len)
            wide = [cycle for cycle in cycles if len({str(Path(file).parent) for file in cycle}) > 1]
            pytest.fail("a circular import between folders:\n" + described(graph, (wide or cycles)[0]))


def test_no_cycle_at_all_within_dnnkit() -> None:
    graph = import_graph()
    for component in components(graph):
        inside = sorted(file for file in component if file.startswith("dnnkit/"))
        if inside:
            cycle = min((shortest_cycle(graph, file) for file in inside), key=len)
            pytest.fail("a circular import:\n" + described(graph, cycle))
