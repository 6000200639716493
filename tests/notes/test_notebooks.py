"""The notebooks run on every backend, and are committed with the outputs of their run."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.notes.notebooks import NAMES, skip_without_data, solution


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


IN_A_KERNEL = [
    # test_exercises.py also runs its cells, in the tests' own process. One notebook in a kernel is enough.
    pytest.param(name, marks=pytest.mark.slow) if name == "3_binary_classifier" else name
    for name in NAMES
]


@pytest.mark.parametrize("name", IN_A_KERNEL)
@pytest.mark.parametrize("backend", ["numba", pytest.param("numpy", marks=pytest.mark.slow)])
def test_a_notebook_runs(name, backend, tmp_path, monkeypatch):
    skip_without_data(name)
    monkeypatch.setenv("DNNKIT_BACKEND", backend)
    notebook = nbformat.from_dict(solution(name)).copy()
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises the first error of a cell
    wrong = [
        text for output in outputs(notebook) for text in re.findall(r"^✗.*$", output.get("text", ""), re.MULTILINE)
    ]
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_with_its_outputs(name):
    notebook = solution(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for output in outputs(notebook)}
    assert "error" not in kinds
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert not any(output.get("name") == "stderr" for output in outputs(notebook))
    assert not re.search(r"/(home|root|work|tmp|Users)/", str(notebook.cells)), "a path of the machine it ran on"
