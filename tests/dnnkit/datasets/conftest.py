"""No test here reaches beyond this machine, whatever the user's variables say."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only mirror is a closed port of this machine; retries follow without a pause."""
    monkeypatch.setenv("DNNKIT_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("DNNKIT_DOWNLOAD_TIMEOUT", raising=False)
    monkeypatch.setattr("dnnkit.datasets.download.PAUSES", (0.01, 0.02))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The path of the data set, in a data folder that does not exist yet."""
    monkeypatch.setenv("DNNKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DNNKIT_MIRROR")
    monkeypatch.setenv("DNNKIT_DOWNLOAD_TIMEOUT", "5")
    return tmp_path / "data" / "tiny"
