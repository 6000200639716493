"""A kernel that trains for many steps in one launch, its blocks exchanging sums (`resident.cu`): correct, and with
bugs.

It has the structure that whole epochs on a GPU would have, and shows that the machine detects what can go wrong there.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnnkit.errors import ConfigurationError
from dnnkit.kernels._cuda.launch import launch
from dnnkit.kernels._cuda.source import Source
from tests.cuda_compile import nvrtc
from tests.cuda_on_cpu.compiling import ORDERS, KernelError, compile_for_cpu, order
from tests.cuda_on_cpu.cupy_stand_in import counts

pytestmark = pytest.mark.cuda_on_cpu

FILE = Path(__file__).with_name("resident.cu")
CODE = FILE.read_text()
WORKERS, THREADS = 3, 64
STEPS, ROWS, INPUTS, UNITS, OUTPUTS = 5, 6, 5, 4, 3
"""Units per worker."""
RATE = 0.1

PLACES = {"grid": 1, "cluster": WORKERS}
EXCHANGE = "        wait_for_all();  // for the parts\n"
LAST = "    wait_for_all();  // no block returns while others read its shared memory\n"
UNORDERED = r"with no barrier of both between|may not have started|returns while block|which has returned"


def planted(old: str = "", new: str = "") -> str:
    """Return the kernel with a part of it replaced."""
    assert not old or CODE.count(old) == 1
    return CODE.replace(old, new) if old else CODE


def trained(place: str, code: str = CODE, sanitize: bool = True) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return (losses, weights of each worker, inputs) after all steps."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((STEPS, ROWS, INPUTS)).astype(np.float32)
    targets = rng.standard_normal((STEPS, ROWS, OUTPUTS)).astype(np.float32)
    weights = rng.standard_normal((WORKERS, (INPUTS + OUTPUTS) * UNITS)).astype(np.float32)
    given = {"x": x, "targets": targets, "weights": weights.copy()}
    parts = np.full((2, WORKERS, ROWS, OUTPUTS), np.nan, np.float32)
    losses = np.zeros(STEPS, np.float32)
    sizes = [np.int32(size) for size in (ROWS, INPUTS, UNITS, OUTPUTS, STEPS)]
    module = compile_for_cpu(code, {"CLUSTER": str(PLACES[place])}, sanitize=sanitize, cooperative=place == "grid")
    shared = 4 * (weights[0].size + 2 * ROWS * UNITS + 3 * ROWS * OUTPUTS)
    arguments = (x, targets, weights, parts, losses, *sizes, np.float32(RATE))
    module.get_function("train_steps")((WORKERS,), (THREADS,), arguments, shared_mem=shared)
    return losses, weights, given


def expected(given: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Compute the same in NumPy, in float64 and with the units of all workers in one matrix."""
    split = INPUTS * UNITS
    w1 = np.hstack([own[:split].reshape(INPUTS, UNITS) for own in given["weights"].astype(float)])
    w2 = np.vstack([own[split:].reshape(UNITS, OUTPUTS) for own in given["weights"].astype(float)])
    losses = []
    for x, wanted in zip(given["x"], given["targets"], strict=True):
        hidden = np.maximum(x @ w1, 0)
        gradient = (hidden @ w2 - wanted) / ROWS
        losses.append((gradient**2).sum() * ROWS / 2)
        hidden_gradient = (gradient @ w2.T) * (hidden > 0)
        w1, w2 = w1 - RATE * x.T @ hidden_gradient, w2 - RATE * hidden.T @ gradient
    pairs = zip(np.hsplit(w1, WORKERS), np.vsplit(w2, WORKERS), strict=True)
    return np.array(losses), np.stack([np.concatenate([own1.ravel(), own2.ravel()]) for own1, own2 in pairs])


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("place", PLACES)
def test_it_trains_as_numpy_does(place: str, name: str) -> None:
    with order(name):
        losses, weights, given = trained(place)
    for got, want in zip((losses, weights), expected(given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_any_order_gives_the_same_bits() -> None:
    bits = set()
    for place in PLACES:
        for name in ORDERS:
            with order(name):
                bits.add(b"".join(array.tobytes() for array in trained(place)[:2]))
    assert len(bits) == 1


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("grid", EXCHANGE, ""),
        ("grid", "turn = step % 2", "turn = 0"),
        ("cluster", EXCHANGE, ""),
        ("cluster", "turn = step % 2", "turn = 0"),
        ("cluster", LAST, ""),
    ],
    ids=["grid-exchange", "grid-buffer", "cluster-exchange", "cluster-buffer", "cluster-last-wait"],
)
def test_a_missing_exchange_buffer_or_last_wait_is_always_detected(place: str, old: str, new: str) -> None:
    for name in ORDERS:
        with order(name), pytest.raises(KernelError, match=UNORDERED):
            trained(place, planted(old, new))


def test_unchecked_a_block_that_runs_ahead_spoils_the_result() -> None:
    """Without its exchange and without race detection: where blocks take turns the result may still be right."""
    with order("ahead"):
        losses, _, given = trained("grid", planted(EXCHANGE), sanitize=False)
    assert not np.allclose(losses, expected(given)[0], rtol=1e-4)


@pytest.mark.cuda_compile
def test_the_real_compiler_takes_it_too() -> None:
    """With workers in a cluster, which needs none of CUDA's headers."""
    options = ("-std=c++17", "-arch=sm_90", f"-DCLUSTER={WORKERS}", "-Werror", "all-warnings")
    assert nvrtc.compile_source(CODE, FILE.name, options)[0].startswith(b"\x7fELF")


def test_our_launcher_launches_a_grid_whole_or_not_at_all(cupy: Any) -> None:
    many = 1000  # more than the stand-in's GPU runs at once; arrays fit them all, lest a cut launch end the process
    source = Source(str(FILE), (("CLUSTER", "1"),))
    arrays = {
        "x": cupy.zeros((STEPS, ROWS, INPUTS), np.float32),
        "targets": cupy.asarray(np.ones((STEPS, ROWS, OUTPUTS), np.float32)),
        "weights": cupy.zeros((many, (INPUTS + OUTPUTS) * UNITS), np.float32),
        "parts": cupy.zeros((2, many, ROWS, OUTPUTS), np.float32),
        "losses": cupy.zeros(STEPS, np.float32),
    }
    sizes = {"rows": ROWS, "inputs": INPUTS, "units": UNITS, "outputs": OUTPUTS, "steps": STEPS, "rate": RATE}
    with pytest.raises(ConfigurationError, match=r"kernel train_steps: the GPU cannot run 1000 blocks of .* at once"):
        launch(source, "train_steps", many, THREADS, {**arrays, **sizes}, 4096, cooperative=True)
    assert not counts.launches
    launch(source, "train_steps", WORKERS, THREADS, {**arrays, **sizes}, 4096, cooperative=True)
    assert counts.launches == {"train_steps": 1}
    assert arrays["losses"].get().tolist() == pytest.approx([OUTPUTS / 2] * STEPS)
