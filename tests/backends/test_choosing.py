"""The choice of "auto" where no GPU can win or none works; where one works: tests/cuda_on_cpu/test_choosing.py."""

import re
import sys
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import choosing, get_backend
from dnnkit.backends.cupy_backend import cuda_diagnosis
from dnnkit.backends.cupy_backend.cuda_diagnosis import CudaState
from dnnkit.backends.program import Program
from tests import processes
from tests.backends.programs import WIDE, classifier

pytestmark = pytest.mark.usefixtures("_with_numba")


@pytest.fixture
def _with_numba() -> None:
    pytest.importorskip("numba")


SMALL: list[tuple[Program, int]] = [
    (classifier(3, 1), 4),
    (classifier(20, 64, 64, 64, 10), 32),
    (classifier(64, 128, 10), 32),
]


@pytest.mark.parametrize(("program", "rows"), SMALL)
def test_a_small_step_is_settled_without_a_look_at_a_gpu(
    program: Program, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_diagnosis, "probe", lambda: pytest.fail("a GPU was asked for"))
    chosen = choosing.choose(None, program, rows)
    assert chosen.backend is get_backend("numba")
    assert re.fullmatch(r"numba: [\d.]+ µs per step predicted here, \d+ at least on a GPU", chosen.why)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (CudaState(), "the package cupy is not installed"),
        (CudaState(cupy="14.2.0", driver=13000, driver_error=803), "of different versions: restart the machine"),
        (CudaState(None, 13000, 0, 1, import_error="ImportError: libcudart.so.12"), "CuPy cannot be imported"),
    ],
)
def test_an_absent_or_broken_gpu_is_a_line(state: CudaState, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_diagnosis, "probe", lambda: state)
    chosen = choosing.choose("auto", WIDE, 512)
    assert chosen.backend is get_backend("numba")
    assert re.match(r"numba: [\d,]+ µs per step predicted here; cupy cannot work: ", chosen.why)
    assert words in chosen.why
    assert "\n" not in chosen.why


def test_a_choice_is_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = get_backend("numpy")
    assert choosing.choose("numpy", WIDE, 512) == choosing.Chosen(numpy)
    assert choosing.choose(numpy, WIDE, 512) == choosing.Chosen(numpy)
    monkeypatch.setenv("DNNKIT_BACKEND", "numpy")
    assert choosing.choose(None, WIDE, 512) == choosing.Chosen(numpy)
    with dk.use_backend("numba"):
        assert choosing.choose(None, WIDE, 512) == choosing.Chosen(get_backend("numba"))


def test_with_an_unknown_processor_time_no_gpu_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.setattr(cuda_diagnosis, "probe", lambda: pytest.fail("a GPU was asked for"))
    chosen = choosing.choose(None, WIDE, 512)
    assert chosen.backend.name == "numpy"
    assert "is unknown" in chosen.why


@pytest.mark.parametrize("is_compiled", [False, True])
def test_a_network_that_only_predicts_stays(is_compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_diagnosis, "probe", lambda: pytest.fail("a GPU was asked for"))
    net = dk.Sequential([dk.Dense(4096), dk.Dense(4096)], seed=0)
    if is_compiled:
        net.compile("adam", "mean_squared_error")
    net.predict(np.ones((1, 784)))
    assert net.backend.name == "numba"
    assert net.history.plan.details[choosing.CHOSEN] == "numba: a network that only predicts runs where the data are"


def trained(**options: Any) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(5, activation="relu"), dk.Dense(3, activation="softmax")], seed=0, **options)
    net.compile("adam", "sparse_categorical_crossentropy")
    net.fit(np.ones((40, 4)), np.arange(40) % 3, verbose=0)
    return net


def test_history_inspection_saves_and_copies_say_why(tmp_path: Any) -> None:
    import copy
    import pickle

    net = trained()
    why = net.history.plan.details[choosing.CHOSEN]
    assert why.startswith("numba: ")
    assert net.history.plan.details["partition"] == "units/1"
    assert f"chosen by auto: {why}" in str(net.inspect())
    net.save(tmp_path / "run")
    for other in (dk.load(tmp_path / "run"), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        other.fit(np.ones((40, 4)), np.arange(40) % 3, verbose=0)
        assert other.backend is net.backend
        assert other.history.plan.details[choosing.CHOSEN] == why
        other.compile("sgd", "sparse_categorical_crossentropy")
        assert other.history.plan.details[choosing.CHOSEN] == why


def test_who_names_the_backend_is_told_nothing(tmp_path: Any) -> None:
    net = trained(backend="numba")
    assert choosing.CHOSEN not in net.history.plan.details
    assert "chosen by auto" not in str(net.inspect())
    net = trained()
    assert choosing.CHOSEN not in net.to("numpy").executable.plan.details


def test_a_network_keeps_the_backend_that_was_in_force_when_it_was_built() -> None:
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0)
    net.build(4)
    with dk.use_backend("numpy"):
        net.compile("adam", "sparse_categorical_crossentropy")
        assert net.backend.name == "numba"
        net.fit(np.ones((40, 4)), np.arange(40) % 3, batch_size=10, verbose=0)
    assert net.backend.name == "numba"


def test_the_record_of_an_untrusted_save_is_text_or_nothing() -> None:
    plan = trained().history.plan
    for strange, told in [(["a"], ""), ("a\x1b[31mb", ""), ("x" * 9000, "x" * 400), (3, "")]:
        assert choosing.reason_in(type(plan)(**{**vars(plan), "details": {choosing.CHOSEN: strange}})) == told


@pytest.mark.parametrize(("features", "imported"), [(64, "[]"), (784, "['dnnkit']")])
def test_training_a_small_network_imports_nothing_of_a_gpu(features: int, imported: str) -> None:
    """A larger network imports dnnkit's own modules, to look for a driver, and CuPy where there is one."""
    code = (
        "from dnnkit.backends.cupy_backend import cuda_diagnosis\n" * (features > 64)
        + "cuda_diagnosis._driver_version = lambda: None\n" * (features > 64)
        + "import sys, numpy as np, dnnkit as dk\n"
        "net = dk.Sequential([dk.Dense(128, activation='relu'), dk.Dense(10, activation='softmax')], seed=0)\n"
        "net.compile('adam', 'sparse_categorical_crossentropy')\n"
        f"net.fit(np.ones((64, {features}), np.float32), np.arange(64) % 10, verbose=0)\n"
        "found = [name for name in sys.modules if 'cupy' in name or 'cuda' in name]\n"
        "print(sorted({name.partition('.')[0] for name in found}))"
    )
    result = processes.run([sys.executable, "-c", code], check=True)
    assert result.stdout.strip() == imported
