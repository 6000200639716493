"""Options of Numba's compilation, and effects on other users of Numba."""

import os
from pathlib import Path

from tests.kernels.checkouts import run

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
    "path": small.of_the_user._cache.cache_path,
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
    # NaN is detected.
    assert result["nan"] == [True, True, False]
    assert result["count"] == 50
    # Other users of Numba keep their setting, and their functions their folder.
    assert result["settings"] == [str(users)] * 2
    theirs = Path(result["path"])
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
