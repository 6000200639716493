"""Calls of one network by many threads; each result is compared with the possible ones."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import dnnkit as dk

ROWS = (1, 3, 64, 65, 300)
"""Numbers of rows to predict: on the fast path, at its limit, in one batch, by several workers."""

_rng = np.random.default_rng(0)
X = _rng.normal(size=(300, 12)).astype(np.float32)
Y = _rng.integers(0, 5, 300)
FIT: dict[str, Any] = {"batch_size": 20, "verbose": 0}


@dataclass(frozen=True)
class Outcome:
    """A workload on a backend: number of calls, seconds, and number of wrong results."""

    work: str
    backend: str
    threads: int
    calls: int
    wrong: int
    seconds: float


def network(backend: str) -> dk.Sequential:
    """Return a small network with everything that a prediction can involve, trained a little."""
    net = dk.Sequential(
        [dk.Dense(24, activation="tanh"), dk.Dropout(0.2), dk.Dense(5, activation="softmax")], seed=1, backend=backend
    )
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    net.fit(X, Y, **FIT)
    return net


def hashed(answer: Any) -> str:
    """Return a hash, equal for results that are equal bit for bit."""
    if isinstance(answer, dk.Evaluation):
        return hashed(np.array(list(answer.values())))
    return hashlib.sha256(np.ascontiguousarray(answer).tobytes()).hexdigest()


def ask(net: dk.Sequential, question: int) -> str:
    """Make one call of a reader: a prediction of some rows, an evaluation, or a parameter."""
    match question % 8:
        case 0:
            return hashed(net.evaluate(X, Y))
        case 1:
            return hashed(net.parameters["dense/kernel"])
        case _:
            return hashed(net.predict(X[: ROWS[question % 5]]))


QUESTIONS = 40
"""Number of different questions of `ask`."""


def answers(net: dk.Sequential) -> dict[int, str]:
    """Return the answers to all questions in this thread."""
    return {question: ask(net, question) for question in range(QUESTIONS)}


def count(
    work: str,
    backend: str,
    threads: int,
    calls: int,
    call: Callable[[int], bool],
    beside: Callable[[threading.Event], None] | None = None,
) -> Outcome:
    """Call from threads until all calls are done, or `beside` has ended; `call` returns whether it was right."""
    right, wrong, over = [0] * threads, [0] * threads, threading.Event()
    failures: list[BaseException] = []

    def work_through(number: int) -> None:
        draw = np.random.default_rng(number)
        for question in draw.integers(QUESTIONS, size=calls // threads):
            if over.is_set():
                break
            try:
                answer = call(int(question))
            except BaseException as error:
                failures.append(error)
                answer = False
            (right if answer else wrong)[number] += 1

    readers = [threading.Thread(target=work_through, args=(number,)) for number in range(threads)]
    start = time.perf_counter()
    for reader in readers:
        reader.start()
    if beside is not None:
        done = threading.Event()
        waiting = threading.Thread(target=lambda: ([reader.join() for reader in readers], done.set()))
        waiting.start()
        beside(done)
        over.set()
    for reader in readers:
        reader.join()
    for failure in failures[:3]:
        print(f"{work}, {backend}: {type(failure).__name__}: {failure}")
    return Outcome(work, backend, threads, sum(right) + sum(wrong), sum(wrong), time.perf_counter() - start)


def readers(backend: str, threads: int, calls: int) -> Outcome:
    """Readers only; nothing changes."""
    net = network(backend)
    expected = answers(net)
    return count("readers", backend, threads, calls, lambda question: ask(net, question) == expected[question])


def beside_assignments(backend: str, threads: int, calls: int) -> Outcome:
    """Readers while a thread assigns one set of parameters after the other: no answer may mix two sets."""
    nets = [network(backend) for _ in range(3)]
    for epochs, net in enumerate(nets):
        net.fit(X, Y, epochs=epochs + 1, **FIT)
    sets = [dict(net.parameters) for net in nets]
    possible = possible_answers([answers(net) for net in nets])
    net = nets[0]

    def assign(done: threading.Event) -> None:
        while not done.is_set():
            for values in sets:
                net.set_parameters(values)
                time.sleep(1e-3)

    return count(
        "beside assignments", backend, threads, calls, lambda question: ask(net, question) in possible[question], assign
    )


def beside_fit(backend: str, threads: int, calls: int, epochs: int = 4) -> Outcome:
    """Readers during successive fits: every answer must be that after a step, and each fit ends as it does alone."""
    alone, seen = network(backend), [answers(network(backend))]

    class Note(dk.callbacks.Callback):
        def on_batch_end(self, step: int, logs: Any) -> None:
            seen.append(answers(alone))

    alone.fit(X, Y, epochs=epochs, callbacks=Note(), **FIT)
    possible, end = possible_answers(seen), answers(alone)
    start = network(backend).executable.snapshot()
    net, lost = network(backend), 0

    def fit(done: threading.Event) -> None:
        nonlocal lost
        while not done.is_set():
            net.fit(X, Y, epochs=epochs, **FIT)
            lost += answers(net) != end
            with net.turns:
                net.executable.restore(start)

    outcome = count("beside a fit", backend, threads, calls, lambda q: ask(net, q) in possible[q], fit)
    return Outcome(**{**vars(outcome), "wrong": outcome.wrong + lost})


def possible_answers(states: Sequence[dict[int, str]]) -> dict[int, set[str]]:
    """Return the possible answers to each question."""
    return {question: {state[question] for state in states} for question in range(QUESTIONS)}
