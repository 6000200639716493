"""Files that are replaced as a whole; the nearest existing parent; the cache folder."""

import os
import tempfile
import threading
from pathlib import Path

import pytest

from dnnkit import files
from dnnkit.errors import CheckpointError


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool) -> None:
    for content in (b"old", b"new"):
        files.replace(tmp_path / "file.txt", content, durable=durable)
        assert (tmp_path / "file.txt").read_bytes() == content
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_contents_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with files.replacing(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_only_durable_writes_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    files.replace(tmp_path / "file", b"", durable=False)
    assert synced == []
    files.replace(tmp_path / "file", b"")
    assert len(synced) == (2 if os.name == "posix" else 1)  # the file, then its folder
    files.write(tmp_path / "other", b"")
    assert len(synced) == (3 if os.name == "posix" else 2)


def test_a_new_file_has_the_permissions_that_the_user_requests(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    files.replace(tmp_path / "replaced", b"")
    assert (tmp_path / "replaced").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_threads_that_replace_the_same_file_leave_one_of_theirs(tmp_path: Path) -> None:
    barrier, failures = threading.Barrier(4), []

    def work(number: int) -> None:
        barrier.wait()
        try:
            for _ in range(50):
                files.replace(tmp_path / "file", bytes([number]) * 1000, durable=False)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set((tmp_path / "file").read_bytes())) == 1
    assert os.listdir(tmp_path) == ["file"]


def test_several_files_and_their_folders_are_made(tmp_path: Path) -> None:
    contents = {tmp_path / "a" / "b" / "one": b"1", tmp_path / "two": b"2"}
    files.replace_all(contents)
    assert {path: path.read_bytes() for path in contents} == contents
    with pytest.raises(CheckpointError, match=r"cannot write .*two.three: .*; choose a place you may write to"):
        files.replace_all({tmp_path / "two" / "three": b""})


def test_whether_a_folder_can_be_written_to(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "new" / "folder")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write to .*run: .*; choose a folder you may write to"):
        files.check_writable(tmp_path / "file" / "run")


def test_the_nearest_existing_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.nearest_existing(tmp_path) == tmp_path
    assert files.nearest_existing(tmp_path / "a" / "b") == tmp_path
    monkeypatch.chdir(tmp_path)
    assert files.nearest_existing(Path("a") / "b") == Path(".")
    root = Path(tmp_path.anchor)
    assert files.nearest_existing(root / "no-such-folder" / "b") == root


@pytest.mark.parametrize(("setting", "expected"), [("/cache", "/cache/dnnkit"), ("", "/home/ada/.cache/dnnkit")])
def test_the_cache_folder(setting: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DNNKIT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", setting)
    monkeypatch.setenv("HOME", "/home/ada")
    assert files.cache_folder() == Path(expected)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no numbers of users")
def test_a_user_without_a_home_gets_a_cache_without_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_CACHE_HOME", "DNNKIT_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    assert files.cache_folder() == Path(tempfile.gettempdir()) / f"dnnkit-{os.getuid()}"


def test_the_requested_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    for given, expected in [
        ("/opt/dnnkit", "/opt/dnnkit"),
        ("~/kept", "/home/ada/kept"),
        ("kept", f"{tmp_path}/kept"),
        ("", "/cache/dnnkit"),
    ]:
        monkeypatch.setenv("DNNKIT_CACHE_DIR", given)
        assert files.cache_folder() == Path(expected)
        assert files.user_cache_folder() == Path("/cache/dnnkit")


@pytest.mark.skipif(os.name != "posix", reason="no modes")
def test_private_folders_and_files(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        files.make_private(tmp_path / "a" / "b")
        files.replace(tmp_path / "a" / "secret", b"1", private=True)
        files.replace(tmp_path / "a" / "open", b"1")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*")}
    assert modes == {"b": 0o700, "secret": 0o600, "open": 0o664}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a").chmod(0o755)
    files.make_private(tmp_path / "a" / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755  # it existed
    with pytest.raises(NotADirectoryError, match="secret is not a folder"):
        files.make_private(tmp_path / "a" / "secret" / "b")
