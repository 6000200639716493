"""The hook that makes a site of the documents, and what the build refuses."""

import shutil
import sys
from pathlib import Path

import pytest

from tests import processes
from tools import docs_site

ROOT = Path(__file__).parents[2]


def test_links_that_leave_docs_lead_to_copies() -> None:
    text = "[a](../dnnkit/registry.py) [b](../examples) [c](../README.md#install) [d](gpu.md#what-to-install) [e](https://x.org)"
    assert docs_site.moved(text, "docs/speed.md") == (
        "[a](repository/dnnkit/registry.py.md) [b](repository/examples/README.md) [c](index.md#install) "
        "[d](gpu.md#what-to-install) [e](https://x.org)"
    )
    assert docs_site.moved("[a](../../kernels) [b](../gpu.md)", "docs/design/0001-x.md") == (
        "[a](../repository/kernels/index.md) [b](../gpu.md)"
    )
    assert docs_site.moved("[`a`](docs/gpu.md) [b](docs/design)", "README.md") == "[`a`](gpu.md) [b](design/README.md)"


def test_code_has_no_links() -> None:
    text = "`x[i](docs/gpu.md)`\n\n```python\ny[0](docs/gpu.md)\n```\n"
    assert docs_site.moved(text, "README.md") == text
    assert not [*docs_site.links(text, "README.md")]
    assert docs_site.anchors("# One `x`\n```sh\n# no heading\n```\n## A, b and [c](d.md)?\n") == {"one-x", "a-b-and-c"}


def test_what_is_linked_is_found_through_other_documents() -> None:
    known = docs_site.elsewhere()
    assert "CONTRIBUTING.md" in known  # by README.md
    assert "tests/conformance" in known  # by CONTRIBUTING.md
    assert not any(path.startswith("docs/") for path in known)


def test_notebooks_become_pages_with_their_pictures() -> None:
    text, pictures = docs_site.notebook_page("examples/1_one_neuron.ipynb")
    assert text.startswith("# ")
    assert "```python\n" in text
    assert "\x1b" not in text
    assert pictures
    for name, data in pictures.items():
        assert data.startswith(b"\x89PNG")
        assert f"({name})" in text


@pytest.mark.extras
def test_the_build_refuses_what_is_wrong(tmp_path: Path) -> None:
    pytest.importorskip("material")
    shutil.copytree(
        ROOT, tmp_path, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    page = tmp_path / "docs" / "threads.md"
    page.write_text(
        page.read_text()
        + "\n[a](nowhere.md) [b](gpu.md#nowhere)\n\ntext\n- not a list\n\n<img src='https://example.org/x.png'>\n"
    )
    (tmp_path / "docs" / "unlisted.md").write_text("# Unlisted\n")
    built = processes.run([sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=tmp_path)
    assert built.returncode != 0
    for said in ("nowhere.md", "#nowhere", "not a list", "https://example.org/x.png", "unlisted.md"):
        assert said in built.stderr, said


def test_tables_and_output_fit_a_phone() -> None:
    cell = docs_site.CELL.sub(
        docs_site.readable_cell,
        '<td style="x"><code>on_train_begin(logs)</code> a_b</td><td><code>a \\| b/__init__.py, 1.5</code></td><td>'
        "<code>BackupRestore</code></td>",
    )
    assert cell == (
        '<td style="x"><code>on_<wbr>train_<wbr>begin(<wbr>logs)</code> a_b</td>'
        "<td><code>a | b/<wbr>__init__.py, 1.5</code></td><td><code>Backup<wbr>Restore</code></td>"
    )
    assert docs_site.CELL.sub(docs_site.readable_cell, f"<td>{'word ' * 9}</td>").startswith("<td class=long>")
    block = '<div class="language-console highlight"><pre><span>$</span> {}</pre></div>'
    short, long = (block.format("&lt;" * count) for count in (100, 131))
    assert docs_site.TEXT.sub(docs_site.readable_text, short) == short
    assert docs_site.TEXT.sub(docs_site.readable_text, long) == long.replace(" highlight", " wrapped highlight")
