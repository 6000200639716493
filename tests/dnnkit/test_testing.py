"""The conformance kit itself: it detects faults, reports all of them, and tests new parts."""

import itertools
from typing import Any

import numpy as np
import pytest

from dnnkit.backends.numpy_backend import NumpyBackend
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.testing import QUESTIONS, Report, asked, check_backend, checking, of_backend
from dnnkit.testing.__main__ import main
from dnnkit.testing.cases import Case, pairwise

pytestmark = pytest.mark.usefixtures("one_blas_thread")


class Wrong(NumpyBackend):
    """Mistakes that a plugin could make."""

    name = "wrong"

    def activation(self, activation: Any, x: Any, out: Any = None) -> Any:
        y = super().activation(activation, x, out)
        return y * 1.001 if activation.name == "tanh" else y

    def dropout(self, x: Any, keep: Any, rate: float, out: Any = None) -> Any:
        keep[...] = True
        return super().dropout(x, keep, rate, out)

    def metric(self, metric: Any, scores: Any, targets: Any, weights: Any) -> Any:
        return super().metric(metric, scores, targets, None)

    def clip_norm(self, x: Any, bound: float, out: Any = None) -> Any:
        raise RuntimeError("no norm today")


class Around(NumpyBackend):
    """Writes beyond the memory that it was given."""

    def activation(self, activation: Any, x: Any, out: Any = None) -> Any:
        y = super().activation(activation, x, out)
        if out is not None and out.base is not None and out.ndim and out.size:
            memory = np.lib.stride_tricks.as_strided(out.reshape(-1), (out.size + 1,))
            memory[-1] = 1
        return y


def failures(backend: NumpyBackend, kind: str, name: str, kernel: str) -> list[str]:
    (question,) = [question for question in QUESTIONS if (question.kind, question.name) == (kind, name)]
    return question.failures(of_backend(backend), kernel)


@pytest.mark.parametrize(
    ("kind", "name", "kernel", "words"),
    [
        ("activation", "values", "tanh", "units in the last place"),
        ("data", "dropped", "dropout", "the mask was changed, but is an input"),
        ("metric", "values", "categorical_accuracy", "the sum"),
        ("own metric", "own", "own_metric", "the sum"),
        ("data", "clipped", "clip_norm", "RuntimeError: no norm today"),
    ],
)
def test_a_mistake_is_found_and_described(kind: str, name: str, kernel: str, words: str) -> None:
    found = failures(Wrong(), kind, name, kernel)
    assert found
    assert all(failure.startswith(f"wrong, {name}, {kernel}(") for failure in found)
    assert words in found[0]
    assert not failures(NumpyBackend(), kind, name, kernel)


def test_a_write_outside_a_result_is_detected() -> None:
    assert any("outside the memory" in failure for failure in failures(Around(), "activation", "values", "relu"))


def test_every_failure_is_reported_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def some(implementation: Any) -> Any:
        return [pair for pair in asked(implementation) if pair[1] in ("tanh", "relu", "clip_norm")]

    monkeypatch.setattr(checking, "asked", some)
    monkeypatch.setattr(checking, "_trainings", lambda backend: [("to the end", lambda: 1 / 0)])
    with pytest.raises(AssertionError) as caught:
        check_backend(Wrong())
    printed = capsys.readouterr().out
    for words in ("activation: wrong, values, tanh", "data: wrong, clipped", "training: to the end: ZeroDivisionError"):
        assert words in str(caught.value)
        assert f"FAILED {words}" in printed
    assert "relu" not in str(caught.value)


def test_numpy_passes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks that `tests/conformance` runs one by one; here only a part of them, with all trainings."""

    def some(implementation: Any) -> Any:
        single = [pair for pair in asked(implementation) if pair[0].kind == "own metric"]  # the only one of its kind
        return asked(implementation)[::4] + single

    monkeypatch.setattr(checking, "asked", some)
    report = check_backend("numpy")
    assert isinstance(report, Report)
    assert report.failures == []
    assert all(line.passed == line.asked > 0 for line in report.lines)
    activations = next(line for line in report.lines if line.kind == "activation")
    assert set(activations.fast) == set(registry.names("activation"))
    assert str(report) in capsys.readouterr().out


def test_an_unknown_name_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonesuch"]) == 2
    assert "nonesuch" in capsys.readouterr().err


def test_everything_in_the_registries_is_tested() -> None:
    about = asked(of_backend(NumpyBackend()))
    for kind in registry.FOLDERS:
        assert {kernel for question, kernel in about if question.kind == kind} == set(registry.names(kind))
    assert {kernel for question, kernel in about if question.kind == "optimizer"} == set(RULES)


def test_pairs_are_all_there_in_few_combinations() -> None:
    factors = {"a": range(5), "b": range(4), "c": range(3), "d": range(2)}
    chosen = list(pairwise(**factors))
    for first, second in itertools.combinations(factors, 2):
        assert {(c[first], c[second]) for c in chosen} == set(itertools.product(factors[first], factors[second]))
    assert len(chosen) <= 25
    assert list(pairwise(a=[1, 2])) == [{"a": 1}, {"a": 2}]


def test_a_case_has_the_same_numbers_in_each_run() -> None:
    first, second = (Case("relu", "float32", (3,)).rng.normal(size=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert str(Case("relu", "float32", (3,), weighted=True)) == "relu(dtype=float32, shape=(3,), weighted=True)"
