"""Where compiled kernels are cached, the order of folders, and who may have written there."""

import os
import tempfile
from pathlib import Path

import pytest

from dnnkit import files
from dnnkit.kernels._native import places as module
from dnnkit.kernels._native.trust import distrust

OTHER_USER = 12345
needs_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away")


@pytest.fixture
def found(monkeypatch, tmp_path):
    """Compute `places()` again, for an environment; the temporary folder is below tmp_path."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("DNNKIT_CACHE_DIR", raising=False)
    monkeypatch.setattr(module, "fingerprint", lambda: "0123")  # which parses all sources

    def find(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        return module.places.__wrapped__()

    return find


def read_only(monkeypatch, *folders: Path) -> None:
    """As for a user with read permission only; the permissions of a folder do not restrict root."""
    temporary_file = tempfile.TemporaryFile

    def refuse(*arguments, dir, **more):
        if any(Path(dir).is_relative_to(folder) for folder in folders):
            raise PermissionError(13, "Permission denied")
        return temporary_file(*arguments, dir=dir, **more)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


def test_the_users_cache(found, tmp_path, caplog):
    (folder,) = found(XDG_CACHE_HOME=tmp_path / "cache")
    assert folder == tmp_path / "cache" / "dnnkit" / "compiled-0123"
    assert list(folder.iterdir()) == []
    for made in (folder, folder.parent, folder.parent.parent):
        assert made.stat().st_mode & 0o777 == 0o700
    assert caplog.records == []


def test_without_a_setting_it_is_below_the_home(found, tmp_path):
    assert found()[-1].parent == tmp_path / "home" / ".cache" / "dnnkit"


def test_the_requested_folder_comes_first(found, tmp_path, caplog):
    (folder,) = found(DNNKIT_CACHE_DIR=tmp_path / "asked", XDG_CACHE_HOME=tmp_path / "cache")
    assert folder.parent == tmp_path / "asked"
    assert not (tmp_path / "cache").exists()
    assert caplog.records == []


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_file_in_its_place_is_told_in_one_line(below, found, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    (folder,) = found(DNNKIT_CACHE_DIR=tmp_path / "file" / below)
    assert folder.is_relative_to(tmp_path / "home")
    (line,) = caplog.messages
    assert line.startswith(f"dnnkit: DNNKIT_CACHE_DIR is {tmp_path / 'file' / below}: no compiled kernels are stored")
    assert "ot a" in line  # directory, or folder


def test_a_read_only_folder_without_kernels_is_reported(found, tmp_path, monkeypatch, caplog):
    (tmp_path / "asked").mkdir(mode=0o755)
    read_only(monkeypatch, tmp_path / "asked")
    assert found(DNNKIT_CACHE_DIR=tmp_path / "asked")[-1].is_relative_to(tmp_path / "home")
    assert "Permission denied" in caplog.text


def test_a_folder_that_can_only_be_read_comes_before_the_users_own(found, tmp_path, monkeypatch, caplog):
    (shipped,) = found(DNNKIT_CACHE_DIR=tmp_path / "shipped")
    (shipped / "relu.kernel").touch()
    read_only(monkeypatch, tmp_path / "shipped")
    assert found() == (shipped, tmp_path / "home" / ".cache" / "dnnkit" / shipped.name)
    read_only(monkeypatch, tmp_path / "shipped", tmp_path / "home")
    assert found()[0] == shipped
    assert found()[-1].is_relative_to(tmp_path / "temporary")
    assert caplog.records == []  # it has everything that most need


def test_a_folder_that_may_not_be_looked_at_is_told(found, tmp_path, monkeypatch, caplog):
    stat = Path.stat

    def refuse(path, **more):
        if path.is_relative_to(tmp_path / "secret"):
            raise PermissionError(13, "Permission denied")
        return stat(path, **more)

    monkeypatch.setattr(Path, "stat", refuse)
    assert found(DNNKIT_CACHE_DIR=tmp_path / "secret")[-1].is_relative_to(tmp_path / "home")
    assert len(caplog.records) == 1
    assert "Permission denied" in caplog.text


def test_when_no_folder_can_be_kept_a_new_one_does(found, tmp_path, monkeypatch, caplog):
    read_only(monkeypatch, tmp_path)
    (folder,) = found()
    assert folder.is_dir()
    assert folder.parent == tmp_path / "temporary"
    assert len(caplog.records) == 2


@pytest.mark.parametrize("place", ["", "compiled"])
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(mode, place, found, tmp_path, caplog):
    (folder,) = found(DNNKIT_CACHE_DIR=tmp_path / "asked")
    spoilt = folder if place else folder.parent
    spoilt.chmod(mode)
    assert found()[0].is_relative_to(tmp_path / "home")
    assert f"{spoilt} can be written by others" in caplog.text
    assert len(caplog.records) == 1


@needs_root
@pytest.mark.parametrize("place", ["", "compiled"])
def test_a_folder_of_another_user_is_not_used(place, found, tmp_path, caplog):
    (folder,) = found(DNNKIT_CACHE_DIR=tmp_path / "asked")
    os.chown(folder if place else folder.parent, OTHER_USER, OTHER_USER)
    assert found()[0].is_relative_to(tmp_path / "home")
    assert "belongs to another user" in caplog.text


def test_folders_above_may_be_shared_if_they_are_sticky(tmp_path):
    root = tmp_path / "above" / "cache"
    files.make_private(root)
    assert distrust(root / "compiled", root) is None
    (tmp_path / "above").chmod(0o1777)
    assert distrust(root / "compiled", root) is None
    (tmp_path / "above").chmod(0o777)
    assert "others may rename" in str(distrust(root / "compiled", root))


def test_the_way_through_a_link_is_that_of_the_folder(tmp_path):
    files.make_private(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert distrust(tmp_path / "link" / "compiled", tmp_path / "link") is None
    (tmp_path / "real").chmod(0o777)
    assert distrust(tmp_path / "link" / "compiled", tmp_path / "link") is not None
