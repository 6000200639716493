"""The comparison with peers: its arithmetic, its works, its report, and that parent and children understand each other.

Nothing here is decided by how long something takes.
"""

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import __main__ as parent
from benchmarks.peers import machine, report, run_one, samples
from benchmarks.peers.registry import FOLDER, choose_peers, find_peers
from benchmarks.peers.results import SCHEMA, Results, duration
from benchmarks.peers.works import (
    BEST,
    FLOOR,
    NEURON_WEIGHTS,
    WORKS,
    Target,
    Work,
    arithmetic_floor,
    choose,
    growth_works,
    initial_weights,
    product_flops,
    update_bytes,
)

ROOT = Path(__file__).parents[1]
PLAIN = [peer for peer in find_peers().values() if not peer.variant or peer.family == "dnnkit"]
"""Compilers of variants take longer than a test should."""
SMALL = Work("1", "small", widths=(784, 16, 10), samples=300, counted=3)


# -- works and the floor ---------------------------------------------------------------------------------------------


def test_flops_are_those_of_the_products_counted_one_by_one() -> None:
    for work in [*WORKS, *growth_works()]:
        flops = 0
        for layer, (inputs, outputs) in enumerate(zip(work.widths, work.widths[1:], strict=False)):
            forward = weight_gradient = input_gradient = 2 * inputs * outputs
            flops += work.samples * (forward + weight_gradient + (input_gradient if layer else 0))
        assert product_flops(work) == flops, work.name


def test_the_floor_of_the_first_work() -> None:
    work = WORKS[0]
    assert work.steps == 1875
    assert product_flops(work) / work.steps == 13_090_816  # a step of 32 rows
    assert arithmetic_floor(work, 147e9) == pytest.approx(0.167, abs=5e-4)


def test_the_bytes_of_an_epochs_updates() -> None:
    adam, sgd = WORKS[0], WORKS[3]
    assert adam.parameters == 784 * 128 + 128 + 128 * 10 + 10
    assert update_bytes(adam) == 1875 * adam.parameters * 7 * 4
    assert update_bytes(sgd) == 600 * sgd.parameters * 3 * 4


def test_a_smaller_last_batch_is_a_step() -> None:
    assert replace(SMALL, samples=33, batch_size=32).steps == 2


def test_works_survive_json() -> None:
    for work in [*WORKS, *growth_works()]:
        assert Work.from_json(json.loads(json.dumps(work.to_json()))) == work


def test_works_are_chosen_by_the_beginning_of_their_names() -> None:
    assert choose(None) == list(WORKS)
    assert [work.name for work in choose("7, 1")] == ["1", "7a", "7b"]
    assert [work.name for work in choose("s")] == ["s1", "s2", "s3", "s4"]
    with pytest.raises(SystemExit, match="unknown works 9: choose from 1, 2"):
        choose("1,9")


def test_names_are_unique_and_targets_speak_of_peers_there_are() -> None:
    works = [*WORKS, *growth_works()]
    assert len({work.name for work in works}) == len(works)
    known = {peer.family for peer in find_peers().values()} | {FLOOR, BEST}
    assert {target.against for work in WORKS for target in work.targets} <= known


def test_growth_changes_one_thing_at_a_time() -> None:
    works = list(growth_works())
    assert {work.axis for work in works} == {"width", "depth", "batch", "samples"}
    for work in works:
        hidden = work.widths[1:-1]
        grown = {
            "width": hidden[0],
            "depth": len(hidden),
            "batch": work.batch_size,
            "samples": work.samples,
        }
        assert grown[work.axis] == work.value


def test_all_peers_begin_with_the_same_weights() -> None:
    first, again = initial_weights(SMALL), initial_weights(SMALL)
    for (kernel, bias), (kernel_again, _) in zip(first, again, strict=True):
        assert (kernel == kernel_again).all()
        assert kernel.dtype == bias.dtype == np.float32
        assert not bias.any()
        assert np.abs(kernel).max() <= (6 / sum(kernel.shape)) ** 0.5


# -- peers -----------------------------------------------------------------------------------------------------------


