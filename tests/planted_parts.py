"""A new part of each kind, as docs/extending.md says: the files it touches, and a program that trains with it.

`PARTS` is what the document promises; `tests/test_extending.py` plants all of them in a copy of the package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CONTRACT = '''"""{name}: planted.

Maths:    -
Shapes:   -
Units:    -
Traffic:  -
Errors:   -
Accuracy: -
Source:   -
"""

{constants}'''


@dataclass(frozen=True)
class Part:
    """A new part: the files it touches, by path, each with the change of its text ("" for a new file)."""

    kind: str
    files: dict[str, Callable[[str], str]]
    use: str
    """Return Python code that trains with it on the current backend; `train(net, loss=..., metrics=...)` is given."""


def new(text: str) -> Callable[[str], str]:
    """Return a new file."""

    def write(before: str) -> str:
        assert before == "", "the file is there already"
        return text

    return write


def added(*texts: str, before: str = "") -> Callable[[str], str]:
    """Add text at the end of a file, or before a line of it."""

    def write(old: str) -> str:
        if not before:
            return old.rstrip("\n") + "\n" + "\n".join(texts)
        assert old.count(before) == 1, before
        return old.replace(before, "".join(texts) + before)

    return write


def contract(name: str, constants: str = "") -> Callable[[str], str]:
    """Return the `__init__.py` of a kernel."""
    return new(CONTRACT.format(name=name, constants=constants))


CUBE = '''"""The cube, in plain array code."""

import numpy as np


def forward(x, xp=np):
    return x * x * x


def derivative(x, xp=np):
    return 3 * x * x
'''

SPARSE_SOFTMAX = '''"""Squares over their sum, along the last axis."""

import numpy as np


def forward(x, xp=np):
    squares = x * x + 1
    return squares / xp.sum(squares, axis=-1, keepdims=True)


def backward(dy, saved, xp=np):
    x, total = saved, xp.sum(saved * saved + 1, axis=-1, keepdims=True)
    y = (x * x + 1) / total
    return 2 * x / total * (dy - xp.sum(dy * y, axis=-1, keepdims=True))
'''

CAUCHY = '''"""Cauchy's loss, in plain array code."""

import numpy as np

from dnnkit.kernels._reference.rows import weigh


def loss_and_gradient(predictions, targets, weights, scale, xp=np):
    d = predictions - targets
    rows = xp.sum(xp.log1p(d * d), axis=1)
    return weigh(rows, 2 * d / (1 + d * d) * scale, weights, xp)
'''

CUBED = '''"""Mean cubed error, in plain array code."""

import numpy as np


def rows(scores, targets, threshold, xp=np):
    return xp.mean(xp.astype(xp.abs(scores - targets) ** 3, xp.float64), axis=1)
'''

BIAS_COUNT = '''READS = "predictions"
HIGHER_IS_BETTER = False


def count(outputs):
    """Sum and sum of squares of each output's errors."""
    return 2 * outputs


def finish(sums, weight):
    """The largest mean error, in root mean squares."""
    means, squares = sums.reshape(2, -1) / weight
    return float((abs(means) / squares**0.5).max())
'''

BIAS = '''"""Sums of errors and of their squares, in plain array code."""

import numpy as np

from dnnkit.kernels._reference.rows import row_weights


def sums(scores, targets, weights, threshold, xp=np):
    w, errors = row_weights(scores, weights, xp), xp.astype(scores - targets, xp.float64)
    return xp.concat([xp.sum(w * errors, axis=0), xp.sum(w * errors * errors, axis=0)])
'''

SIGNUM = '''
def signum(step, p, g, momentum, learning_rate, beta, xp=np):
    """The sign of momentum."""
    momentum = beta * momentum + (1 - beta) * g
    return p - learning_rate * xp.sign(momentum), momentum


RULES["signum"] = Rule(signum, ("momentum",), ("beta",))
'''

SIGNUM_CLASS = '''

