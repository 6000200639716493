"""Compilation and its cache on disk: shared options, nothing stale, nothing compiled twice, no folder that must exist.

Whatever depends on a fresh process runs in one, on a copy of the checkout, with a cache folder of its own.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from dnnkit.kernels import compiled

CHECKOUT = Path(__file__).parents[2]
REPORT = """
import json, sys
import numba
from dnnkit.kernels import compiled, slices
from dnnkit.kernels.gather import cpu
import numpy as np

compiled.announce("kernels")
x = np.array([[-1.0, 2.0, 3.0]], np.float32)
y, gathered = np.empty_like(x), np.empty((1, 3), np.float32)
relu = slices.activation_slices("relu", "float32")
relu.call("forward", x.ctypes.data, y.ctypes.data, 1, 3)
cpu.gather(x, np.array([0]), 2.0, 0.0, gathered)
print(json.dumps({
    "from": compiled.__file__,
    "relu": y[0].tolist(),
    "gathered": gathered[0].tolist(),
    "folder": str(compiled.cache_folder()),
    "setting": numba.config.CACHE_DIR,
    "hits": [relu.functions["forward"].cache_hits, sum(cpu.gather.stats.cache_hits.values())],
    "misses": sum(cpu.gather.stats.cache_misses.values()),
}))
"""


def copy_checkout(to: Path) -> Path:
    """The package with its symlinks, without compiled Python: an edit that keeps date and size must be read."""
    for folder in ("dnnkit", "backends", "kernels"):
        shutil.copytree(CHECKOUT / folder, to / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def environment(checkout: Path, cache: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    ours = {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(cache)}
    return kept | ours | more


def start(code: str, checkout: Path, cache: Path, **more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(checkout, cache, **more),
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> dict:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out) | {"stderr": err}


def run(code: str, checkout: Path, cache: Path, **more: str) -> dict:
    return finish(start(code, checkout, cache, **more))


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below the folder, with its date and size."""
    found = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.stat().st_size) for file in found}