def test_peers_are_found_by_their_files() -> None:
    peers = find_peers()
    assert {"dnnkit", "dnnkit-uint8", "torch", "torch-compile", "jax", "keras", "scikit-learn", "numpy"} <= set(peers)
    assert {"tinygrad", "tinygrad-beam", "thinc", "thinc-blas"} <= set(peers)
    assert (peers["torch-compile"].family, peers["torch-compile"].variant) == ("torch", "compile")
    assert [peer.name for peer in choose_peers("numpy,dnnkit-uint8")] == ["numpy", "dnnkit-uint8"]
    with pytest.raises(SystemExit, match="unknown peers pytorch: choose from dnnkit"):
        choose_peers("numpy,pytorch")


def test_no_file_hides_a_library() -> None:
    assert not {file.stem for file in FOLDER.glob("*.py")} & {peer.family for peer in PLAIN}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    samples.write(folder, "random", SMALL.samples)
    return folder


def installed(peer: Any) -> tuple[Any, dict[str, Any]]:
    about = run_one.probe(peer)
    if "missing" in about:
        pytest.skip(f"{about['missing']} is not installed")
    return peer.load(), about


@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
def test_every_peer_learns_the_same(peer: Any, folder: Path) -> None:
    module, about = installed(peer)
    assert about["versions"]
    assert about["setting"]
    assert about["threads"]
    for work in (SMALL, replace(SMALL, activation="sigmoid", optimizer="sgd", learning_rate=1.0, batch_size=100)):
        result = run_one.train(module, peer, work, folder)
        own = run_one.train(find_peers()["numpy"].load(), find_peers()["numpy"], work, folder)
        assert (len(result["seconds"]), result["counted"]) == (1, work.counted)
        assert result["memory"] > 0
        assert result["loss"] == pytest.approx(own["loss"], rel=0.15)
        assert result["accuracy"] == pytest.approx(own["accuracy"], abs=0.1)


@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
@pytest.mark.parametrize("size", [1, 250])
def test_every_peer_predicts_the_same(peer: Any, size: int, folder: Path) -> None:
    module, _ = installed(peer)
    work = replace(SMALL, kind="predict", size=size)
    result = run_one.predict(module, peer, work, folder)
    own = run_one.predict(find_peers()["numpy"].load(), find_peers()["numpy"], work, folder)
    assert result["check"] == pytest.approx(own["check"], rel=1e-5)


@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
def test_every_neuron_is_the_notes_neuron(peer: Any, folder: Path) -> None:
    module, about = installed(peer)
    if "neuron" not in about["kinds"]:
        pytest.skip(f"{peer.name} trains no neuron")
    weights = NEURON_WEIGHTS.copy()
    run = module.neuron(run_one.NEURON_X, run_one.NEURON_Y, weights, 5_000, peer.variant)
    run()
    np.testing.assert_allclose(np.ravel(run()), (9.67299303, -0.20784350, -4.62963669), rtol=1e-7)


@pytest.mark.parametrize("kind", ["gemm", "copy"])
@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
def test_what_the_machine_can_do(peer: Any, kind: str, folder: Path) -> None:
    module, about = installed(peer)
    if kind not in about["kinds"]:
        pytest.skip(f"{peer.name} has none")
    result = run_one.KINDS[kind](module, peer, Work(kind, kind, kind, size=65, counted=2), folder)
    assert len(result["seconds"]) == 2


def test_samples_are_the_same_as_bytes_and_as_numbers(folder: Path) -> None:
    numbers, as_bytes = samples.read(folder, 100, False), samples.read(folder, 100, True)
    assert numbers.x.shape == (100, 784)
    assert numbers.x.dtype == np.float32
    assert as_bytes.x.dtype == np.uint8
    assert numbers.x.ctypes.data % samples.ALIGNMENT == 0
    np.testing.assert_array_equal(numbers.x, as_bytes.x / np.float32(255))
    assert numbers.x.max() == 1


def test_standardized_samples_have_no_zeros(folder: Path) -> None:
    plain, other = samples.read(folder, 100, False), samples.read(folder, 100, False, standardized=True)
    assert (plain.x == 0).mean() > 0.5
    assert (other.x != 0).all()
    assert (other.x.mean(), other.x.std()) == pytest.approx((0, 1), abs=1e-4)
    assert other.x.ctypes.data % samples.ALIGNMENT == 0
    back = other.x_test * plain.x.std() + plain.x.mean()
    np.testing.assert_allclose(back, plain.x_test, atol=1e-5)


