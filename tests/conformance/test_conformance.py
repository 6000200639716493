"""Every question of `dnnkit.testing`, asked of every implementation about every kernel."""

from dnnkit.testing import Implementation, Question


def test_conformance(implementation: Implementation, question: Question, kernel: str) -> None:
    found = question.failures(implementation, kernel)
    assert not found, "\n".join(found)
