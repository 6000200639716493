"""The scripts in `examples/` do what they say, with less data and fewer steps than by default."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from tests.conftest import STRICT

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem not in ("build", "exercises"))


@pytest.fixture
def name(backend: Backend) -> str:
    """The name of a backend, by which scripts choose it."""
    if backend.name == STRICT:
        pytest.skip("no script runs on it: CartPole takes it thirty times as long as NumPy")
    return backend.name


def script(name: str) -> ModuleType:
    """Import a script as a module outside any package."""
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_each_is_tested_here_and_in_the_table() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(SCRIPTS) <= tested
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in SCRIPTS if f"({name}.py)" not in readme] == []


def test_cartpole(name: str) -> None:
    """The physics are those cited, the gradient is that of the loss, and a policy improves."""
    cartpole, rng = script("cartpole"), np.random.default_rng(0)
    carts = cartpole.Carts(3, rng)
    carts.state = np.array([[0.0, 0.0, 0.05, 0.0], [2.39, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    after, fell, ended = carts.push(np.array([1, 1, 0]))
    # By hand: an upright pole that is pushed by 10 N; 1.1 kg, half of it 0.05 kg m.
    push = 10 / 1.1
    turn = -push / (0.5 * (4 / 3 - 0.1 / 1.1))
    np.testing.assert_allclose(after[2], [0, -0.02 * (push - 0.05 * turn * -1 / 1.1 * -1), 0, -0.02 * turn], rtol=1e-12)
    assert (fell == [False, True, False]).all()
    assert (ended == fell).all()
    assert carts.returns == [1]
    assert (np.abs(carts.state[1]) <= 0.05).all()

    logits, advantages, actions = rng.normal(size=(6, 2)), rng.normal(size=6), rng.integers(0, 2, 6)
    before = rng.uniform(0.3, 0.7, 6)

    def loss(z: np.ndarray) -> float:
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        ratio = p[np.arange(6), actions] / before
        least = np.minimum(ratio * advantages, np.clip(ratio, 0.8, 1.2) * advantages)
        return float(np.mean(-least + cartpole.ENTROPY * (p * np.log(p)).sum(1)))

    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = cartpole.logits_gradient(p, actions, before, advantages)
    for place in np.ndindex(6, 2):
        moved = [logits.copy(), logits.copy()]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        difference = (loss(moved[0]) - loss(moved[1])) / 2e-5
        assert found[place] == pytest.approx(difference, rel=1e-4, abs=1e-7)

    with dk.use_backend(name):
        steps, returns = cartpole.train(cartpole.DnnkitAgent(0), 0, most_steps=5_000)
    assert steps >= 5_000
    assert np.mean(returns[-20:]) > 1.5 * np.mean(returns[:20])


def test_autoencoder(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with dk.use_backend(name):
        found = script("autoencoder").main(epochs=8)
    assert found["error of the autoencoder"] < found["error of two principal components"]
    assert "digits known by their codes" in capsys.readouterr().out


def test_actor_critic(name: str) -> None:
    with dk.use_backend(name):
        found = script("actor_critic").main(steps=300)
    assert (found["policy"][3:, 1] > 0.7).all()
    assert found["value"][3, 0] > found["value"][0, 0]


def test_two_inputs(name: str) -> None:
    with dk.use_backend(name):
        found = script("two_inputs").main(epochs=6)
    assert found["sensors and mode"] < 0.5 * found["sensors alone"]