def test_many_repetitions_are_kept_as_quartiles() -> None:
    few, many = (run_one.Clock(lambda: None, count).to_json() for count in (3, 500))
    assert (len(few["seconds"]), few["counted"]) == (3, 3)
    assert (len(many["seconds"]), many["counted"]) == (3, 500)
    assert many["seconds"] == sorted(many["seconds"])


# -- the report ------------------------------------------------------------------------------------------------------

WORK = replace(SMALL, targets=(Target("torch", 2.0), Target(BEST, 2.0), Target(FLOOR, 3.0), Target("jax", 1.0)))
FLOPS = 1e9
"""A second, of the best product of these made-up results."""


def made_up() -> dict[str, Any]:
    """dnnkit needs 2 floors, torch-compile 3, torch 8; torch learned something else."""
    unit = product_flops(WORK) / FLOPS
    gemm, copied = Work("gemm", "product", "gemm", size=10), Work("copy", "copy", "copy", size=1000)
    neuron = Work("6", "neuron", "neuron")

    def record(work: str, peer: str, number: int, *seconds: float, **more: Any) -> dict[str, Any]:
        about = {"round": number, "place": 0, "work": work, "peer": peer, "load": 0.5, "cores": 1.0, "first": 1.0}
        return about | {"seconds": list(seconds), "memory": 100 * 2**20} | more

    records = [record("gemm", "torch", 0, 2000 / FLOPS, 4000 / FLOPS), record("gemm", "dnnkit", 0, 3000 / FLOPS)]
    records += [record("copy", "torch", 0, 8000 / 1e9)]
    for number, factor in enumerate((1.0, 0.9, 1.2)):
        for peer, floors, accuracy in (("dnnkit", 2, 0.97), ("torch", 8, 0.95), ("torch-compile", 3, 0.965)):
            seconds = factor * floors * unit
            middle = (0.5 * seconds, seconds, 3 * seconds)  # the median of a process counts
            records.append(record("1", peer, number, *middle, loss=0.1, accuracy=accuracy))
    records += [record("6", "dnnkit", 0, 1e-3, loss=1.0), record("6", "torch", 0, 1e-2, loss=1.01)]
    return {
        "schema": SCHEMA,
        "kind": "works",
        "date": "2026-01-01T00:00:00+00:00",
        "machine": machine.describe(),
        "options": {"rounds": 3, "samples": 300, "epochs": None, "product": None, "data": "random"},
        "works": [work.to_json() for work in (gemm, copied, WORK, neuron)],
        "peers": {
            name: {"family": name.split("-")[0], "versions": {"p": "1.0"}, "setting": "usual", "threads": "2"}
            for name in ("dnnkit", "torch", "torch-compile")
        },
        "left_out": {"jax": "jax is not installed"},
        "records": records,
        "failures": [{"round": 1, "work": "6", "peer": "torch", "error": "out of memory"}],
    }


def test_medians_ratios_and_the_floor() -> None:
    results = Results(made_up())
    fastest, second, slowest = results.summaries(WORK)
    assert [s.peer for s in (fastest, second, slowest)] == ["dnnkit", "torch-compile", "torch"]
    assert results.rates("gemm") == [
        (pytest.approx(FLOPS), "torch"),
        (pytest.approx(FLOPS / 1.5), "dnnkit"),
    ]
    assert results.rates("copy")[0][0] == pytest.approx(1e9)  # bytes read and written
    floor = results.floor(WORK)
    assert floor is not None
    assert fastest.seconds == pytest.approx(2 * floor)
    assert fastest.quartiles == (pytest.approx(1.9 * floor), pytest.approx(2.2 * floor))


def test_targets_are_judged_by_the_fastest_they_speak_of() -> None:
    torch, best, floor, jax = Results(made_up()).verdicts(WORK)
    assert str(torch) == "at least 2× as fast as torch-compile: 1.50×, missed"
    assert str(best) == "at least 2× as fast as the best peer, torch-compile: 1.50×, missed"
    assert str(floor) == "at most 3× the floor: 2.00×, reached"
    assert str(jax) == "at least 1× as fast as jax: not measured"
    assert [verdict.holds for verdict in (torch, best, floor, jax)] == [False, False, True, False]