@OPTIMIZERS.named("signum")
@dataclass
class Signum(Optimizer):
    """The sign of a running mean."""

    learning_rate: float | Schedule = 1e-3
    beta: float = 0.9
    global_clipnorm: float | None = None

    name = "signum"
'''

LAYERS_ADDED = '''
from typing import Any

from dnnkit.kernels.array import Array, Namespace


@LAYERS.named("Shift")
@dataclass(frozen=True)
class Shift(Layer):
    """x + amount."""

    amount: float = 1.0

    def forward(self, xp: Namespace, x: Array, *parameters: Array) -> tuple[Array, Any]:
        return x + self.amount, None

    def backward(self, xp: Namespace, dy: Array, saved: Any, *parameters: Array) -> tuple[Array, ...]:
        return (dy,)


@LAYERS.named("Gain")
@dataclass(frozen=True)
class Gain(Layer):
    """A trained number times x."""

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:
        return {"gain": ((1,), "ones")}

    def forward(self, xp: Namespace, x: Array, *parameters: Array) -> tuple[Array, Any]:
        return x * parameters[0], x

    def backward(self, xp: Namespace, dy: Array, saved: Any, *parameters: Array) -> tuple[Array, ...]:
        return dy * parameters[0], xp.reshape(xp.sum(saved * dy), (1,))
'''

COUNTER = '''"""A callback that counts epochs."""

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs


@CALLBACKS.named("Counter")
class Counter(Callback):
    """Count epochs."""

    counted = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        Counter.counted += 1
'''

STRIPES = '''"""Striped images, 4 by 4."""

import numpy as np

LARGEST_VALUE = 255
CLASS_NAMES = ("rows", "columns")


def load_data():
    labels = np.arange(40) % 2
    image = 255 * (np.arange(16).reshape(4, 4) % 2)
    images = np.where(labels[:, None, None] == 1, image, image.T).astype(np.uint8)
    return (images, labels), (images[:8], labels[:8])
'''

ECHO = '''"""NumPy under another name."""

from dnnkit.backends.base import Backend
from dnnkit.kernels.array import Namespace


class EchoBackend(Backend):
    """NumPy, by the formulas of `operations.py` alone."""

    name = "echo"

    @property
    def xp(self) -> Namespace:
        import numpy

        return numpy
'''

CENTER = '''"""Center, in plain array code."""

import numpy as np


def center(x, xp=np):
    return x - xp.sum(x, axis=0) / x.shape[0]
