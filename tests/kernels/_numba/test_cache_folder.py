"""Where compiled kernels are kept: the folder's name, its place, and who may write there."""

import ast
import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from dnnkit.kernels._numba import jit
from tests.kernels.checkouts import REPORT, run

ROOMS = ["_numba", "matmul", "_engine"]
"""Folders of files that are compiled, besides the kernels' `cpu.py`."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "kernels"
    shutil.copytree(jit.ROOT.resolve(), root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_the_fingerprint_is_stable(tree, tmp_path):
    before = jit.fingerprint(tree)
    assert jit.fingerprint(tree) == before
    assert jit.fingerprint() == before  # the same sources elsewhere
    for file in tree.rglob("*.py"):
        os.utime(file, (0, 0))
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "slices.cpython-311.pyc").write_bytes(b"bytecode")
    assert jit.fingerprint(tree) == before


def is_compiled(file, tree):
    return jit.NOT_COMPILED.isdisjoint(file.relative_to(tree).parts)


def test_the_fingerprint_changes_with_any_edited_file_that_compiled_code_may_read(tree):
    before = jit.fingerprint(tree)
    sources = sorted(tree.rglob("*.py"))
    assert sum(is_compiled(file, tree) for file in sources) > 50
    for file in sources:
        content = file.read_bytes()
        file.write_bytes(content + b"#")
        assert (jit.fingerprint(tree) != before) == is_compiled(file, tree), file
        file.write_bytes(content)
    assert jit.fingerprint(tree) == before


def test_compiled_code_reads_nothing_that_the_fingerprint_leaves_out(tree):
    left_out = {name.removesuffix(".py") for name in jit.NOT_COMPILED}
    compiled = [*tree.rglob("cpu.py"), *(file for room in ROOMS for file in (tree / room).rglob("*.py"))]
    assert len(compiled) > 30
    for file in compiled:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = {*(node.module or "").split("."), *(alias.name for alias in node.names)}
                assert left_out.isdisjoint(names), file


def test_the_fingerprint_changes_with_a_file_added_renamed_removed_or_moved(tree):
    seen = [jit.fingerprint(tree)]
    (tree / "activations" / "relu" / "extra.py").write_text("")
    seen.append(jit.fingerprint(tree))
    (tree / "activations" / "relu" / "extra.py").rename(tree / "activations" / "relu" / "other.py")
    seen.append(jit.fingerprint(tree))
    (tree / "activations" / "relu" / "other.py").rename(tree / "other.py")
    seen.append(jit.fingerprint(tree))
    (tree / "other.py").unlink()
    assert jit.fingerprint(tree) == seen[0]
    (tree / "activations" / "mish" / "cpu.py").unlink()
    seen.append(jit.fingerprint(tree))
    assert len(set(seen)) == len(seen)


def test_the_fingerprint_changes_with_two_files_exchanged(tree):
    before = jit.fingerprint(tree)
    (tree / "activations" / "relu" / "cpu.py").rename(tree / "kept")
    (tree / "activations" / "elu" / "cpu.py").rename(tree / "activations" / "relu" / "cpu.py")
    (tree / "kept").rename(tree / "activations" / "elu" / "cpu.py")
    assert jit.fingerprint(tree) != before


@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_the_fingerprint_changes_with_the_compiler(package, monkeypatch):
    before = jit.fingerprint()
    monkeypatch.setattr(getattr(jit, package), "__version__", "0.0")
    assert jit.fingerprint() != before


@pytest.mark.parametrize("question", ["get_host_cpu_name", "get_host_cpu_features"])
def test_the_fingerprint_changes_with_the_processor(question, monkeypatch):
    before = jit.fingerprint()

    class Features:
        def flatten(self):
            return "+none"

    monkeypatch.setattr(
        jit.llvmlite.binding, question, lambda: "old" if question == "get_host_cpu_name" else Features()
    )
    assert jit.fingerprint() != before


def folder_of(monkeypatch, tmp_path: Path, user_cache: str) -> Path:
    """`cache_folder()` anew, its temporary folder in tmp_path."""
    monkeypatch.setenv("XDG_CACHE_HOME", user_cache)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return jit.cache_folder.__wrapped__()


def test_the_folder_is_in_the_users_cache(monkeypatch, tmp_path, caplog):
    folder = folder_of(monkeypatch, tmp_path, str(tmp_path / "cache"))
    assert folder == tmp_path / "cache" / "dnnkit" / f"compiled-{jit.fingerprint()}"
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert caplog.records == []


def test_without_a_setting_it_is_below_the_home(monkeypatch, tmp_path):
    assert folder_of(monkeypatch, tmp_path, "").parent == tmp_path / "home" / ".cache" / "dnnkit"


def test_a_folder_that_cannot_be_written_falls_back_with_one_line(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    folder = folder_of(monkeypatch, tmp_path, str(tmp_path / "file" / "cache"))
    assert folder.is_relative_to(tmp_path / "temporary")
    assert folder.is_dir()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(tmp_path / "file" / "cache" / "dnnkit") in caplog.text


def test_when_no_folder_can_be_kept_a_new_one_does(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(os, "getuid", lambda: "taken")
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary" / "dnnkit-taken").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = jit.cache_folder.__wrapped__()
    assert folder.is_dir()
    assert folder.parent == tmp_path / "temporary"
    assert len(caplog.records) == 2


@pytest.mark.slow
def test_kernels_work_from_the_fallback(checkout, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    result = run(REPORT, checkout, tmp_path / "file" / "cache", TMPDIR=str(tmp_path / "temporary"))
    assert result["relu"] == [0, 2, 3]
    assert Path(result["folder"]).is_relative_to(tmp_path / "temporary")
    lines = result["stderr"].splitlines()
    assert [line.split()[1] for line in lines] == ["compiled", "compiling"]


def test_announce_tells_once_for_each_cache_and_thing(monkeypatch, tmp_path, caplog):
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.setattr(jit, "cache_folder", lambda folder=folder: folder)
        for what in ("kernels", "kernels", "the epoch", "kernels", "the epoch"):
            jit.announce(what)
    assert len(caplog.records) == 4
    assert all(record.name == "dnnkit" for record in caplog.records)


def test_a_folder_that_others_may_write_to_is_not_used(monkeypatch, tmp_path, caplog):
    (tmp_path / "cache" / "dnnkit").mkdir(parents=True)
    (tmp_path / "cache" / "dnnkit").chmod(0o777)
    folder = folder_of(monkeypatch, tmp_path, str(tmp_path / "cache"))
    assert folder.is_relative_to(tmp_path / "temporary")
    assert "others may write there" in caplog.text
    assert list((tmp_path / "cache" / "dnnkit").iterdir()) == []
