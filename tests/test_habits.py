"""Files that guard and describe the project agree with it."""

import re
from pathlib import Path

import dnnkit

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_pre_commit_runs_the_checks_of_make_lint():
    hooks = re.findall(r"entry: (\S+(?: [a-z]+)?)", (ROOT / ".pre-commit-config.yaml").read_text())
    lint = re.findall(r"\$\(BIN\)/(.*)", (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0])
    assert hooks == [re.sub(r" (\.|--check \.)$", "", line) for line in lint]


def test_the_version_to_cite_is_this_one():
    assert f"\nversion: {dnnkit.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_actions_are_pinned_and_every_python_is_tried():
    for workflow in WORKFLOWS:
        text = workflow.read_text()
        for action, rest in re.findall(r"uses: (\S+)(.*)", text):
            pinned = re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) and re.fullmatch(r" # v[\d.]+", rest)
            assert pinned or "zizmor: ignore" in rest, f"{workflow.name}: {action}"
        for versions in re.findall(r"python: \[(.*)\]", text):
            assert versions == '"3.11", "3.12", "3.13", "3.14"'


def test_nothing_says_that_it_is_on_an_index():
    """`pip install 'dnnkit[plot]'` adds to the installed dnnkit, and asks no index for it."""
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        assert not re.search(r"pip install '?dnnkit(?![-\[])|pypi\.org/p", document.read_text()), document.name
