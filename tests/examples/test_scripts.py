"""The scripts in `examples/` do what they say, with less data and fewer steps than by default."""

import asyncio
import http.client
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

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
    if name == "serve":
        pytest.importorskip("starlette")
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


class Gate:
    """A network whose predictions wait until `open` is set, and are counted."""

    def __init__(self, net: dk.Sequential) -> None:
        self.net, self.dtype, self.input_shape = net, net.dtype, net.input_shape
        self.open, self.rows = threading.Event(), []

    def predict(self, x: Any) -> Any:
        self.rows.append(len(x))
        assert self.open.wait(30)
        return self.net.predict(x)


async def ask(app: Any, body: bytes, path: str = "/predict", method: str = "POST") -> tuple[int, Any]:
    """What an ASGI server does for one request, whose body comes in two parts."""
    parts = [{"type": "http.request", "body": body[:7], "more_body": True}, {"type": "http.request", "body": body[7:]}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "path": path, "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    json_sent = (b"content-type", b"application/json") in sent[0]["headers"]
    return sent[0]["status"], json.loads(sent[1]["body"]) if json_sent else None


def body_of(x: Any) -> bytes:
    return json.dumps({"x": np.asarray(x).tolist()}).encode()


def small() -> tuple[dk.Sequential, Any]:
    """A network and rows for it."""
    net = dk.Sequential([dk.Dense(16, activation="tanh"), dk.Dense(3, activation="softmax")], seed=0)
    net.build((5,))
    return net, np.random.default_rng(0).normal(size=(60, 5)).astype("float32")


def test_serve(name: str) -> None:
    """Requests at the same time are answered by few predictions, each as `predict` would; one bad request by itself."""
    with dk.use_backend(name):
        net, x = small()
        gate = Gate(net)
        app = script("serve").application(gate, most=16)

        async def scenario() -> None:
            pieces = np.split(x, np.cumsum(np.resize([1, 2, 3], 29)))
            bodies = [body_of(piece) for piece in pieces if len(piece)]
            bad = np.where(np.arange(5) == 2, np.nan, 0.0)[None]
            asked = asyncio.gather(*(ask(app, one) for one in [*bodies, body_of(bad)]))
            for _ in range(1000):  # passes of the event loop, until all requests wait for the first
                await asyncio.sleep(0)
            gate.open.set()
            answers = await asked
            for piece, (status, answer) in zip(pieces, answers[:-1], strict=False):
                assert status == 200
                np.testing.assert_allclose(answer["predictions"], net.predict(piece), rtol=1e-5, atol=1e-7)
            assert answers[-1][0] == 400
            assert "NaN" in answers[-1][1]["error"]

        asyncio.run(scenario())
        assert gate.rows[:2] == [1, sum(np.resize([1, 2, 3], 17)[1:])]  # the first finds an idle server
        assert len(gate.rows) <= 3 + 14  # the last batch has the bad request and is asked one by one


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no JSON", "JSONDecodeError"),
        (b"\xff", "UnicodeDecodeError"),
        (b"[" * 100_000, "RecursionError"),
        (b'{"x": [[1' + b"0" * 400 + b"]]}", "OverflowError"),
        (b"[1]", "TypeError"),
        (b"{}", "KeyError"),
        (b'{"x": "/etc/passwd"}', "ValueError"),
        (b'{"x": [[1, 2], [3]]}', "ValueError"),
        (b'{"x": [[1, 2]]}', "x has shape (1, 2): expected (samples, 5)"),
        (b'{"x": [1, 2, 3, 4, 5]}', "for one sample x[None, :]"),
        (b'{"x": 3}', "ValueError"),
        (b'{"x": []}', "x is empty"),
    ],
)
def test_serve_says_what_it_expects(body: bytes, said: str) -> None:
    """And a good request in the same batch is answered."""
    net, x = small()
    gate = Gate(net)
    app = script("serve").application(gate)

    async def scenario() -> list[tuple[int, Any]]:
        first = asyncio.create_task(ask(app, body_of(x[:1])))
        while not gate.rows:
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(ask(app, one)) for one in (body, body_of(x[1:2]))]
        await asyncio.sleep(0.01)
        gate.open.set()
        return await asyncio.gather(first, *later)

    _, (status, answer), good = asyncio.run(scenario())
    assert status == 400
    assert said in answer["error"]
    assert "\n" not in answer["error"]
    assert good[0] == 200
    np.testing.assert_allclose(good[1]["predictions"], net.predict(x[1:2]), rtol=1e-5)


def test_serve_while_a_prediction_runs() -> None:
    """Health is answered, and who leaves is no part of later predictions."""
    net, x = small()
    gate = Gate(net)
    app = script("serve").application(gate)

    async def scenario() -> None:
        first = asyncio.create_task(ask(app, body_of(x[:1])))
        while not gate.rows:
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(ask(app, body_of(x[k : k + 1]))) for k in (1, 2, 3)]
        assert await ask(app, b"", "/health", "GET") == (200, {"status": "ok"})
        assert (await ask(app, b"", "/nowhere", "GET"))[0] == 404
        assert (await ask(app, b"", "/predict", "GET"))[0] == 405
        for gone in (first, later[1]):  # one is computed, one waits
            gone.cancel()
        gate.open.set()
        for k, task in ((1, later[0]), (3, later[2])):
            status, answer = await task
            assert status == 200
            np.testing.assert_allclose(answer["predictions"], net.predict(x[k : k + 1]), rtol=1e-5)
        assert first.cancelled()
        assert later[1].cancelled()

    asyncio.run(scenario())
    assert gate.rows == [1, 2]


@contextmanager
def served(run: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process of uvicorn, and its port."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "--factory", "serve:app"]
    environment = {**os.environ, "DNNKIT_RUN": str(run)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = next(found for line in process.stderr if (found := re.search(r"http://[\d.]+:(\d+)", line)))
            yield process, int(port[1])
        finally:
            process.kill()


@pytest.mark.extras
def test_serve_under_uvicorn(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    net, x = small()
    net.save(tmp_path / "run")
    with served(tmp_path / "run") as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/predict", body_of(x[:4]))
        answer = json.loads(connection.getresponse().read())
        np.testing.assert_allclose(answer["predictions"], net.predict(x[:4]), rtol=1e-6)
        connection.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode in (0, -signal.SIGTERM)  # uvicorn raises the signal again after a clean end


@pytest.mark.extras
def test_serve_finishes_what_it_began() -> None:
    """A server that is told to end answers the request that is computed and those that wait."""
    uvicorn = pytest.importorskip("uvicorn")
    net, x = small()
    gate = Gate(net)
    config = uvicorn.Config(script("serve").application(gate), port=0, log_level="warning")
    answers: list[tuple[int, Any]] = []

    def client(port: int, k: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/predict", body_of(x[k : k + 1]))
        answers.append((k, json.loads(connection.getresponse().read())))
        connection.close()

    async def scenario() -> None:
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        port = server.servers[0].sockets[0].getsockname()[1]
        clients = [asyncio.create_task(asyncio.to_thread(client, port, k)) for k in range(3)]
        while len(server.server_state.tasks) < 3 or not gate.rows:
            await asyncio.sleep(0.001)
        server.should_exit = True
        await asyncio.sleep(0.2)
        assert not answers
        assert not serving.done()
        gate.open.set()
        await asyncio.gather(serving, *clients)

    asyncio.run(scenario())
    for k, answer in answers:
        np.testing.assert_allclose(answer["predictions"], net.predict(x[k : k + 1]), rtol=1e-5)
    assert sorted(k for k, _ in answers) == [0, 1, 2]
