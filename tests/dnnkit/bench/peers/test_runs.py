"""The parent, its children, and what happens to those that break."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dnnkit.bench.peers import parent
from dnnkit.bench.peers.registry import find_peers
from dnnkit.bench.peers.works import WORKS, growth_works
from tests import processes
from tests.dnnkit.bench.peers.made_up import ROOT


def test_parent_and_children(tmp_path: Path) -> None:
    """A whole run, as users type it."""
    out = tmp_path / "results.json"
    options = {"rounds": 1, "samples": 200, "epochs": 1, "product": 64, "data": "random", "works": 1}
    options |= {"peers": "numpy,dnnkit", "out": out}
    command = [sys.executable, "-m", "dnnkit.bench.peers", *(f"--{name}={value}" for name, value in options.items())]
    result = processes.run(command, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(out.with_suffix(ending)) for ending in (".md", ".png")]
    results = json.loads(out.read_text())
    assert (results["left_out"], results["failures"]) == ({}, [])
    done = [(record["work"], record["peer"]) for record in results["records"]]
    products, epochs = ([(work, peer) for peer in ("numpy", "dnnkit")] for work in ("gemm", "1"))
    assert done == [*products, ("copy", "numpy"), *epochs]
    for record in results["records"]:
        assert min(record["seconds"]) > 0
        assert record["pools"]
    assert str(ROOT) not in out.read_text()
    assert sys.prefix not in out.read_text()


def answering(monkeypatch: pytest.MonkeyPatch, failing: set[tuple[str, str]]) -> list[tuple[str, ...]]:
    """A parent whose children are fakes; those of (peer, work) in `failing` fail. Return the calls."""
    calls: list[tuple[str, ...]] = []

    def child(self: Any, peer: Any, *arguments: str) -> tuple[dict[str, Any], str | None]:
        work = json.loads(arguments[0])["name"] if arguments else "probe"
        calls.append((peer.name, work))
        if (peer.name, work) in failing:
            return {}, "it broke"
        if work == "probe":
            kinds = ["train", "gemm"]
            return {
                "versions": {},
                "bytes": peer.variant == "uint8",
                "kinds": kinds,
                "setting": "",
                "threads": "",
            }, None
        return {"seconds": [1.0], "first": 1.0, "cores": 1.0, "loss": 0.1, "accuracy": 0.9, "memory": 1}, None

    monkeypatch.setattr(parent.Run, "_child", child)
    return calls


def test_one_that_fails_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = answering(monkeypatch, {("jax", "probe"), ("torch", "2")})
    out = tmp_path / "results.json"
    arguments = ["--rounds", "3", "--works", "1,2,6", "--peers", "dnnkit,jax,torch,torch-compile", "--data", "random"]
    assert parent.main([*arguments, "--out", str(out), "--samples", "10"]) == 1
    results = json.loads(out.read_text())
    assert results["left_out"] == {"jax": "it broke"}
    assert [(f["round"], f["peer"], f["work"]) for f in results["failures"]] == [(n, "torch", "2") for n in range(3)]
    assert ("jax", "1") not in calls
    assert not any(work == "6" for _, work in calls)  # these cannot train a neuron
    assert ("torch-compile", "gemm") not in calls  # a variant of the same library
    peers = [peer for peer, work in calls if work == "1"]
    assert peers == ["dnnkit", "torch", "torch-compile", "torch", "torch-compile", "dnnkit", *peers[6:]]
    assert peers[6:] == ["torch-compile", "dnnkit", "torch"]
    assert "it broke" in out.with_suffix(".md").read_text()
    assert "jax was skipped: it broke" in capsys.readouterr().err


def test_bytes_are_not_standardized(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = answering(monkeypatch, set())
    options = ["--rounds", "1", "--works", "1,s1", "--peers", "dnnkit,dnnkit-uint8", "--data", "random"]
    assert parent.main([*options, "--samples", "10", "--out", str(tmp_path / "results.json")]) == 0
    done = {call for call in calls if call[1] in ("1", "s1")}
    assert done == {("dnnkit", "1"), ("dnnkit-uint8", "1"), ("dnnkit", "s1")}


def test_twins_take_turns_as_if_they_were_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = answering(monkeypatch, set())
    out = tmp_path / "results.json"
    options = ["--rounds", "2", "--works", "1", "--peers", "dnnkit,dnnkit-uint8,numpy", "--plain", "--twins", "dnnkit"]
    assert parent.main([*options, "--data", "random", "--samples", "10", "--out", str(out)]) == 0
    records = json.loads(out.read_text())["records"]
    assert [record["peer"] for record in records if record["work"] == "gemm"] == ["dnnkit", "numpy", "numpy", "dnnkit"]
    trained = [record["peer"] for record in records if record["work"] == "1"]
    assert trained == ["dnnkit", "numpy", "dnnkit-again", "numpy", "dnnkit-again", "dnnkit"]
    assert {name for name, _ in calls} == {"dnnkit", "numpy"}  # the child is the same program


def test_growth_runs_its_own_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = answering(monkeypatch, set())
    out = tmp_path / "growth.json"
    assert parent.main(["growth", "--rounds", "1", "--samples", "10", "--data", "random", "--out", str(out)]) == 0
    assert {peer for peer, _ in calls} == {"dnnkit", "torch", "jax"}
    assert {work for _, work in calls} == {work.name for work in growth_works()} | {"probe"}
    assert "## Time per step by depth" in out.with_suffix(".md").read_text()


def test_a_child_that_breaks_or_hangs_is_an_answer(tmp_path: Path) -> None:
    script = tmp_path / "python"
    arguments = ["--data", "random", "--python", f"numpy={script}", "--timeout", "1"]
    for body, expected in (
        ("echo it broke in /some/folder/file.py >&2; exit 3", "it broke in …/file.py"),
        ("exit 3", "ended with 3"),
        ("sleep 60", "took longer than 1 s"),
    ):
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        options = parent._parser().parse_args(arguments)
        run = parent.Run(options, tmp_path / "results.json", [], [])
        assert run._child(find_peers()["numpy"]) == ({}, expected)


def test_options_make_works_smaller() -> None:
    options = parent._parser().parse_args(["--samples", "100", "--epochs", "1", "--product", "8"])
    work, product, copied = (parent._limited(work, options) for work in (WORKS[0], parent.PRODUCT, parent.COPY))
    assert (work.samples, work.counted) == (100, 1)
    assert (product.size, copied.size) == (8, 1024)


def test_impossible_requests_are_reported_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--out", str(tmp_path / "nowhere" / "results.json")], "its folder does not exist"),
        (["--works", "1,x"], "unknown works x"),
        (["--peers", "x"], "unknown peers x"),
        (["report"], "needs a results file"),
    ):
        with pytest.raises(SystemExit, match=message):
            parent.main(arguments)
    with pytest.raises(SystemExit):
        parent.main(["--rounds", "0"])
    with pytest.raises(SystemExit):
        parent.main(["--python", "numpy"])
    assert "expected PEER=PATH" in capsys.readouterr().err
