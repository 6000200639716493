"""The command line within this process: a second less per command than in a separate process."""

import contextlib
import importlib
import io
import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from dnnkit import cli

FEW = 4
"""Images in predictions.png, each of which takes as long as an epoch; separate processes draw all."""

WITHOUT_PICTURES = """
import runpy, sys
sys.modules["matplotlib"] = None
runpy.run_module("dnnkit", run_name="__main__", alter_sys=True)
"""
"""`-m dnnkit` where Matplotlib is not installed: drawing a run takes longer than a short run."""


def dnnkit(
    folder: Path, *arguments: str, encoding: str = "utf-8", pictures: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `dnnkit` with these arguments in that folder, with these variables and no choice of backend.

    Training draws no `pictures` unless they are requested, as if Matplotlib were not installed.
    """
    log = logging.getLogger("dnnkit")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, newline="\n") for _ in range(2))
    level, status = log.level, 0
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.delenv("DNNKIT_BACKEND", raising=False)
        for name, value in {"COLUMNS": "120", "TERM": "xterm", **variables}.items():
            patch.setenv(name, value)
        patch.setattr(importlib.import_module("dnnkit.cli.train_images"), "GRID", FEW)
        if arguments[:1] == ("train",) and not pictures:
            patch.setitem(sys.modules, "matplotlib", None)
        patch.setattr(sys, "argv", ["dnnkit", *arguments])
        patch.setattr(warnings, "formatwarning", warnings.formatwarning)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")
        warnings.showwarning = lambda *said, **_: sys.stderr.write(warnings.formatwarning(*said[:4]))  # not to pytest
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        for number in (signal.SIGINT, signal.SIGTERM):  # which a program that ends by one of them no longer handles
            stack.callback(signal.signal, number, signal.getsignal(number))
        stack.callback(os.chdir, os.getcwd())
        os.chdir(folder)
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            log.setLevel(level)
    for stream in (out, err):
        stream.seek(0)
    return subprocess.CompletedProcess(["dnnkit", *arguments], status, out.read(), err.read())
