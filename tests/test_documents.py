"""Documents are executed: Python blocks run in order, as one program per document, commands as written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import design_records, processes
from tests.dnnkit.cli.command import dnnkit
from tools import docs_site

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NEEDS_MNIST = "mnist"
SETS_UP = ("make ", "python3 -m venv", ". .venv", "pip install", "git ", "pytest", "python -m pytest")
"""Commands that create an environment or run these tests; CI runs the first two README commands itself."""

BRIEFLY = {
    "activations": ("--rounds", "2", "--epochs", "2", "--seeds", "2", "--activation", "relu,tanh"),
    "random": ("--quick", "--count", "2"),
}
"""Arguments that make benchmarks short."""


BLOCK = re.MULTILINE | re.DOTALL


def text_of(document: Path) -> str:
    return (ROOT / document).read_text()


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(document), BLOCK)


def has_mnist() -> bool:
    return (Path(os.environ.get("DNNKIT_DATA_DIR", "nowhere")) / "mnist").is_dir()


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell; a dnnkit command runs in this process, where its imports are loaded and compiled."""
    program, *arguments = shlex.split(command)
    if program == "dnnkit":
        return dnnkit(folder, *arguments, *(BRIEFLY.get(arguments[1], ()) if arguments[0] == "bench" else ()))
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    return processes.run(command, shell=True, cwd=folder, env=environment)


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d, "python")], ids=str)
def test_python_blocks(document: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(document, "python"))
    result = processes.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def peers() -> list[tuple[Path, str]]:
    """Return the documents with blocks of a peer's code, which begin with ```python with PACKAGE."""
    found = {
        (document, peer)
        for document in DOCUMENTS
        for peer in re.findall(r"^```python with (\w+)$", text_of(document), re.MULTILINE)
    }
    return sorted(found)


@pytest.mark.extras
@pytest.mark.parametrize(("document", "peer"), peers(), ids=str)
def test_python_blocks_beside_a_peer(document: Path, peer: str, tmp_path: Path) -> None:
    """Both halves as one program, which asserts what they compare."""
    pytest.importorskip(peer)
    code = "\n".join(re.findall(rf"^```python(?: with {peer})?\n(.*?)^```", text_of(document), BLOCK))
    result = processes.run([sys.executable, "-c", code], cwd=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d, "console")], ids=str)
def test_commands(document: Path, tmp_path: Path) -> None:
    commands = [
        line.removeprefix("$ ").split("  #")[0]
        for block in blocks(document, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    for command in commands:
        if command.startswith(SETS_UP) or (NEEDS_MNIST in command and not has_mnist()):
            continue
        result = run(command, tmp_path)
        assert result.returncode == 0, f"{command}: {result.stderr}"


def with_links() -> list[Path]:
    """Every document of the repository."""
    folders = ("backends", "benchmarks", "docs", "examples", "kernels", "tests", "tools")
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    return sorted(path.relative_to(ROOT) for path in found)


def test_every_link_between_documents_leads_somewhere() -> None:
    wrong = []
    for document in with_links():
        for found in docs_site.LINK.finditer(text_of(document)):
            file, _, anchor = (found["target"] or "").partition("#")
            if ":" in file:
                continue
            target = (ROOT / document).parent / file if file else ROOT / document
            is_there = target.exists() and (not anchor or anchor in docs_site.anchors(target.read_text()))
            if not is_there:
                wrong.append(f"{document}: {found['target']}")
    assert not wrong


def test_every_result_is_listed() -> None:
    """docs/results.md is the index of what was measured; pictures belong to the JSON of their name."""
    folder = ROOT / "benchmarks" / "results"
    listed = {*re.findall(r"\.\./benchmarks/results/([^)#\s]+)\)", text_of(Path("docs/results.md")))}
    assert {path.name for path in folder.iterdir() if path.suffix != ".png"} - listed == set()


def test_index_of_design_records() -> None:
    records = design_records.records()
    assert [record.number for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        assert record.status.startswith(design_records.STATUSES), f"{record.file.name}: {record.status}"
    assert design_records.FILE.read_text() == design_records.index(), "run python -m tests.design_records"


def test_a_superseded_design_record_names_its_successor() -> None:
    by_number = {record.number: record for record in design_records.records()}
    for record in by_number.values():
        for clause in re.findall(r"(?:Supersedes|supersedes|Amends|amends)[^.;]*(?:\.md[^.;]*)*", record.status):
            for number in re.findall(r"\[(\d{4})\]", clause):
                assert f"[{record.number}]" in by_number[number].status, (
                    f"{number}: its status does not name {record.number}"
                )
