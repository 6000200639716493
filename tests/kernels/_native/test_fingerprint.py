"""The folder name of compiled kernels: everything that decides what they compile to, and nothing else."""

import ast
import os
import shutil
from pathlib import Path

import pytest

from dnnkit.kernels._native import fingerprint as module
from dnnkit.kernels._native import machine_code
from dnnkit.kernels._native.fingerprint import NOT_COMPILED, ROOT, meaning_of, sources_of

ROOMS = ["_numba", "_target", "matmul", "_engine"]
"""Folders of files that are compiled, besides the kernels' `cpu.py`."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Some of the sources: parsing all of them for each edit would take minutes."""
    root = tmp_path / "kernels"
    for folder in ("activations", "metrics", "gather", "dense", "_cuda"):
        shutil.copytree(ROOT.resolve() / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def is_compiled(file, tree):
    return NOT_COMPILED.isdisjoint(file.relative_to(tree).parts)


def test_it_is_stable(tree):
    before = meaning_of(tree), sources_of(tree)
    for file in tree.rglob("*.py"):
        os.utime(file, (0, 0))
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "slices.py").write_bytes(b"bytecode")
    assert (meaning_of(tree), sources_of(tree)) == before


def test_it_changes_with_code_and_not_with_words(tree):
    before, quickly = meaning_of(tree), sources_of(tree)
    sources = sorted(tree.rglob("*.py"))
    assert sum(is_compiled(file, tree) for file in sources) > 30
    assert not all(is_compiled(file, tree) for file in sources)
    for file in sources[::4]:
        content = file.read_bytes()
        file.write_bytes(b'"""Another docstring,\nof two lines."""\n# A comment.\n' + content)
        assert meaning_of(tree) == before, file
        assert (sources_of(tree) == quickly) == (not is_compiled(file, tree)), file
        file.write_bytes(content + b"\nlast = 1\n")
        assert (meaning_of(tree) != before) == is_compiled(file, tree), file
        file.write_bytes(content)
    assert (meaning_of(tree), sources_of(tree)) == (before, quickly)


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("def f(x):\n    return x + 1.5\n", "def f(x):\n    'Text.'\n\n    return x + 1.5  # more\n", True),
        ("N = 3\n", "N = 3\n'What it is.'\n", True),
        ("class A:\n    n = 3\n", "class A:\n    'It.'\n    n = 3\n    'That.'\n", True),
        ("if N:\n    M = 2\nelse:\n    M = 3\n", "if N:\n    M = 2\nelse:\n    'No.'\n    M = 3\n", True),
        ("N = 3\n", "N = 4\n", False),
        ("N = 'a'\n", "N = 'b'\n", False),
        ("def f(x):\n    return x + 1.5\n", "def f(x):\n    return x - 1.5\n", False),
        ("def f(x):\n    return x + 1\n", "def f(x):\n    return x + 1.0\n", False),
        ("def f(x):\n    assert x\n    return x\n", "def f(x):\n    return x\n", False),
        ("@jit\ndef f(x):\n    return x\n", "@jit_called\ndef f(x):\n    return x\n", False),
    ],
)
def test_the_part_of_a_source_that_counts(old, new, is_same, tmp_path):
    (tmp_path / "cpu.py").write_text(old)
    before = meaning_of(tmp_path)
    (tmp_path / "cpu.py").write_text(new)
    assert (meaning_of(tmp_path) == before) == is_same


def test_it_is_the_same_in_all_versions_of_python():
    """Each has its own `ast.dump`; a cache, and the archive's hash, are shared by all of them."""
    source = """class A(B):
    'Text.'
    def f(self, *, x, y=None) -> None:
        return {**x, 'n': None, 'ä': ()}
"""
    assert module.meaning_of_source(source.encode()).decode() == (
        "Module(body=[ClassDef(name='A', bases=[Name(id='B', ctx=Load())], body=[FunctionDef(name='f', "
        "args=arguments(args=[arg(arg='self')], kwonlyargs=[arg(arg='x'), arg(arg='y')], "
        "kw_defaults=[None, Constant(value=None, kind=None)]), body=[Return(value=Dict(keys=[None, "
        "Constant(value='n', kind=None), Constant(value='\\xe4', kind=None)], values=[Name(id='x', ctx=Load()), "
        "Constant(value=None, kind=None), Tuple(ctx=Load())]))], returns=Constant(value=None, kind=None))])])"
    )


def test_compiled_code_reads_nothing_that_is_left_out():
    left_out, tree = {name.removesuffix(".py") for name in NOT_COMPILED}, ROOT.resolve()
    compiled = [*tree.rglob("cpu.py"), *(file for room in ROOMS for file in (tree / room).rglob("*.py"))]
    assert len(compiled) > 30
    for file in compiled:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = {*(node.module or "").split("."), *(alias.name for alias in node.names)}
                assert (left_out - ({"_native"} if file.name != "cpu.py" else set())).isdisjoint(names), file


def test_it_changes_with_a_file_added_renamed_removed_or_moved(tree):
    def both():
        return meaning_of(tree), sources_of(tree)

    seen = [both()]
    (tree / "activations" / "relu" / "extra.py").write_text("")
    seen.append(both())
    (tree / "activations" / "relu" / "extra.py").rename(tree / "activations" / "relu" / "other.py")
    seen.append(both())
    (tree / "activations" / "relu" / "other.py").rename(tree / "other.py")
    seen.append(both())
    (tree / "other.py").unlink()
    assert both() == seen[0]
    (tree / "activations" / "mish" / "cpu.py").unlink()
    seen.append(both())
    assert len(set(seen)) == len(seen)


def test_it_changes_with_two_files_exchanged(tree):
    before = meaning_of(tree)
    (tree / "activations" / "relu" / "cpu.py").rename(tree / "kept")
    (tree / "activations" / "elu" / "cpu.py").rename(tree / "activations" / "relu" / "cpu.py")
    (tree / "kept").rename(tree / "activations" / "elu" / "cpu.py")
    assert meaning_of(tree) != before


def test_line_ends_are_no_part_of_it(tree):
    before = meaning_of(tree), sources_of(tree)
    for file in tree.rglob("*.py"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert (meaning_of(tree), sources_of(tree)) == before


@pytest.fixture
def fingerprint():
    """Computed again, without any cache."""

    def now() -> str:
        module.is_archived.cache_clear()
        return module.fingerprint.__wrapped__()

    yield now
    module.is_archived.cache_clear()


def test_it_changes_with_the_compiler(fingerprint, monkeypatch):
    before = fingerprint()
    monkeypatch.setattr(module, "version", lambda _: "0.0")
    assert fingerprint() != before


@pytest.mark.parametrize("setting", module.SETTINGS)
def test_it_changes_with_a_setting_of_numba(setting, fingerprint, monkeypatch):
    before = fingerprint()
    monkeypatch.setattr(module, "meaning_of", lambda _: module.archive.meaning())  # which it is, and takes long
    monkeypatch.setenv(setting, "1")
    assert fingerprint() != before
    assert not module.is_archived()


@pytest.mark.parametrize("question", ["get_host_cpu_name", "get_host_cpu_features"])
def test_it_changes_with_the_processor(question, fingerprint, monkeypatch):
    before = fingerprint()

    class Features:
        def flatten(self):
            return "+none"

    monkeypatch.setattr(machine_code.llvm, question, lambda: "old" if question == "get_host_cpu_name" else Features())
    assert fingerprint() != before
