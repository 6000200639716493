"""What is installed, as `importlib.metadata` reports it."""

import sys
from importlib import metadata

import pytest

from dnnkit import installed


@pytest.mark.parametrize("package", ["numpy", "numba", "llvmlite", "filelock", "hypothesis"])
def test_versions_are_those_that_the_installer_wrote(package):
    assert installed.version(package) == metadata.version(package)


def test_an_unknown_package_is_an_error():
    with pytest.raises(metadata.PackageNotFoundError):
        installed.version("no_such_package_at_all")


def test_two_metadata_files_of_a_package_are_left_to_the_library(tmp_path, monkeypatch):
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for version in ("1.0", "2.0"):
        (tmp_path / f"Twice-{version}.dist-info").mkdir()
        (tmp_path / f"Twice-{version}.dist-info" / "METADATA").write_text(f"Name: twice\nVersion: {version}\n")
    assert installed.version("twice") in ("1.0", "2.0")
    (tmp_path / "Twice-1.0.dist-info" / "METADATA").unlink()
    (tmp_path / "Twice-1.0.dist-info").rmdir()
    installed.version.cache_clear()
    assert installed.version("twice") == "2.0"


def test_entry_points_come_from_packages_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    assert not installed.is_announced("dnnkit.")
    (tmp_path / "other-1.dist-info").mkdir()
    (tmp_path / "other-1.dist-info" / "entry_points.txt").write_text("[console_scripts]\nother = other:main\n")
    assert not installed.is_announced("dnnkit.")
    (tmp_path / "plugin-1.egg-info").mkdir()
    (tmp_path / "plugin-1.egg-info" / "entry_points.txt").write_text("[dnnkit.layers]\nmine = plugin:Mine\n")
    assert installed.is_announced("dnnkit.")
    (tmp_path / "some.zip").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "some.zip")])
    assert installed.is_announced("dnnkit."), "Python may know how to look into it"
