"""The conformance kit: tests of what every backend has to do.

Run it with `check_backend(name)` or `python -m dnnkit.testing NAME`. It needs only dnnkit's own dependencies.
"""

from dnnkit.testing.backend_operations import of_backend
from dnnkit.testing.checking import Report, check_backend
from dnnkit.testing.conformance import QUESTIONS, Question, asked
from dnnkit.testing.implementations import PLAIN, Given, Implementation

__all__ = [
    "PLAIN",
    "QUESTIONS",
    "Given",
    "Implementation",
    "Question",
    "Report",
    "asked",
    "check_backend",
    "of_backend",
]
