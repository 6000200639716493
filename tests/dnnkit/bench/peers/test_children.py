"""A child process: its requests and answers, and what happens to one that breaks."""

from dataclasses import replace
from pathlib import Path

import pytest

from dnnkit.bench.peers import stay
from dnnkit.bench.peers.children import Child, ChildFailed
from dnnkit.bench.peers.registry import find_peers
from tests.dnnkit.bench.peers.made_up import SMALL

NUMPY = find_peers()["numpy"]
TRAINED = replace(SMALL, widths=(4, 8, 3), samples=100, counted=3)


def test_one_child_trains_one_network_after_another() -> None:
    with Child(NUMPY, 60) as child:
        assert "numpy" in child.begin()["versions"]
        product = child.ask("gemm", work=replace(SMALL, kind="gemm", size=16, counted=2).to_json())
        assert len(product["seconds"]) == 2
        losses = []
        for work in (TRAINED, replace(TRAINED, dtype="float64"), TRAINED):
            losses.append(child.ask("network", work=work.to_json())["loss"])
            trained = child.ask("train")
            assert trained["seconds"] > 0
            assert trained["epochs"] == 3
        assert losses[0] == losses[2]
        assert losses[0] != losses[1]


def test_a_slow_peer_trains_fewer_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stay, "LONGEST", 1e-9)
    child = stay.Stay(NUMPY.load(), NUMPY)
    child.answer({"do": "network", "work": TRAINED.to_json()})
    assert child.answer({"do": "train"})["epochs"] == 1


def test_a_child_that_breaks_says_why() -> None:
    child = Child(NUMPY, 60)
    child.begin()
    with pytest.raises(ChildFailed, match="AssertionError: expected a question with a work first"):
        child.ask("train")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("echo it broke in /some/folder/file.py >&2; exit 3", "it broke in …/file.py"),
        ("exit 3", "ended with 3"),
        ("sleep 60", "took longer than 0.5 s"),
    ],
)
def test_a_child_that_does_not_begin_is_an_error(tmp_path: Path, body: str, expected: str) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    with pytest.raises(ChildFailed) as caught:
        Child(NUMPY, 0.5, str(script)).begin()
    assert str(caught.value) == expected
