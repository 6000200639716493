"""The location of the data folder; reading from it and downloading to it have separate tests."""

from pathlib import Path

import pytest

from dnnkit.datasets.store import data_folder


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DNNKIT_DATA_DIR": "/data", "XDG_CACHE_HOME": "/cache", "HOME": "/home/ada"}, "/data"),
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/home/ada"}, "/cache/dnnkit"),
        ({"HOME": "/home/ada"}, "/home/ada/.cache/dnnkit"),
        ({"DNNKIT_DATA_DIR": "", "XDG_CACHE_HOME": "", "HOME": "/home/ada"}, "/home/ada/.cache/dnnkit"),
    ],
    ids=["own variable", "XDG", "home", "empty variables"],
)
def test_the_data_folder_comes_from_the_first_variable_that_is_set(monkeypatch, variables, expected):
    for name in ("DNNKIT_DATA_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert data_folder() == Path(expected)