def edit_unseen(file: Path, old: str, new: str) -> None:
    """Replace text of the same length and put the date back."""
    before, text = file.stat(), file.read_text()
    assert len(old.encode()) == len(new.encode())
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy that no test edits."""
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


# The folder's name


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "kernels"
    shutil.copytree(compiled.ROOT.resolve(), root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_the_fingerprint_is_stable(tree, tmp_path):
    before = compiled.fingerprint(tree)
    assert compiled.fingerprint(tree) == before
    assert compiled.fingerprint() == before  # the same sources elsewhere
    for file in tree.rglob("*.py"):
        os.utime(file, (0, 0))
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "slices.cpython-311.pyc").write_bytes(b"bytecode")
    assert compiled.fingerprint(tree) == before


def test_the_fingerprint_changes_with_any_edited_file(tree):
    before = compiled.fingerprint(tree)
    sources = sorted(tree.rglob("*.py"))
    assert len(sources) > 50
    for file in sources:
        content = file.read_bytes()
        file.write_bytes(content + b"#")
        assert compiled.fingerprint(tree) != before, file
        file.write_bytes(content)
    assert compiled.fingerprint(tree) == before


def test_the_fingerprint_changes_with_a_file_added_renamed_removed_or_moved(tree):
    seen = [compiled.fingerprint(tree)]
    (tree / "relu" / "extra.py").write_text("")
    seen.append(compiled.fingerprint(tree))
    (tree / "relu" / "extra.py").rename(tree / "relu" / "other.py")
    seen.append(compiled.fingerprint(tree))
    (tree / "relu" / "other.py").rename(tree / "other.py")
    seen.append(compiled.fingerprint(tree))
    (tree / "other.py").unlink()
    assert compiled.fingerprint(tree) == seen[0]
    (tree / "mish" / "cpu.py").unlink()
    seen.append(compiled.fingerprint(tree))
    assert len(set(seen)) == len(seen)


def test_the_fingerprint_changes_with_two_files_exchanged(tree):
    before = compiled.fingerprint(tree)
    (tree / "relu" / "cpu.py").rename(tree / "kept")
    (tree / "elu" / "cpu.py").rename(tree / "relu" / "cpu.py")
    (tree / "kept").rename(tree / "elu" / "cpu.py")
    assert compiled.fingerprint(tree) != before


@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_the_fingerprint_changes_with_the_compiler(package, monkeypatch):
    before = compiled.fingerprint()
    monkeypatch.setattr(getattr(compiled, package), "__version__", "0.0")
    assert compiled.fingerprint() != before


@pytest.mark.parametrize("question", ["get_host_cpu_name", "get_host_cpu_features"])
def test_the_fingerprint_changes_with_the_processor(question, monkeypatch):
    before = compiled.fingerprint()

    class Features:
        def flatten(self):
            return "+none"

    monkeypatch.setattr(
        compiled.llvmlite.binding, question, lambda: "old" if question == "get_host_cpu_name" else Features()
    )
    assert compiled.fingerprint() != before


# What is in the folder


def test_a_second_process_compiles_nothing_and_an_edited_callee_is_never_stale(tmp_path):
    checkout, cache = copy_checkout(tmp_path / "checkout"), tmp_path / "cache"
    first = run(REPORT, checkout, cache)
    assert Path(first["from"]).is_relative_to(checkout)
    assert Path(first["folder"]).parent == cache / "dnnkit"
    assert first["relu"] == [0, 2, 3]
    assert first["gathered"] == [-2, 4, 6]
    assert (first["hits"], first["misses"]) == ([0, 0], 1)
    assert first["stderr"].count("\n") == 1
    assert "compiling kernels" in first["stderr"]
    assert first["folder"] in first["stderr"]

    kept = files(cache)
    assert any(name.endswith(".nbc") for name in kept)
    second = run(REPORT, checkout, cache)
    assert files(cache) == kept
    assert (second["hits"], second["misses"]) == ([1, 1], 0)
    assert second["relu"] == first["relu"]
    assert second["folder"] == first["folder"]
    assert second["stderr"] == ""  # announced once

    relu = checkout / "kernels" / "relu" / "cpu.py"
    edit_unseen(relu, "return zero if x < zero else x  # the", "return zero if x < zero else 2*x# the")
    third = run(REPORT, checkout, cache)
    assert third["relu"] == [0, 4, 6]
    assert third["folder"] != first["folder"]
    assert third["gathered"] == first["gathered"]


def test_two_processes_that_compile_at_once_agree(checkout, tmp_path):
    both = [start(REPORT, checkout, tmp_path / "cache") for _ in range(2)]
    results = [finish(process) for process in both]
    assert [result["relu"] for result in results] == [[0, 2, 3]] * 2
    assert [result["gathered"] for result in results] == [[-2, 4, 6]] * 2
    assert results[0]["folder"] == results[1]["folder"]
    generated = list((Path(results[0]["folder"]) / "generated").iterdir())
    assert [file.suffix for file in generated] == [".py"]  # no temporary file is left


def test_processes_that_compile_for_two_dtypes_at_once_do_not_mix_them_up(tmp_path, monkeypatch):
    """Both have read the index before either writes it; who is the first to write it is the last to write the code."""
    monkeypatch.setattr(compiled, "cache_folder", lambda: tmp_path)
    function = compiled.generated("small", "def same(x):\n    return x\n").same
    first, second = (compiled.compiled(function)._cache._cache_file for _ in range(2))
    with monkeypatch.context() as patch:
        for files in (first, second):
            patch.setattr(files, "_load_index", dict)
        write = first._save_data
        patch.setattr(first, "_save_data", lambda *what: (second.save("float64", "of float64"), write(*what)))
        first.save("float32", "of float32")
    assert second.load("float64") == "of float64"


BITS = """
import json
import numpy as np
from dnnkit.kernels.slices import loss_slices, update_slices

