"""Command lines, and environments that programs start in."""

import contextlib
import io
import os
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

import dnnkit as dk
from dnnkit import cli
from tests import processes
from tests.fuzz.reader import Reader
from tests.fuzz.saves import saved

NUMBERS = [
    "0", "1", "-1", "32", "1e3", "9" * 30, "9" * 5000, "2147483648", "0.5", "nan", "inf", "-inf", "1e-400", "", "x",
    "\u0661", "\u00b2",
]  # fmt: skip
NAMES = [
    "relu", "adam", "numpy", "digits", "circles", "mnist", "float32", "float16", "nobody", "", "\0", "é\ud800",
    "-", "x" * 300,
]  # fmt: skip
PLACES = [
    "", ".", "/", "/dev/null", "/dev/full", "nowhere/run", "x" * 300, "/proc/self/mem", "a\0b", "\ud800", "run",
    "samples.csv", "~",
]  # fmt: skip
TIMES = ["30 s", "0 s", "1 epoch", "9" * 400 + " s", "1e9 s", "-1 steps", "500 steps", "soon"]
OPTIONS: dict[str, list[str]] = {
    "--hidden": [*NUMBERS, "3,4", "3,,4", ",", "8," * 100 + "8", "128"],
    "--activation": [*NAMES, "f = cosh(2^(x+1e30))"],
    "--optimizer": NAMES,
    "--learning-rate": NUMBERS,
    "--batch-size": NUMBERS,
    "--epochs": NUMBERS,
    "--seed": NUMBERS,
    "--dtype": NAMES,
    "--backend": ["numpy", "cupy", "cupy:99999999999999999999", "numpy:x", *NAMES],
    "--out": PLACES,
    "--resume": PLACES,
    "--checkpoint-every": TIMES,
    "--json": [*PLACES, "-"],
    "--target": [*NAMES, "1", "1,2", "price"],
    "--task": ["classes", "numbers", "both", ""],
    "--ignore": [*NAMES, "1"],
    "--categories": ["1", ",", "\0"],
    "--held-out": NUMBERS,
    "--ensemble": NUMBERS,
    "--time-budget": NUMBERS,
    "--delimiter": [",", ";", "tab", "", "ab", '"', "\0", "\ud800"],
    "--decimal": [".", ",", ""],
    "--encoding": ["utf-16", "zip", "\0", ""],
    "--missing": ["?", "1"],
    "--schedule": [],
    "--overwrite": [],
    "--quiet": [],
    "--help": [],
    "--version": [],
    "--nothing": ["x"],
}  # fmt: skip

_OPTION = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda name: st.sampled_from(OPTIONS[name]).map(lambda value: [name, value]) if OPTIONS[name] else st.just([name])
)
_ANY = st.one_of(
    _OPTION, st.sampled_from([*PLACES, *NAMES, "@run", "@checkpoint", "@samples", "@table"]).map(lambda word: [word])
)
LINES = st.tuples(
    st.sampled_from(["train", "train", "predict", "inspect", "backends", "compile --nothing", "", "nobody"]),
    st.lists(_ANY, max_size=5),
)

OFFLINE = {"DNNKIT_MIRROR": "http://127.0.0.1:9"}
_real_fit = dk.Sequential.fit


def _short_fit(net: Any, x: Any, y: Any, **options: Any) -> Any:
    """One step, whatever was requested: long training is not a fault."""
    return _real_fit(net, x[:64], y[:64], **{**options, "epochs": None, "steps": 1, "validation_data": None})


def _status() -> Any:
    try:
        cli.main()
    except SystemExit as end:
        return end.code
    return None


