"""Copies of the package, run in separate processes with separate caches."""

import json
import os
import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from dnnkit.kernels._native import archive, fingerprint
from tests.processes import Process, started

CHECKOUT = Path(__file__).parents[2]
REPORT = """
import json, sys
from dataclasses import replace
import numpy as np
from dnnkit.kernels._native import fingerprint, functions, machine_code, places
from dnnkit.kernels._numba import entry_points

by_numba, by_llvm = [], []
compile_bitcode, find = machine_code.compile_bitcode, functions.Function.bitcode

def spied(self):
    return find(replace(self, make=lambda symbol: by_numba.append(self.name) or self.make(symbol)))

functions.Function.bitcode = spied
machine_code.compile_bitcode = lambda content: by_llvm.append(0) or compile_bitcode(content)
x = np.array([[-1.0, 2.0, 3.0]], np.float32)
y, gathered, rows = np.empty_like(x), np.empty((1, 3), np.float32), np.array([0])
relu = entry_points.activation_entry_points("relu", "float32")
relu.call("forward", x.ctypes.data, y.ctypes.data, 1, 3)
places_of = [array.ctypes.data for array in (x, rows, gathered)]
entry_points.gather_entry_points("float32", "float32").call("gather", *places_of, 2.0, 0.0, 1, 1, 3)
print(json.dumps({
    "from": entry_points.__file__,
    "relu": y[0].tolist(),
    "gathered": gathered[0].tolist(),
    "folder": str(places.places()[-1]),
    "archived": fingerprint.is_archived(),
    "by_numba": by_numba,
    "by_llvm": len(by_llvm),
    "numba": "numba" in sys.modules,
}))
"""


def copy_checkout(to: Path) -> Path:
    """Copy the package with its symlinks, without bytecode: an edit that keeps date and size has to be read."""
    for folder in ("dnnkit", "backends", "kernels"):
        shutil.copytree(CHECKOUT / folder, to / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def keep_archive(checkout: Path) -> None:
    """Let a copy that only has additional kernels use the archive, whose code is that of its sources, too.

    Otherwise it would compile everything with Numba, which takes seconds.
    """
    if fingerprint.is_archived():
        about = {**archive.about(), "sources": fingerprint.sources_of(checkout / "kernels")}
        (checkout / "kernels" / "_native" / "archive" / archive.ABOUT.name).write_text(json.dumps(about))


def environment(checkout: Path, cache: Path, **more: str) -> dict[str, str]:
    """Without the tests' folder of bytecode, where Python would look and write nothing."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "PYTHONPYCACHE"))}
    ours = {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(cache)}
    ours["DNNKIT_CACHE_DIR"] = ""
    return kept | ours | more


def start(code: str, checkout: Path, cache: Path, **more: str) -> AbstractContextManager[Process]:
    return started([sys.executable, "-c", code], env=environment(checkout, cache, **more), cwd=checkout)


def finish(process: Process) -> dict:
    done = process.end()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"stderr": done.stderr}


def run(code: str, checkout: Path, cache: Path, **more: str) -> dict:
    with start(code, checkout, cache, **more) as process:
        return finish(process)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every file below the folder, with its date and size."""
    found = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.stat().st_size) for file in found}


def edit_unseen(file: Path, old: str, new: str) -> None:
    """Replace text of the same length and restore the date."""
    before, text = file.stat(), file.read_text()
    assert len(old.encode()) == len(new.encode())
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