rng = np.random.default_rng(0)
results = {}
state = rng.uniform(0.1, 1, (4, 1009)).astype(np.float32)
numbers = np.array([0.9, 0.999, 1e-7])
places = [state[row].ctypes.data for row in range(3)]
update_slices("adam", "float32").call("update", 3, *places, 1009, 1009, 0.01, numbers.ctypes.data)
results["adam"] = state.tobytes().hex()
for loss in ("mean_squared_error", "softmax_cross_entropy"):
    scores, targets, gradient = rng.uniform(0.1, 1, (3, 65, 10)).astype(np.float32)
    weights, totals = rng.uniform(0, 2, 65).astype(np.float32), np.zeros(1)
    places = [array.ctypes.data for array in (scores, targets, weights, totals, totals, gradient, totals)]
    loss_slices(loss, "values", "float32").call("loss_and_metrics", *places[:3], 65, 10, 0.1, 0, *places[3:])
    results[loss] = totals.tobytes().hex() + gradient.tobytes().hex()
print(json.dumps(results))
"""


def test_what_is_compiled_and_what_is_read_from_the_cache_give_the_same_bits(checkout, tmp_path):
    first, second = (run(BITS, checkout, tmp_path / "cache") for _ in range(2))
    assert [name for name in first if first[name] != second[name]] == []


def test_threads_that_generate_the_same_module_at_once_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "cache_folder", lambda: tmp_path)
    failures = []

    def generate(barrier: threading.Barrier, number: int) -> None:
        barrier.wait()
        try:
            assert compiled.generated("small", f"value = {number}\n").value == number
        except Exception as error:
            failures.append(error)

    for number in range(50):
        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=generate, args=(barrier, number)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


# Where the folder is


def folder_of(monkeypatch, tmp_path: Path, user_cache: str) -> Path:
    """`cache_folder()` anew, its temporary folder in tmp_path."""
    monkeypatch.setenv("XDG_CACHE_HOME", user_cache)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return compiled.cache_folder.__wrapped__()


def test_the_folder_is_in_the_users_cache(monkeypatch, tmp_path, caplog):
    folder = folder_of(monkeypatch, tmp_path, str(tmp_path / "cache"))
    assert folder == tmp_path / "cache" / "dnnkit" / f"compiled-{compiled.fingerprint()}"
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert caplog.records == []


def test_without_a_setting_it_is_below_the_home(monkeypatch, tmp_path):
    assert folder_of(monkeypatch, tmp_path, "").parent == tmp_path / "home" / ".cache" / "dnnkit"


def test_a_folder_that_cannot_be_written_falls_back_with_one_line(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    folder = folder_of(monkeypatch, tmp_path, str(tmp_path / "file" / "cache"))
    assert folder.is_relative_to(tmp_path / "temporary")
    assert folder.is_dir()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(tmp_path / "file" / "cache" / "dnnkit") in caplog.text


def test_when_no_folder_can_be_kept_a_new_one_does(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(os, "getuid", lambda: "taken")
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary" / "dnnkit-taken").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = compiled.cache_folder.__wrapped__()
    assert folder.is_dir()
    assert folder.parent == tmp_path / "temporary"
    assert len(caplog.records) == 2


def test_kernels_work_from_the_fallback(checkout, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    result = run(REPORT, checkout, tmp_path / "file" / "cache", TMPDIR=str(tmp_path / "temporary"))
    assert result["relu"] == [0, 2, 3]
    assert Path(result["folder"]).is_relative_to(tmp_path / "temporary")
    lines = result["stderr"].splitlines()
    assert [line.split()[1] for line in lines] == ["compiled", "compiling"]


def test_announce_tells_once_for_each_cache_and_thing(monkeypatch, tmp_path, caplog):
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.setattr(compiled, "cache_folder", lambda folder=folder: folder)
        for what in ("kernels", "kernels", "the epoch", "kernels", "the epoch"):
            compiled.announce(what)
    assert len(caplog.records) == 4
    assert all(record.name == "dnnkit" for record in caplog.records)


# What is compiled

SMALL = '''"""Small functions."""

import numba

from dnnkit.kernels.compiled import compiled


@compiled
def divide(a, b, out):
    for e in range(a.size):
        out[e] = a[e] / b[e]


@compiled
def quotient(a, b):
    return a / b


@compiled
def is_nan(x):
    return x != x


@compiled
def count_nan(x):
    count = 0
    for e in range(x.size):
        count += x[e] != x[e]
    return count


@numba.njit(cache=True)
def of_the_user(x):
    return x + 1
'''

SMALL_REPORT = """
import json, math
import numba
before = numba.config.CACHE_DIR
import numpy as np
import dnnkit.kernels.slices
import dnnkit.kernels.update.cpu
import small

