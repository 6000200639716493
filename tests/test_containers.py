"""The Dockerfile of docs/containers.md: its steps, one by one, in a folder in place of the image; without Docker."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels.checkouts import files

ROOT = Path(__file__).parents[1]
SOURCES = ("dnnkit", "backends", "kernels", "pyproject.toml", "setup.py", "README.md", "LICENSE")

AS_ANOTHER = """
import ctypes, os, runpy, sys

class Two(ctypes.Structure):
    _fields_ = [("a", ctypes.c_uint32), ("b", ctypes.c_int)]

class Sets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]

system = ctypes.CDLL(None, use_errno=True)
system.prctl(8, 1, 0, 0, 0)  # keep rights, of which all but one are given up: to read Python itself, wherever it is
user, group = map(int, sys.argv.pop(1).split(":"))
os.setgroups([])
os.setgid(group)
os.setuid(user)
reads = 1 << 2
assert system.capset(ctypes.byref(Two(0x20080522, 0)), ctypes.byref((Sets * 2)(Sets(reads, reads, 0)))) == 0
os.umask(0o022)
sys.argv.pop(0)
runpy.run_module("dnnkit", run_name="__main__")
"""


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions and their arguments."""
    (text,) = re.findall(r"^```dockerfile\n(.*?)^```", (ROOT / "docs" / "containers.md").read_text(), re.M | re.S)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]  # type: ignore[misc]


class Image:
    """A folder with a Python that has dnnkit's requirements; absolute paths of the Dockerfile are inside it."""

    def __init__(self, root: Path) -> None:
        self.root, self.user, self.command = root, "", list[str]()
        self.paths: set[str] = {"/tmp"}
        self.folder = root
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        (root / "root").mkdir()
        subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
        (packages,) = (root / "venv" / "lib").glob("python*/site-packages")
        (packages / "theirs.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.variables = {
            "PATH": f"{root / 'venv' / 'bin'}:/usr/bin:/bin",
            "HOME": str(root / "root"),
            "TMPDIR": str(root / "tmp"),
            "PIP_NO_DEPS": "1",  # they are installed already
            "PIP_NO_BUILD_ISOLATION": "0",  # "0" disables build isolation
            "PIP_NO_INDEX": "1",
        }

    def inside(self, text: str) -> str:
        paths = "|".join(map(re.escape, sorted(self.paths, key=len, reverse=True)))
        return re.sub(rf"(?<![\w/])({paths})(?!\w)", lambda found: str(self.root / found[0][1:]), text)

    def run(self, instruction: str, rest: str) -> None:
        if instruction == "ENV":
            name, value = rest.split("=", 1)
            self.paths.add(value)
            self.variables[name] = self.inside(value)
        elif instruction == "COPY":
            source, target = rest.split()
            assert source == "."
            self.paths.add(target)
            self._copy(Path(self.inside(target)))
        elif instruction == "RUN":
            assert not self.user
            command = ["sh", "-e", "-c", self.inside(rest)]
            done = subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True)
            assert done.returncode == 0, f"{rest}: {done.stdout}{done.stderr}"
        elif instruction == "USER":
            self.user = rest
        elif instruction == "WORKDIR":
            self.folder = Path(self.inside(rest))
        elif instruction == "CMD":
            self.command = [self.inside(word) for word in json.loads(rest)]
        else:
            assert instruction == "FROM"

    def _copy(self, target: Path) -> None:
        for name in SOURCES:
            if (ROOT / name).is_dir():
                kept = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, target / name, symlinks=True, ignore=kept)
            else:
                shutil.copy(ROOT / name, target / name)

    def start(self) -> subprocess.CompletedProcess[str]:
        """Run what the container runs, as its user."""
        program, *arguments = self.command
        assert program == "dnnkit"
        python = self.root / "venv" / "bin" / "python"
        command = [str(python), "-c", AS_ANOTHER, self.user, program, *arguments]
        variables = {**self.variables, "HOME": "/nonexistent"}
        return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user can read, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="dnnkit-image-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_the_steps_are_those_that_the_test_knows() -> None:
    steps = dockerfile()
    assert steps[0][0] == "FROM"
    assert steps[-1][0] == "CMD"
    assert [rest for instruction, rest in steps if instruction == "ENV"] == ["DNNKIT_CACHE_DIR=/opt/dnnkit"]
    assert sum("dnnkit compile" in rest for instruction, rest in steps if instruction == "RUN") == 1
    (user,) = (rest for instruction, rest in steps if instruction == "USER")
    assert all(int(number) for number in user.split(":"))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux") or os.getuid() != 0, reason="only root becomes another user")
def test_its_container_trains_and_compiles_nothing(root: Path) -> None:
    image = Image(root)
    for instruction, rest in dockerfile():
        image.run(instruction, rest)
    cache = root / "opt" / "dnnkit"
    shipped = files(cache)
    assert any(name.endswith(".kernel") for name in shipped)
    done = image.start()
    assert done.returncode == 0, done.stderr
    assert "dnnkit:" not in done.stderr  # Matplotlib reports the missing home folder
    assert "backend numba" in done.stdout
    assert "test accuracy" in done.stdout
    assert files(cache) == shipped
    uid = image.user.partition(":")[0]
    own = files(root / "tmp" / f"dnnkit-{uid}")  # there is no home folder
    assert not [name for name in own if name.endswith((".kernel", ".lock"))]