'''

PARTS = [
    Part(
        "activation",
        {
            "kernels/activations/cube/__init__.py": contract("Cube", 'SAVES = "input"\nNUMPY = ("x * x * x",)\n'),
            "kernels/activations/cube/reference.py": new(CUBE),
        },
        "train(dk.Sequential([dk.Dense(4, activation='cube'), dk.Dense(2)], seed=0))",
    ),
    Part(
        "activation across a row",
        {
            "kernels/activations/share/__init__.py": contract(
                "Share",
                'SAVES = "input"\nELEMENTWISE = False\nNUMPY = ("(x * x + 1) / (x * x + 1).sum(-1, keepdims=True)",)\n',
            ),
            "kernels/activations/share/reference.py": new(SPARSE_SOFTMAX),
        },
        "train(dk.Sequential([dk.Dense(4), dk.Dense(2, activation='share')], seed=0))",
    ),
    Part(
        "loss",
        {
            "kernels/losses/cauchy/__init__.py": contract("Cauchy's loss", 'REDUCTION = "mean"\n'),
            "kernels/losses/cauchy/reference.py": new(CAUCHY),
        },
        "train(dk.Sequential([dk.Dense(2)], seed=0), loss='cauchy')",
    ),
    Part(
        "metric",
        {
            "kernels/metrics/cubed_error/__init__.py": contract("Cubed error", 'READS = "predictions"\n'),
            "kernels/metrics/cubed_error/reference.py": new(CUBED),
        },
        "train(dk.Sequential([dk.Dense(2, activation='sigmoid')], seed=0), metrics=['cubed_error'])",
    ),
    Part(
        "metric of several sums",
        {
            "kernels/metrics/bias/__init__.py": contract("Bias over spread", BIAS_COUNT),
            "kernels/metrics/bias/reference.py": new(BIAS),
        },
        "train(dk.Sequential([dk.Dense(2, activation='sigmoid')], seed=0), metrics=['accuracy', 'bias'])",
    ),
    Part(
        "optimizer",
        {
            "kernels/optimizer_step/reference.py": added(SIGNUM),
            "dnnkit/optimizers.py": added(SIGNUM_CLASS),
        },
        "train(dk.Sequential([dk.Dense(2)], seed=0), optimizer='signum')",
    ),
    Part(
        "layer without parameters",
        {"dnnkit/layers/core.py": added(LAYERS_ADDED)},
        "train(dk.Sequential([dk.layers.Shift(0.5), dk.Dense(2)], seed=0))",
    ),
    Part(
        "layer with parameters",
        {},  # planted together with the previous one, in the same file
        "train(dk.Sequential([dk.Dense(3), dk.layers.Gain(), dk.Dense(2)], seed=0))",
    ),
    Part(
        "callback",
        {
            "dnnkit/callbacks/counter.py": new(COUNTER),
            "dnnkit/callbacks/__init__.py": added(
                "from dnnkit.callbacks.counter import Counter\n",
                before="from dnnkit.callbacks.csv_logger import CSVLogger\n",
            ),
        },
        "before = dk.callbacks.Counter.counted\n"
        "train(dk.Sequential([dk.Dense(2)], seed=0), callbacks='Counter')\n"
        "assert dk.callbacks.Counter.counted == before + 3",
    ),
    Part(
        "data set",
        {
            "dnnkit/datasets/stripes.py": new(STRIPES),
            "dnnkit/datasets/__init__.py": added(
                '\nfrom dnnkit.datasets import stripes\n\nDATASETS.add("stripes", stripes)\n'
            ),
        },
        "command('train', 'stripes', '--epochs', '2', '--hidden', '4')",
    ),
    Part(
        "CLI option",
        {
            "dnnkit/cli/train.py": lambda text: text.replace(
                "    quiet: Annotated[",
                '    shout: Annotated[bool, typer.Option(help="Louder.")] = False,\n    quiet: Annotated[',
            ).replace("    if quiet:\n", '    if shout:\n        typer.echo("LOUDER")\n    if quiet:\n', 1)
        },
        "assert 'LOUDER' in command('train', 'digits', '--epochs', '1', '--hidden', '4', '--shout')",
    ),
    Part(
        "kernel",
        {
            "kernels/center/__init__.py": contract("Center"),
            "kernels/center/reference.py": new(CENTER),
        },
        "numbers = np.arange(6.0).reshape(3, 2)\n"
        "backend = dk.get_backend()\n"
        "with backend.on_device():\n"
        "    centered = backend.to_numpy(backend.kernel('center').center(backend.asarray(numbers)))\n"
        "np.testing.assert_array_equal(centered, numbers - numbers.mean(axis=0))",
    ),
    Part(
        "backend",
        {
            "backends/echo_backend.py": new(ECHO),
            "backends/registry.py": added(
                'BACKENDS.add("echo", Lazy("dnnkit.backends.echo_backend:EchoBackend"))\n', before="\nAUTO = ("
            ),
        },
        "net = dk.Sequential([dk.Dense(2)], seed=0, backend='echo')\ntrain(net)\nassert net.backend.name == 'echo'",
    ),
]


def plant(parts: list[Part], root: Path) -> None:
    """Apply the parts to the package in that folder."""
    for part in parts:
        for name, change in part.files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            before = file.read_text() if file.exists() else ""
            after = change(before)
            assert after != before, (part.kind, name)
            file.write_text(after)
