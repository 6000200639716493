"""What is cached of a function: whole and its own, or compiled again; never a traceback."""

import errno
import os
from pathlib import Path

import pytest

from dnnkit.kernels._native import kept
from dnnkit.kernels._native.places import SUFFIX
from tests.kernels._native.small_functions import compiled, folders, forget, new, times, value

__all__ = ["compiled", "folders"]  # fixtures

OTHER_USER = 12345


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()  # no lock, and nothing half written
    assert file.suffix == SUFFIX
    return file


@pytest.fixture
def was_read(compiled):
    """Return whether a function is right and was not compiled, as in a new process."""

    def find(function, number):
        compiled.clear()
        assert value(forget(function)) == 2 * number
        return not compiled

    return find


def test_compiled_code_is_read(folders, was_read):
    function, number = new()
    assert not was_read(function, number)
    file = the_file(folders[0])
    assert file.name.startswith(f"small.{number}.float64-")
    assert file.stat().st_mode & 0o777 == 0o600
    assert was_read(function, number)


def spoilt_contents(content):
    start = len(kept.MAGIC) + 32
    middle = start + (len(content) - start) // 2
    yield "empty", b""
    yield "a word", b"garbage"
    yield "truncated", content[:-100]
    yield "half", content[: len(content) // 2]
    yield "longer", content + b"\0"
    yield "a bit", content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    yield "another magic", b"dnnkit kernel 0\n" + content[len(kept.MAGIC) :]


def test_damaged_code_is_compiled_again_and_replaced(folders, was_read, caplog):
    function, number = new()
    value(function)
    file = the_file(folders[0])
    good = file.read_bytes()
    for what, content in spoilt_contents(good):
        file.write_bytes(content)
        assert not was_read(function, number), what
        assert was_read(function, number), what
    assert caplog.records == []


def test_the_file_of_another_function_is_not_taken(folders, was_read):
    first, _ = new()
    value(first)
    file = the_file(folders[0])
    second, number = new()
    value(second)
    (other,) = set(folders[0].iterdir()) - {file}
    other.write_bytes(file.read_bytes())
    assert not was_read(second, number)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_read(mode, folders, was_read):
    function, number = new()
    value(function)
    the_file(folders[0]).chmod(mode)
    assert not was_read(function, number)
    assert the_file(folders[0]).stat().st_mode & 0o777 == 0o600  # replaced


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_read(folders, was_read):
    function, number = new()
    value(function)
    os.chown(the_file(folders[0]), OTHER_USER, OTHER_USER)
    assert not was_read(function, number)
    assert was_read(function, number)


def test_a_folder_that_is_only_read_comes_first_and_is_unchanged(folders, was_read, tmp_path):
    function, number = new()
    value(function)
    shipped = folders[0]
    folders.append(tmp_path / "users")
    folders[1].mkdir()
    assert was_read(function, number)
    assert list(folders[1].iterdir()) == []
    content = the_file(shipped).read_bytes()
    the_file(shipped).write_bytes(b"damaged")
    assert not was_read(function, number)
    assert the_file(shipped).read_bytes() == b"damaged"
    assert the_file(folders[1]).read_bytes()[:16] == content[:16]
    assert was_read(function, number)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_is_full_is_one_warning(error, folders, monkeypatch, caplog):
    def fail(*_, **__):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(kept, "replace", fail)
    for function, number in (new(), new()):
        assert value(function) == 2 * number
    assert caplog.messages == [
        f"dnnkit: compiled kernels cannot be stored in {folders[0]}, training continues: {os.strerror(error)}"
    ]
    assert list(folders[0].iterdir()) == []


def test_a_folder_that_vanished_is_no_trouble(folders):
    folders[0].rmdir()
    function, number = new()
    assert value(function) == 2 * number


def test_long_names_are_files_of_their_own(folders):
    for number in (1, 2):
        assert value(times(number, "a" * 300 + str(number))) == 2 * number
    assert len(list(folders[0].iterdir())) == 2
