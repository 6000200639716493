"""Questions: functions of an implementation and a case, registered by a decorator."""

from collections.abc import Callable, Iterable, Sequence

from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.testing.cases import Case, fitting
from dnnkit.testing.implementations import Implementation


@dataclass(frozen=True)
class Question:
    """One question about kernels of one kind.

    Attributes:
        kind: "activation", "dense", "stage", "loss", "metric", "own metric", "optimizer" or "data".
        operation: the operation that an implementation needs to support to be asked.
        ask: raises AssertionError if the answer is wrong.
        cases: the cases for a kernel, before those that are too large are dropped.
    """

    kind: str
    operation: str
    ask: Callable[[Implementation, Case], None]
    cases: Callable[[Implementation, str], Iterable[Case]]

    @property
    def name(self) -> str:
        """Its name in pytest."""
        return self.ask.__name__

    def failures(self, implementation: Implementation, kernel: str) -> list[str]:
        """Ask about a kernel in every case; return descriptions of the failures."""
        found = []
        for case in fitting(self.cases(implementation, kernel), implementation.largest):
            try:
                self.ask(implementation, case)
            except AssertionError as error:
                found.append(f"{implementation.name}, {self.name}, {case}: {str(error).strip()}")
            except Exception as error:
                found.append(f"{implementation.name}, {self.name}, {case}: {type(error).__name__}: {error}")
        return found


QUESTIONS: list[Question] = []

Ask = Callable[[Implementation, Case], None]


def question(kind: str, operation: str, cases: Callable[[Implementation, str], Iterable[Case]]) -> Callable[[Ask], Ask]:
    """Register a function as a question."""

    def decorate(ask: Ask) -> Ask:
        QUESTIONS.append(Question(kind, operation, ask, cases))
        return ask

    return decorate


def representatives() -> tuple[str, ...]:
    """Return one activation of each sort that dense layers treat alike: by what it saves, and elementwise or not."""
    found: dict[tuple[str, bool], str] = {}
    for name in registry.names("activation"):
        activation = registry.activation(name)
        if not activation.has_zero_gradient and name != "linear":
            found.setdefault((activation.saves, activation.elementwise), name)
    return (*found.values(), "linear")


def kernels(kind: str, operation: str) -> Sequence[str]:
    """Return all kernels of a kind, from the registries."""
    if kind in registry.FOLDERS:
        return registry.names(kind)
    if kind == "optimizer":
        return tuple(RULES)
    return representatives() if kind == "dense" else (operation,)


def asked(implementation: Implementation) -> list[tuple[Question, str]]:
    """Return all questions and kernels that apply to the implementation."""
    return [
        (question, kernel)
        for question in QUESTIONS
        if question.operation in implementation.operations
        for kernel in kernels(question.kind, question.operation)
    ]
