"""Copies of the package, run in processes of their own with caches of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
REPORT = """
import json, sys
import numba
from dnnkit.kernels._numba import entry_points, jit
from dnnkit.kernels.gather import cpu
import numpy as np

x = np.array([[-1.0, 2.0, 3.0]], np.float32)
y, gathered = np.empty_like(x), np.empty((1, 3), np.float32)
relu = entry_points.activation_entry_points("relu", "float32")
relu.call("forward", x.ctypes.data, y.ctypes.data, 1, 3)
cpu.gather(x, np.array([0]), 2.0, 0.0, gathered)
print(json.dumps({
    "from": jit.__file__,
    "relu": y[0].tolist(),
    "gathered": gathered[0].tolist(),
    "folder": str(jit.cache_folder()),
    "setting": numba.config.CACHE_DIR,
    "hits": [relu.compiled("forward").cache_hits, sum(cpu.gather.stats.cache_hits.values())],
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
    ours["DNNKIT_CACHE_DIR"] = ""
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