def _run(line: Any, folder: Path) -> None:
    command, parts = line
    words = [word for part in parts for word in part]
    (folder / "samples.csv").write_text("1,2,3,4\n")
    (folder / "table.csv").write_text("price,1\n1.5,2\n")  # not enough rows to train on
    known = {
        "@run": saved("within an epoch"),
        "@checkpoint": saved("checkpoint"),
        "@samples": folder / "samples.csv",
        "@table": folder / "table.csv",
    }
    words = [str(known.get(word, word)) for word in words]
    before = Path.cwd()
    os.chdir(folder)
    try:
        with (
            patch.object(sys, "argv", ["dnnkit", *command.split(), *words]),
            patch.object(dk.Sequential, "fit", _short_fit),
            patch.dict(os.environ, {**OFFLINE, "DNNKIT_DATA_DIR": str(folder), "DNNKIT_BACKEND": "numpy"}),
            patch("dnnkit.datasets.download.PAUSES", ()),
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as errors,
        ):
            status = _status()
        if status == 2 and len(errors.getvalue() + out.getvalue()) > 10:
            raise dk.DnnkitError("refused, as the message says: " + errors.getvalue()[:100])
        assert status in (0, None), (status, errors.getvalue()[-300:])
    finally:
        os.chdir(before)


VARIABLES: dict[str, list[str]] = {
    "DNNKIT_BACKEND": ["numpy", "numba", "cupy", "nobody", "auto", "cupy:x", " ", "x" * 9000],
    "DNNKIT_PARTITION": ["units/2", "rows/-1", "x", "units/²", f"units/{'9' * 5000}", "rows/9999999", "rows/0"],
    "DNNKIT_CACHE_DIR": ["/dev/null", "/dev/null/x", "/proc", "x" * 5000, "~nobody/x", "relative", "\udcff", "/"],
    "DNNKIT_DATA_DIR": ["/dev/null", "/dev/null/x", "x" * 5000, "~", "\udcff", "/root/x"],
    "DNNKIT_MIRROR": ["http://127.0.0.1:9", "http://[", "https://", "file:///etc", "http://127.0.0.1:99999", "http://\udcff/"],
    "DNNKIT_DOWNLOAD_TIMEOUT": ["0", "-1", "nan", "inf", "1e999", "x", "1"],
    "DNNKIT_LARGEST_FILE": ["0", "1 GiB", "-1", "x", "9" * 5000, "1e9", "²"],
    "XDG_CACHE_HOME": ["/dev/null", "", "x" * 5000, "~"],
    "HOME": ["", "/dev/null", "/nowhere"],
    "NUMBA_NUM_THREADS": ["0", "-1", "x", "1", "99999999999999999999"],
    "NUMBA_CACHE_DIR": ["/dev/null"],
    "MPLBACKEND": ["nope", "agg"],
    "PYTHONIOENCODING": ["ascii", "gbk", "utf-16"],
    "LC_ALL": ["C", "POSIX", "nope"],
    "COLUMNS": ["0", "-1", "x", "1"],
    "TERM": ["", "dumb", "x"],
    "OMP_NUM_THREADS": ["0", "x", "-1"],
}  # fmt: skip
_VARIABLE = st.sampled_from([(name, value) for name in sorted(VARIABLES) for value in VARIABLES[name]])
ENVIRONMENTS = st.tuples(
    st.lists(_VARIABLE, min_size=1, max_size=3),
    st.sampled_from(["train digits --epochs 1 --hidden 4 --overwrite --out run", "backends", "train mnist --epochs 1"]),
)


def _start(case: Any, folder: Path) -> None:
    variables, line = case
    environment = {
        "DNNKIT_MIRROR": "http://127.0.0.1:9",
        "DNNKIT_DATA_DIR": str(folder),
        **os.environ,
        **dict(variables),
    }
    command = [sys.executable, "-m", "dnnkit", *line.split()]
    done = processes.run(command, cwd=folder, env={**environment, **dict(variables)})
    errors = done.stderr
    assert "Traceback" not in errors, errors[-600:]
    assert done.returncode in (0, 2), (done.returncode, errors[-300:])
    if done.returncode:
        raise dk.DnnkitError(f"refused, as it says: {errors[:300]}")


READERS = (
    Reader("command", LINES, _run, few=6, prepare=lambda: _run(("predict", [["@run", "@samples"]]), Path(mkdtemp()))),
    Reader("environment", ENVIRONMENTS, _start, few=1),
)
"""Return the readers of what starts a program."""
