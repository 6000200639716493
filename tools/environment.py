"""Virtual environment for `make`: create or repair it, and install dnnkit with an extra.

    python3 tools/environment.py .venv plot

Prints nothing if the environment is up to date. Any Python 3 can run this; if it is too old for dnnkit, it looks for
another.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = [os.path.join(ROOT, name) for name in ("pyproject.toml", "setup.py")]
"""The environment is outdated if these files have changed."""
INSTALLING = "installing"
"""Marker file while packages are unpacked: if it remains, the installation is incomplete."""
CONTAINS = {"plot": ("plot", "test")}
"""Extras, and the extras that include them."""
TICK, LINE = 0.2, 10.0
"""Seconds between progress updates, on a terminal and elsewhere."""
MEANINGS = (
    (r"Collecting ([\w.-]+)", "looking up {0}"),
    (r"Downloading ([^-]+)-(\d[^-]*)-\S+ (\(.*\))", "downloading {0} {1} {2}"),
    (r"Using cached ([^-]+)-(\d[^-]*)-\S+ (\(.*\))", "taking {0} {1} {2} from pip's cache"),
    (r"Installing collected packages: (.*)", "unpacking {count} packages"),
    (r"(?:Preparing|Building|Installing build)\b", "building dnnkit"),
)
"""Prefixes of pip's output, and their descriptions."""


class Failed(Exception):
    """An error that describes what went wrong and what to do."""


def main(folder, extra):
    """Ensure that `folder` is an environment with that extra of dnnkit."""
    oldest = oldest_python()
    state = state_of(folder, oldest)
    if state == "good" and any(is_fresh(folder, other) for other in CONTAINS.get(extra, (extra,))):
        return
    if state != "good":
        python = newest_python(oldest)
        if state != "missing":
            if not is_an_environment(folder):
                raise Failed(
                    f"{folder} is not a virtual environment ({state}): move it away, or use another: make VENV=..."
                )
            print(f"{folder} {state}: recreating it", flush=True)
        made = subprocess.run([python, "-m", "venv", "--clear", folder])
        if made.returncode:
            raise Failed(f"cannot create a virtual environment in {folder}, see above")
    install(folder, extra)


def oldest_python():
    """Return the minimum Python version of dnnkit."""
    with open(SOURCES[0], encoding="utf-8") as file:
        found = re.search(r'^requires-python = ">=(\d+)\.(\d+)"', file.read(), re.MULTILINE)
    return int(found.group(1)), int(found.group(2))


def newest_python(oldest):
    """Return this Python if it is new enough, or the newest one on the path."""
    if sys.version_info[:2] >= oldest:
        return sys.executable
    for minor in range(oldest[1] + 9, oldest[1] - 1, -1):
        found = shutil.which(f"python{oldest[0]}.{minor}")
        if found and version_of(found) is not None:
            print(f"{sys.executable} is Python {dotted(sys.version_info)}: using {found}", flush=True)
            return found
    raise Failed(
        f"dnnkit needs Python {dotted(oldest)} or later, and {sys.executable} is {dotted(sys.version_info)}: install a "
        "newer one, and use it with make PYTHON=/path/to/python3"
    )


def dotted(version):
    """Format a version as 3.12."""
    return f"{version[0]}.{version[1]}"


def version_of(python, modules="sys"):
    """Return (3, 12) for a working Python that has these modules; otherwise None."""
    code = f"import {modules}; print(sys.version_info[0], sys.version_info[1])"
    try:
        asked = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        major, minor = asked.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError):
        return None


def state_of(folder, oldest):
    """Describe what is wrong with an environment, or return "good" or "missing"."""
    if not os.path.lexists(folder):
        return "missing"
    version = version_of(os.path.join(folder, "bin", "python"), "sys, pip")
    if version is None:
        return "has no working Python with pip"
    if version < oldest:
        return f"has Python {dotted(version)}, but dnnkit needs {dotted(oldest)}"
    if os.path.exists(os.path.join(folder, INSTALLING)):
        return "has an incomplete installation"
    for path in glob.glob(os.path.join(folder, "installed-*")):
        with open(path, encoding="utf-8") as file:
            if not file.read().endswith(json.dumps(os.path.abspath(folder))):
                return "was moved from another folder"
    return "good"


def is_an_environment(folder):
    """Return whether it is a complete or partial environment; any other folder may hold a user's files."""
    if not os.path.isdir(folder):
        return False
    return os.path.exists(os.path.join(folder, "pyvenv.cfg")) or not any(files for _, _, files in os.walk(folder))


def is_fresh(folder, extra):
    """Return whether the extra was installed after the last change of the package's requirements."""
    stamp = os.path.join(folder, "installed-" + extra)
    return os.path.exists(stamp) and all(os.path.getmtime(stamp) >= os.path.getmtime(path) for path in SOURCES)


def install(folder, extra):
    """Install dnnkit with an extra, showing progress."""
    python, mark = os.path.join(folder, "bin", "python"), os.path.join(folder, INSTALLING)
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    # Modules are compiled on first import, which most of them never see.
    command += ["--no-compile", "--editable", f"{ROOT}[{extra}]"]
    start, lines = time.time(), []
    with Signs(f"installing dnnkit[{extra}] in {folder}") as signs:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "universal_newlines": True}
        with subprocess.Popen(command, **streams) as pip:
            try:
                for line in pip.stdout:
                    lines.append(line)
                    if line.startswith("Installing collected packages"):
                        open(mark, "w").close()
                    signs.say(meaning_of(line))
            except BaseException:
                pip.terminate()
                raise
    if pip.returncode:
        told = [line for line in lines if "ERROR" in line or "error" in line] or lines[-20:]
        raise Failed(f"pip could not install dnnkit[{extra}], with status {pip.returncode}:\n{''.join(told).rstrip()}")
    with open(os.path.join(folder, "installed-" + extra), "w", encoding="utf-8") as file:
        file.write(f"{extra} {json.dumps(os.path.abspath(folder))}")
    if os.path.exists(mark):
        os.remove(mark)
    print(f"installed in {time.time() - start:.0f} s", flush=True)


def meaning_of(line):
    """Describe pip's activity from a line of its output; None for other lines."""
    for pattern, words in MEANINGS:
        found = re.match(pattern, line.strip())
        if found:
            return words.format(*found.groups(), count=line.count(",") + 1)
    return None


class Signs:
    """Progress display: on a terminal an updating line with seconds, elsewhere a line now and then."""

    def __init__(self, title):
        self._text, self._start, self._over = title, time.time(), threading.Event()
        self._is_live = sys.stdout.isatty()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        print(self._text, flush=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        if self._is_live:
            print("\r\033[K", end="", flush=True)

    def say(self, text):
        """Set the description of the current activity, unless it is None."""
        self._text = text or self._text

    def _run(self):
        while not self._over.wait(TICK if self._is_live else LINE):
            line = f"  {time.time() - self._start:3.0f} s  {self._text}"
            if self._is_live:
                width = shutil.get_terminal_size().columns - 1
                print("\r\033[K" + line[:width], end="", flush=True)
            else:
                print(line, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failure:
        sys.exit(f"dnnkit: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
