"""Every check of `dnnkit.testing`, for every kernel of every implementation."""

import pytest

from dnnkit.testing import Implementation, Question

pytestmark = pytest.mark.usefixtures("one_blas_thread")


def test_conformance(implementation: Implementation, question: Question, kernel: str) -> None:
    found = question.failures(implementation, kernel)
    assert not found, "\n".join(found)
