"""Downloads to full or read-only places: one error, no second request to a mirror, nothing left behind."""

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import filelock  # noqa: F401  (before a test gives up its rights)
import pytest

import dnnkit.files
from tests.dnnkit.datasets.mirror_server import failure, files, load, mirror

NOBODY = 65534


class FullFile(io.FileIO):
    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_full_disk_is_reported_and_leaves_nothing(folder, monkeypatch, moment):
    with mirror() as good, mirror() as other:
        with monkeypatch.context() as patch:
            if moment == "write":
                patch.setattr(dnnkit.files, "open", lambda path, mode, **more: FullFile(path, mode), raising=False)
            else:
                patch.setattr(os, moment, full)
            message = failure(good.url, other.url)
        assert f"cannot write tiny to {folder}: No space left on device" in message
        assert "DNNKIT_DATA_DIR" in message
        assert (len(good.requests), len(other.requests)) == (1, 0)  # no mirror can help
        assert files(folder) == set()
        load(good.url)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_disk_that_is_really_full(folder):
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("may not mount a tmpfs")
    try:
        with mirror() as good:
            assert "No space left on device" in failure(good.url)
        assert files(folder) == set()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def ordinary_user() -> Iterator[None]:
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="users and rights of POSIX")
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_one_may_not_write_to(folder, exists):
    place = folder if exists else folder.parent
    place.mkdir(parents=True)
    place.chmod(0o555)
    with mirror() as good, ordinary_user():
        message = failure(good.url)
    place.chmod(0o755)
    assert f"cannot write tiny to {folder}: Permission denied" in message
    assert good.requests == []
    assert list(place.iterdir()) == []


def test_a_file_in_place_of_the_folder(folder):
    folder.parent.write_text("not a folder")
    assert f"cannot write tiny to {folder}: Not a directory" in failure("http://127.0.0.1:9")
