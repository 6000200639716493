"""What is compiled, from which source, and what is cached: never stale, never mixed up, the same bits."""

import json
import os
import sys
from pathlib import Path

import pytest

from dnnkit.kernels._native import archive, fingerprint
from dnnkit.kernels._native.places import SUFFIX
from tests import processes
from tests.kernels.checkouts import REPORT, copy_checkout, edit_unseen, files, run


def kernels(cache: Path) -> dict[str, tuple[int, int]]:
    return {name: state for name, state in files(cache).items() if name.endswith(SUFFIX)}


@pytest.mark.skipif(not fingerprint.is_archived(), reason="the archive is for another system, or of other sources")
def test_code_comes_from_the_archive_once_and_an_edited_callee_is_new(tmp_path):
    checkout, cache = copy_checkout(tmp_path / "checkout"), tmp_path / "cache"
    first = run(REPORT, checkout, cache)
    assert Path(first["from"]).is_relative_to(checkout)
    assert Path(first["folder"]).parent == cache / "dnnkit"
    assert (first["relu"], first["gathered"]) == ([0, 2, 3], [-2, 4, 6])
    assert (first["archived"], first["by_numba"], first["by_llvm"], first["numba"]) == (True, [], 2, False)

    before = files(cache)
    assert len(kernels(cache)) == 2
    second = run(REPORT, checkout, cache)
    assert files(cache) == before
    assert second == first | {"by_llvm": 0, "stderr": ""}

    # Comments above the compiled code: all lines have moved. The archive is of other sources; the cached code is still
    # valid.
    for name in ("gather/cpu.py", "activations/relu/cpu.py", "_numba/entry_points.py", "activations/relu/reference.py"):
        source = checkout / "kernels" / name
        source.write_text('"""New words.\n\n\n"""\n# and more\n' + source.read_text())
    (checkout / "kernels" / "dense" / "gpu.py").write_text("another = 1\n")
    assert run(REPORT, checkout, cache) == second | {"archived": False}
    assert files(cache) == before

    relu = checkout / "kernels" / "activations" / "relu" / "cpu.py"
    edit_unseen(relu, "return zero if x < zero else x  # written", "return zero if x < zero else 2*x# written")
    third = run(REPORT, checkout, cache)
    assert third["relu"] == [0, 4, 6]
    assert third["folder"] != first["folder"]
    assert third["gathered"] == first["gathered"]
    assert third["by_numba"] == ["activation.relu.forward", "gather.float32.gather"]


def test_functions_not_in_the_archive_are_compiled(checkout, tmp_path):
    (checkout / "kernels" / "_native" / "archive").rename(tmp_path / "archive")
    try:
        result = run(REPORT, checkout, tmp_path / "cache")
    finally:
        (tmp_path / "archive").rename(checkout / "kernels" / "_native" / "archive")
    assert (result["relu"], result["gathered"]) == ([0, 2, 3], [-2, 4, 6])
    assert (result["archived"], len(result["by_numba"]), result["by_llvm"]) == (False, 2, 2)


def test_numba_settings_that_change_code_bypass_the_archive(checkout, tmp_path):
    results = [run(REPORT, checkout, tmp_path / "cache", **more) for more in ({}, {"NUMBA_BOUNDSCHECK": "1"})]
    assert not results[1]["archived"]
    assert results[1]["folder"] != results[0]["folder"]


BITS = """
import json
import numpy as np
from dnnkit.kernels._native import fingerprint
from dnnkit.kernels._numba.entry_points import activation_entry_points, loss_entry_points, optimizer_entry_points

rng = np.random.default_rng(0)
results = {"archived": fingerprint.is_archived()}
for dtype in ("float32", "float64"):
    state = rng.uniform(0.1, 1, (4, 1009)).astype(dtype)
    numbers = np.array([0.9, 0.999, 1e-7])
    places = [state[row].ctypes.data for row in range(3)]
    optimizer_entry_points("adam", dtype).call("update", 3, *places, 1009, 1009, 0.01, numbers.ctypes.data)
    activation_entry_points("gelu", dtype).call("forward", places[0], places[1], 1, 1009)
    results["adam, gelu", dtype] = state.tobytes().hex()
    scores, targets, gradient = rng.uniform(0.1, 1, (3, 65, 10)).astype(dtype)
    weights, totals = rng.uniform(0, 2, 65).astype(dtype), np.zeros(1)
    places = [array.ctypes.data for array in (scores, targets, weights, gradient, totals)]
    loss_entry_points("softmax_cross_entropy", "values", dtype).call("loss", *places[:3], 65, 10, 0.1, *places[3:])
    results["loss", dtype] = totals.tobytes().hex() + gradient.tobytes().hex()
print(json.dumps({str(key): value for key, value in results.items()}))
"""


