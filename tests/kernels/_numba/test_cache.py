"""What is kept of a compiled function: whole and its own, or compiled again; never a traceback."""

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from dnnkit.kernels._numba import cache, jit
from dnnkit.kernels._numba.cache import Kept
from dnnkit.kernels._numba.places import SUFFIX

OTHER_USER = 12345


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Folders to look in, the last to write to; only the last at first."""
    found = [tmp_path / "own"]
    found[0].mkdir()
    monkeypatch.setattr(cache, "places", lambda: tuple(found))
    cache._tell_once.cache_clear()
    return found


SOURCES = iter(f"def add(a, b):\n    return a + b + {number}\n" for number in range(1000))


@pytest.fixture
def source():
    """Of a function that nobody has compiled yet."""
    return next(SOURCES)


def compiled(source):
    """The function in what might be a new process, and what it gives."""
    function = jit.jit(jit.module_from_source("small", source).add)
    return function, function(1.0, 2.0)


def was_read(function):
    return (sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())) == (1, 0)


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()  # no lock, and nothing half written
    assert file.suffix == SUFFIX
    return file


def test_what_was_compiled_is_read(folders, source):
    first, expected = compiled(source)
    assert not was_read(first)
    file = the_file(folders[0])
    assert file.name.startswith("small.add.float64-")
    assert file.stat().st_mode & 0o777 == 0o600
    second, found = compiled(source)
    assert was_read(second)
    assert found == expected


def spoilt_contents(content):
    start = len(cache.MAGIC) + 32
    middle = start + (len(content) - start) // 2
    yield "empty", b""
    yield "a word", b"garbage"
    yield "truncated", content[:-100]
    yield "half", content[: len(content) // 2]
    yield "longer", content + b"\0"
    yield "a bit", content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    yield "another magic", b"dnnkit kernel 0\n" + content[len(cache.MAGIC) :]
    yield "a pickle", pickle.dumps({"an": "object"})


def test_what_is_damaged_is_compiled_again_and_replaced(folders, source, caplog):
    compiled(source)
    file = the_file(folders[0])
    good = file.read_bytes()
    for what, content in spoilt_contents(good):
        file.write_bytes(content)
        function, found = compiled(source)
        assert not was_read(function), what
        assert found == 3 + int(source.split()[-1])
        assert was_read(compiled(source)[0]), what
    assert caplog.records == []


def test_a_sealed_pickle_of_something_else_is_replaced(folders, source, monkeypatch):
    compiled(source)
    for payload in (pickle.dumps({"an": "object"}), pickle.dumps(("too", "short")), b"no pickle"):
        with monkeypatch.context() as patch:
            patch.setattr(cache.serialize, "dumps", lambda _, payload=payload: payload)
            the_file(folders[0]).unlink()
            compiled(source)
        assert payload in the_file(folders[0]).read_bytes()
        assert not was_read(compiled(source)[0])
        assert was_read(compiled(source)[0])


def test_the_file_of_another_function_is_not_taken(folders, source):
    compiled(source)
    file = the_file(folders[0])
    other = next(SOURCES)
    compiled(other)
    (others,) = set(folders[0].iterdir()) - {file}
    others.write_bytes(file.read_bytes())
    function, found = compiled(other)
    assert not was_read(function)
    assert found == 3 + int(other.split()[-1])


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_read(mode, folders, source):
    compiled(source)
    the_file(folders[0]).chmod(mode)
    assert not was_read(compiled(source)[0])
    assert the_file(folders[0]).stat().st_mode & 0o777 == 0o600  # replaced


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_read(folders, source):
    compiled(source)
    os.chown(the_file(folders[0]), OTHER_USER, OTHER_USER)
    assert not was_read(compiled(source)[0])
    assert was_read(compiled(source)[0])


def test_a_folder_that_is_only_read_comes_first_and_is_left_alone(folders, source, tmp_path):
    compiled(source)
    shipped = folders[0]
    folders.append(tmp_path / "users")
    folders[1].mkdir()
    assert was_read(compiled(source)[0])
    assert list(folders[1].iterdir()) == []
    kept = the_file(shipped).read_bytes()
    the_file(shipped).write_bytes(b"damaged")
    assert not was_read(compiled(source)[0])
    assert the_file(shipped).read_bytes() == b"damaged"
    assert the_file(folders[1]).read_bytes()[:16] == kept[:16]
    assert was_read(compiled(source)[0])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_is_full_is_one_warning(number, folders, source, monkeypatch, caplog):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache, "replace", fail)
    for text in (source, next(SOURCES)):
        assert compiled(text)[1] == 3 + int(text.split()[-1])
    assert caplog.messages == [
        f"dnnkit: compiled kernels cannot be kept in {folders[0]}, training goes on: {os.strerror(number)}"
    ]
    assert list(folders[0].iterdir()) == []


def test_a_folder_that_vanished_is_no_trouble(folders, source):
    folders[0].rmdir()
    assert compiled(source)[1] == 3 + int(source.split()[-1])


def test_a_function_of_another_package_is_known_by_its_source(folders, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "of_another_package.py"
    names = []
    for constant in (1, 2, 1):
        file.write_text(f"N = {constant}\n\ndef add(a):\n    return a + N\n")
        namespace = {"__name__": "of_another_package"}
        exec(compile(file.read_text(), str(file), "exec"), namespace)
        kept = Kept(namespace["add"])
        names.append(kept._name((), kept._identity((), jit.numba.core.registry.cpu_target.target_context.codegen())))
    assert names[0] == names[2] != names[1]


def test_kinds_of_arguments_are_kept_apart(folders, source):
    function, _ = compiled(source)
    for arguments in [(1, 2), (np.float32(1), np.float32(2))]:
        function(*arguments)
    assert len(list(folders[0].glob(f"*{SUFFIX}"))) == 3
    assert len(list(folders[0].glob(f"small.add.float32-*{SUFFIX}"))) == 1