def test_who_did_other_work_is_named() -> None:
    results = Results(made_up())
    assert results.disagreements(WORK) == {"torch": "accuracy 0.95, dnnkit's is 0.97"}
    assert list(results.disagreements(results.works[-1])) == ["torch"]  # a neuron's loss must agree closely
    lost = made_up()
    for record in lost["records"]:
        if record["peer"] == "torch-compile":
            record["accuracy"] = float("nan")
    assert "torch-compile" in Results(lost).disagreements(WORK)


def test_the_report_tells_everything(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(made_up()))
    table, picture = report.write(path)
    text = table.read_text()
    for expected in (
        "| 1. small |",
        "| 0.95 (differs) |",
        "**torch differs**",
        "4.00× (4.00 – 4.00)",
        "at most 3× the floor: 2.00×, reached",
        "jax: jax is not installed",
        "torch, work 6, round 2: out of memory",
        "GFLOP/s: torch 1, dnnkit 1; the fastest counts",
        "| dnnkit | 100 | 100 |",
        "![dnnkit and its peers](results.png)",
    ):
        assert expected in text, expected
    widths = {line.count("|") for line in text.split("## 1.")[1].split("\n\n")[1].splitlines()}
    assert len(widths) == 1  # every row of a table has every column
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_report_without_dnnkit_or_without_anything(tmp_path: Path) -> None:
    results = made_up()
    results["records"] = [record for record in results["records"] if record["peer"] == "torch"]
    path = tmp_path / "results.json"
    for records in (results["records"], []):
        path.write_text(json.dumps({**results, "records": records}))
        assert report.write(path)[0].exists()


def test_the_report_of_growth(tmp_path: Path) -> None:
    results = made_up()
    results["kind"] = "growth"
    works = [Work(f"width-{width}", "", widths=(784, width, 10), axis="width", value=width) for width in (32, 64)]
    records = [copy.copy(record) for record in results["records"] if record["work"] == "1"]
    results["works"] = [work.to_json() for work in works]
    results["records"] = [{**record, "work": work.name} for work in works for record in records]
    path = tmp_path / "growth.json"
    path.write_text(json.dumps(results))
    table, picture = report.write(path)
    assert "## Time per step by width" in table.read_text()
    assert "| 64 |" in table.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_results_of_another_schema_are_refused() -> None:
    with pytest.raises(SystemExit, match="schema 0"):
        Results({"schema": 0})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.345, "12.3 s"), (1, "1.00 s"), (0.99999, "1.00 s"), (0.4671, "467 ms"), (11e-6, "11.0 µs"), (234.5, "234 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# -- parent and children ---------------------------------------------------------------------------------------------


def test_parent_and_children(tmp_path: Path) -> None:
    """A whole run, as people type it."""
    out = tmp_path / "results.json"
    options = {"rounds": 1, "samples": 200, "epochs": 1, "product": 64, "data": "random", "works": 1}
    options |= {"peers": "numpy,dnnkit", "out": out}
    command = [sys.executable, "-m", "benchmarks.peers", *(f"--{name}={value}" for name, value in options.items())]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
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
    """A parent whose children are made up; those of (peer, work) in `failing` fail. Returns who was called."""
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
    assert not any(work == "6" for _, work in calls)  # these can train no neuron
    assert ("torch-compile", "gemm") not in calls  # a variant of the same library
    peers = [peer for peer, work in calls if work == "1"]
    assert peers == ["dnnkit", "torch", "torch-compile", "torch", "torch-compile", "dnnkit", *peers[6:]]
    assert peers[6:] == ["torch-compile", "dnnkit", "torch"]
    assert "it broke" in out.with_suffix(".md").read_text()
    assert "jax is left out: it broke" in capsys.readouterr().err


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


def test_what_cannot_be_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--out", str(tmp_path / "nowhere" / "results.json")], "its folder does not exist"),
        (["--works", "1,x"], "unknown works x"),
        (["--peers", "x"], "unknown peers x"),
        (["report"], "needs the results"),
    ):
        with pytest.raises(SystemExit, match=message):
            parent.main(arguments)
    with pytest.raises(SystemExit):
        parent.main(["--rounds", "0"])
    with pytest.raises(SystemExit):
        parent.main(["--python", "numpy"])
    assert "expected PEER=PATH" in capsys.readouterr().err
