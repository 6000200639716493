"""What is compiled, and what is kept of it: never stale, never mixed up, the same bits."""

import os
from pathlib import Path

import pytest

from dnnkit.kernels._numba.places import SUFFIX
from tests.kernels.checkouts import REPORT, copy_checkout, edit_unseen, files, run


def kernels(cache: Path) -> dict[str, tuple[int, int]]:
    return {name: state for name, state in files(cache).items() if name.endswith(SUFFIX)}


def test_a_second_process_compiles_nothing_and_an_edited_callee_is_never_stale(tmp_path):
    checkout, cache = copy_checkout(tmp_path / "checkout"), tmp_path / "cache"
    first = run(REPORT, checkout, cache)
    assert Path(first["from"]).is_relative_to(checkout)
    assert Path(first["folder"]).parent == cache / "dnnkit"
    assert first["relu"] == [0, 2, 3]
    assert first["gathered"] == [-2, 4, 6]
    assert (first["hits"], first["misses"]) == ([0, 0], 1)
    assert {line.split(" for ")[0] for line in first["stderr"].splitlines()} <= {"dnnkit: compiling"}

    kept = files(cache)
    assert len(kernels(cache)) == 2
    second = run(REPORT, checkout, cache)
    assert files(cache) == kept
    assert (second["hits"], second["misses"]) == ([1, 1], 0)
    assert second["relu"] == first["relu"]
    assert second["folder"] == first["folder"]
    assert second["stderr"] == ""

    # Words, above what is compiled: all lines have moved.
    for name in ("gather/cpu.py", "activations/relu/cpu.py", "_numba/entry_points.py", "activations/relu/reference.py"):
        source = checkout / "kernels" / name
        source.write_text('"""New words.\n\n\n"""\n# and more\n' + source.read_text())
    (checkout / "kernels" / "dense" / "gpu.py").write_text("another = 1\n")
    assert run(REPORT, checkout, cache) == second
    assert kernels(cache) == {name: state for name, state in kept.items() if name.endswith(SUFFIX)}

    relu = checkout / "kernels" / "activations" / "relu" / "cpu.py"
    edit_unseen(relu, "return zero if x < zero else x  # the", "return zero if x < zero else 2*x# the")
    third = run(REPORT, checkout, cache)
    assert third["relu"] == [0, 4, 6]
    assert third["folder"] != first["folder"]
    assert third["gathered"] == first["gathered"]


BITS = """
import json
import numpy as np
from dnnkit.kernels._numba.entry_points import loss_entry_points, optimizer_entry_points

rng = np.random.default_rng(0)
results = {}
state = rng.uniform(0.1, 1, (4, 1009)).astype(np.float32)
numbers = np.array([0.9, 0.999, 1e-7])
places = [state[row].ctypes.data for row in range(3)]
optimizer_entry_points("adam", "float32").call("update", 3, *places, 1009, 1009, 0.01, numbers.ctypes.data)
results["adam"] = state.tobytes().hex()
for loss in ("mean_squared_error", "softmax_cross_entropy"):
    scores, targets, gradient = rng.uniform(0.1, 1, (3, 65, 10)).astype(np.float32)
    weights, totals = rng.uniform(0, 2, 65).astype(np.float32), np.zeros(1)
    places = [array.ctypes.data for array in (scores, targets, weights, gradient, totals)]
    loss_entry_points(loss, "values", "float32").call("loss", *places[:3], 65, 10, 0.1, *places[3:])
    results[loss] = totals.tobytes().hex() + gradient.tobytes().hex()
print(json.dumps(results))
"""


@pytest.mark.slow
def test_what_is_compiled_and_what_is_read_from_the_cache_give_the_same_bits(checkout, tmp_path):
    first, second = (run(BITS, checkout, tmp_path / "cache") for _ in range(2))
    del first["stderr"], second["stderr"]  # the first tells that it compiles
    assert [name for name in first if first[name] != second[name]] == []


SMALL = '''"""Small functions."""

import numba

from dnnkit.kernels._numba.jit import jit


@jit
def divide(a, b, out):
    for e in range(a.size):
        out[e] = a[e] / b[e]


@jit
def quotient(a, b):
    return a / b


@jit
def is_nan(x):
    return x != x


@jit
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
import dnnkit.kernels._numba.entry_points
import dnnkit.kernels.optimizer_step.cpu
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


def test_kernels_can_be_debugged_as_plain_python(checkout, tmp_path):
    code = """
import json
import numpy as np
from dnnkit.kernels.gather import cpu as gather
from dnnkit.kernels.activations.relu import cpu as relu
out = np.empty((1, 2))
gather.gather(np.array([[1, 2]]), np.array([0]), 2.0, 1.0, out)
print(json.dumps({"gathered": out.tolist(), "relu": float(relu.forward(np.float64(-1)))}))
"""
    result = run(code, checkout, tmp_path / "cache", NUMBA_DISABLE_JIT="1")
    assert (result["gathered"], result["relu"]) == ([[3, 5]], 0)