a, b, out = np.array([1.0, -1.0, 0.0, 3.0] * 9), np.array([0.0, 0.0, 0.0, 2.0] * 9), np.empty(36)
small.divide(a, b, out)
small.of_the_user(1)
print(json.dumps({
    "quotients": [repr(float(q)) for q in out[-4:]],
    "quotient": [repr(small.quotient(a, b)) for a, b in [(1.0, 0.0), (-1.0, 0.0), (1, 0)]],
    "nan": [small.is_nan(math.nan), small.is_nan(np.float32("nan")), small.is_nan(1.0)],
    "count": small.count_nan(np.array([np.nan, 1.0] * 50)),
    "settings": [before, numba.config.CACHE_DIR],
    "paths": [small.divide._cache.cache_path, small.of_the_user._cache.cache_path],
}))
"""


def test_options_and_whose_cache(checkout, tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "small.py").write_text(SMALL)
    users = tmp_path / "users"
    result = run(
        SMALL_REPORT,
        checkout,
        tmp_path / "cache",
        PYTHONPATH=os.pathsep.join([str(checkout), str(tmp_path / "modules")]),
        NUMBA_CACHE_DIR=str(users),
    )
    # Division by zero gives a number, not an exception.
    assert result["quotients"] == ["inf", "-inf", "nan", "1.5"]
    assert result["quotient"] == ["inf", "-inf", "inf"]
    # NaN is seen.
    assert result["nan"] == [True, True, False]
    assert result["count"] == 50
    # Other users of Numba keep their setting, and their functions their folder.
    assert result["settings"] == [str(users)] * 2
    ours, theirs = map(Path, result["paths"])
    assert ours.is_relative_to(tmp_path / "cache" / "dnnkit")
    assert theirs.is_relative_to(users)
    assert len(list(theirs.glob("*.nbc"))) == 1


def test_the_setting_is_put_back_when_a_declaration_fails():
    before = compiled.numba.config.CACHE_DIR
    with pytest.raises(TypeError):
        compiled.compiled("not a function")
    assert before == compiled.numba.config.CACHE_DIR


def test_kernels_can_be_debugged_as_plain_python(checkout, tmp_path):
    code = """
import json
import numpy as np
from dnnkit.kernels.gather import cpu as gather
from dnnkit.kernels.relu import cpu as relu
out = np.empty((1, 2))
gather.gather(np.array([[1, 2]]), np.array([0]), 2.0, 1.0, out)
print(json.dumps({"gathered": out.tolist(), "relu": float(relu.forward(np.float64(-1)))}))
"""
    result = run(code, checkout, tmp_path / "cache", NUMBA_DISABLE_JIT="1")
    assert (result["gathered"], result["relu"]) == ([[3, 5]], 0)


def test_a_folder_that_others_may_write_to_is_not_used(monkeypatch, tmp_path, caplog):
    (tmp_path / "cache" / "dnnkit").mkdir(parents=True)
    (tmp_path / "cache" / "dnnkit").chmod(0o777)
    folder = folder_of(monkeypatch, tmp_path, str(tmp_path / "cache"))
    assert folder.is_relative_to(tmp_path / "temporary")
    assert "others may write there" in caplog.text
    assert list((tmp_path / "cache" / "dnnkit").iterdir()) == []
