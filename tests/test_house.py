"""The structure of the repository: direction and cost of imports, installed files, promises of the documents."""

import ast
import re
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

import dnnkit
from tests import processes

ROOT = Path(__file__).parents[1]
LEAVES = {
    "dnnkit.background",
    "dnnkit.deferred",
    "dnnkit.errors",
    "dnnkit.files",
    "dnnkit.installed",
    "dnnkit.registry",
}
ALLOWED = {"kernels": {"dnnkit.kernels"} | LEAVES, "backends": {"dnnkit.backends", "dnnkit.kernels"} | LEAVES}
RELATIVE = ROOT / "dnnkit" / "bench" / "peers"
"""Imports are relative only in this folder: an interpreter without dnnkit runs it as a package of another name."""
ARRAY_LIBRARIES = {"numba", "cupy", "cupyx", "llvmlite"}


@cache
def imported(file: Path) -> set[str]:
    """Return every module that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                assert file.parent == RELATIVE, f"{file}: relative import"
                assert node.level == 1, f"{file}: an import from outside the folder"
                module = ".".join(filter(None, (*RELATIVE.relative_to(ROOT).parts, module)))
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def sources(folder: str) -> list[Path]:
    links = {ROOT / "dnnkit" / "backends", ROOT / "dnnkit" / "kernels"}
    files = [file for file in (ROOT / folder).rglob("*.py") if not links & set(file.parents)]
    assert files
    return files


@pytest.mark.parametrize("folder", ["kernels", "backends"])
def test_imports_point_one_way(folder: str) -> None:
    for file in sources(folder):
        for name in imported(file):
            if name == "dnnkit" or name.startswith("dnnkit."):
                assert any(f"{name}.".startswith(f"{allowed}.") for allowed in ALLOWED[folder]), f"{file}: {name}"


def test_dnnkit_itself_imports_no_array_library_but_numpy() -> None:
    for file in sources("dnnkit"):
        assert not {name.split(".")[0] for name in imported(file)} & ARRAY_LIBRARIES, file


def test_peer_programs_need_nothing_of_dnnkit() -> None:
    """The child's interpreter may have only NumPy and the peer's library, so its imports stay in the folder."""
    to_do, seen = {RELATIVE / "__main__.py", RELATIVE / "run_one.py", *RELATIVE.glob("*_peer.py")}, set()
    while to_do:
        file = to_do.pop()
        seen.add(file.stem)
        for name in imported(file):
            if name.split(".")[0] != "dnnkit":
                continue
            inside = name.startswith("dnnkit.bench.peers.")
            assert inside or file.stem == "dnnkit_peer", f"{file}: {name}"
            module = RELATIVE / f"{name.split('.')[3]}.py" if inside else file
            to_do |= {module} if module.stem not in seen else set()
    assert {"works", "samples", "machine", "registry", "interpreters"} <= seen
    assert not {"parent", "report", "plots", "results"} & seen


def test_private_parts_of_numba_are_used_in_one_folder() -> None:
    for file in (*sources("kernels"), *sources("backends"), *sources("dnnkit")):
        private = {name for name in imported(file) if re.match(r"numba\.(_|core|np|cpython|typed|misc)", name)}
        assert not private or file.name == "private.py", (file, private)
        uses = any(name.startswith("dnnkit.kernels._numba.private") for name in imported(file))
        assert not uses or file.parent.name in ("_numba", "numba_backend"), file
    for file in sources("kernels"):
        assert file.parent.name == "_numba" or "_library" not in file.read_text(), file


def test_modules_that_all_packages_may_import_are_leaves() -> None:
    assert imported(ROOT / "dnnkit" / "errors.py") == set()
    for leaf in ("deferred.py", "files.py", "installed.py", "registry.py"):
        for name in imported(ROOT / "dnnkit" / leaf):
            ours = name.startswith(("dnnkit.deferred.", "dnnkit.errors.", "dnnkit.installed."))
            assert ours or name.split(".")[0] in sys.stdlib_module_names, name


def test_a_planted_import_in_the_wrong_direction_fails_lint(tmp_path: Path) -> None:
    """The lint rule works: a copy of the configuration rejects each forbidden import."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for folder, line in [
        ("dnnkit", "import numba"),
        ("dnnkit", "import cupy"),
        ("kernels", "from dnnkit.backends import program"),
        ("backends", "from dnnkit.network.sequential import Sequential"),
    ]:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        rules = ROOT / folder / "ruff.toml"
        if rules.exists():
            (place / "ruff.toml").write_text(rules.read_text())
        (place / "planted.py").write_text(f'"""Planted."""\n\n{line}\n')
        command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "planted.py"]
        result = processes.run(command, cwd=place)
        assert "TID251" in result.stdout, (folder, line, result.stdout + result.stderr)


def test_imports_of_dnnkit_load_no_compiler_plots_or_data() -> None:
    heavy = ["numba", "cupy", "matplotlib", "sklearn", "scipy", "rich", "typer", "threadpoolctl", "safetensors"]
    code = f"""
import sys, dnnkit
for name in dir(dnnkit):
    if not dnnkit._PLACES.get(name, "").startswith(("dnnkit.estimators", "dnnkit.tables")):  # these need scikit-learn
        getattr(dnnkit, name)
print([name for name in {heavy} if name in sys.modules])
"""
    result = processes.run([sys.executable, "-c", code], check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", ["backends", "kernels"])
def test_a_second_copy_under_another_name_is_refused(folder: str) -> None:
    result = processes.run([sys.executable, "-c", f"import {folder}"], cwd=ROOT)
    assert "ImportError" in result.stderr
    assert f"import this package as dnnkit.{folder}" in result.stderr


def test_the_symlinks_are_relative_and_committed() -> None:
    for folder in ("backends", "kernels"):
        link = ROOT / "dnnkit" / folder
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{folder}"


def test_wheel_and_sdist_contain_dnnkit_alone(tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = processes.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT)
    if files.returncode != 0:
        pytest.skip("not a git checkout")
    for name in files.stdout.split("\n")[:-1]:
        target = source / name
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():  # a source distribution has no links
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    processes.run([*pip, "-w", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"dnnkit", f"dnnkit-{dnnkit.__version__}.dist-info"}
    expected = {f"dnnkit/{name}" for name in files.stdout.split() if re.match(r"(backends|kernels)/.*\.(py|cu)$", name)}
    expected |= {name for name in files.stdout.split() if re.match(r"dnnkit/.*\.py$", name)}
    assert {name for name in names if name.endswith((".py", ".cu"))} == expected
    data = ("__init__.pyi", "ops.pyi", "py.typed", "datasets/digits.npy", "bench/page.css", "bench/page.js")
    assert {f"dnnkit/{name}" for name in data} <= set(names)


def test_the_version_is_written_once_more_only() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{dnnkit.__version__}"' in text
    assert dnnkit.__version__ in (ROOT / "CHANGELOG.md").read_text()
