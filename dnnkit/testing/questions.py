"""The questions: each is a function of an implementation and a case, found by its decorator."""

from collections.abc import Callable, Iterable, Sequence

from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.testing.cases import Case, fitting
from dnnkit.testing.implementations import Implementation


@dataclass(frozen=True)
class Question:
    """One question, about kernels of one kind.

    Attributes:
        kind: "activation", "dense", "stage", "loss", "metric", "own metric", "optimizer" or "data".
        operation: what an implementation must perform to be asked.
        ask: raises AssertionError if the answer is wrong.
        cases: what is asked about a kernel, before what is too large is left out.
    """

    kind: str
    operation: str
    ask: Callable[[Implementation, Case], None]
    cases: Callable[[Implementation, str], Iterable[Case]]

    @property
    def name(self) -> str:
        """As in pytest's names."""
        return self.ask.__name__

    def failures(self, implementation: Implementation, kernel: str) -> list[str]:
        """Ask about a kernel, in every case; what was wrong, in words."""
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
    """The function is a question."""

    def decorate(ask: Ask) -> Ask:
        QUESTIONS.append(Question(kind, operation, ask, cases))
        return ask

    return decorate


def representatives() -> tuple[str, ...]:
    """An activation of each sort that a dense layer treats alike: what it saves, and whether it is elementwise."""
    found: dict[tuple[str, bool], str] = {}
    for name in registry.names("activation"):
        activation = registry.activation(name)
        if not activation.has_zero_gradient and name != "linear":
            found.setdefault((activation.saves, activation.elementwise), name)
    return (*found.values(), "linear")


def kernels(kind: str, operation: str) -> Sequence[str]:
    """Every kernel of a kind, from the registries."""
    if kind in registry.FOLDERS:
        return registry.names(kind)
    if kind == "optimizer":
        return tuple(RULES)
    return representatives() if kind == "dense" else (operation,)


def asked(implementation: Implementation) -> list[tuple[Question, str]]:
    """Every question and kernel that the implementation is asked about."""
    return [
        (question, kernel)
        for question in QUESTIONS
        if question.operation in implementation.operations
        for kernel in kernels(question.kind, question.operation)
    ]