def test_the_archive_and_numba_on_this_machine_give_the_same_bits(checkout, tmp_path):
    archived = run(BITS, checkout, tmp_path / "archived")
    (checkout / "kernels" / "_native" / "archive").rename(tmp_path / "archive")
    try:
        made = [run(BITS, checkout, tmp_path / "made") for _ in range(2)]  # compiled, and read
    finally:
        (tmp_path / "archive").rename(checkout / "kernels" / "_native" / "archive")
    assert not made[0]["archived"]
    for name in archived.keys() - {"archived", "stderr"}:
        assert archived[name] == made[0][name] == made[1][name], name


TRAIN = """
import json, sys
import numpy as np
import dnnkit as dk

x, y = np.random.default_rng(0).random((200, 70)), np.arange(200) % 3
x[x < 0.6] = 0
for dtype in ("float32", "float64"):
    net = dk.Sequential(
        [dk.Rescaling(0.5), dk.Dense(64, activation="gelu"), dk.Dropout(0.3), dk.Dense(3, activation="softmax")],
        seed=0, backend="numba", dtype=dtype,
    )
    net.compile(dk.Adam(global_clipnorm=1.0), "sparse_categorical_crossentropy", ["accuracy"])
    net.fit(x, y, validation_split=0.2, verbose=0)
    net.predict(x), net.predict(x[:2]), net.evaluate(x, y)
print(json.dumps("numba" in sys.modules))
"""


@pytest.mark.skipif(not fingerprint.is_archived(), reason="the archive is for another system, or of other sources")
def test_training_needs_no_numba_with_the_archive():
    done = processes.run([sys.executable, "-c", TRAIN], env={**os.environ})
    assert (done.returncode, done.stdout) == (0, "false\n"), done.stderr


def test_the_archive_is_of_these_sources():
    found, wanted = archive.sources(), fingerprint.sources_of(fingerprint.ROOT)
    assert found == wanted, "a kernel was changed: python -m dnnkit.kernels._numba.write_archive"
    assert archive.meaning() == fingerprint.meaning_of(fingerprint.ROOT), "by every version of Python"


def test_names_of_functions_are_in_the_archive_for_both_dtypes():
    from dnnkit.kernels._numba.write_archive import DTYPES, functions

    for dtype in DTYPES:
        for function in functions(dtype):
            assert archive.has(function.name)
            for level in archive.processor.LEVELS:
                assert function.name in archive._read(dtype, level), (function.name, dtype, level)
    about = json.loads(archive.ABOUT.read_text())
    assert set(about) == {"sources", "meaning", "triple", "llvm", "makers", "names"}


def test_bitcode_of_a_later_llvm_or_another_system_is_not_read(monkeypatch):
    about, name = archive.about(), next(iter(archive.about()["names"]))
    for change in ({"llvm": about["llvm"] + 100}, {"triple": "sparc-sun-solaris"}):
        monkeypatch.setattr(archive, "about", lambda change=change: about | change)
        assert archive.find(name, "float32") is None


@pytest.mark.slow
def test_every_function_in_the_archive_is_as_numba_makes_it_now():
    """With the versions that made it; names differ, and are not in it."""
    from importlib.metadata import version

    from dnnkit.kernels._numba.write_archive import bitcode

    makers = archive.about()["makers"]
    here = {name: version(name) for name in ("numba", "llvmlite")} | {"python": sys.version.split()[0]}
    if makers != here:
        pytest.skip(f"made by {makers}")
    for dtype in ("float32", "float64"):
        for name, made in bitcode(dtype).items():
            assert archive.find(name, dtype) == made, (name, dtype)
