"""Dense of classes: a dense layer on one-hot columns (and numeric ones), computed by looking up kernel rows.

Maths:    y = [p_1, p_2, ...] w + b, where p_k is x_k itself, or the one-hot columns of its class numbers, which select
          rows of w: y[i] = b + Σ_numbers x_k[i] w_k + Σ_classes w[first_k + class]. dw is xᵀ dy for numbers; for
          classes, dy[i] is added to each selected row; db = Σ_i dy[i]; dx_k = dy w_kᵀ for numbers, 0 for class numbers.
Shapes:   x_k (B, I_k), w (Σ rows of the parts, O), b (O,) or none, y (B, O).
Units:    settings: parts, for each x_k (mode, sizes): ("numbers", (I_k,)), or a mode of `one_hot` and the number of
          classes of each column; use_bias.
Traffic:  with C class columns, reads B C rows of w forward and adds to B C rows of dw backward; all of dw is zeroed.
Errors:   as of `one_hot`.
Accuracy: as of `dense`: a sum has one term per nonzero input.
Source:   the product with one-hot rows, written as a lookup, as in an embedding.
"""

from dnnkit.kernels.stages import Example, Settings
from dnnkit.kernels.stages.one_hot import MODES

NUMBERS = len(MODES)
"""Mode number of numeric columns."""


def rows(mode: str, sizes: tuple[int, ...]) -> int:
    """Return how many rows of the kernel belong to a part."""
    return sum(sizes) if mode in ("numbers", "concatenate") else sizes[0]


def _example(*parts: tuple[str, tuple[int, ...]], use_bias: bool = True) -> Example:
    inputs = tuple(sizes[0] if mode == "numbers" else len(sizes) for mode, sizes in parts)
    parameters = {"kernel": (sum(rows(*part) for part in parts), 4)} | ({"bias": (4,)} if use_bias else {})
    return Example(inputs, 4, parameters, {"parts": parts, "use_bias": use_bias}, x="categories")


EXAMPLES = (
    _example(("concatenate", (3, 5)), use_bias=False),
    _example(("numbers", (2,)), ("concatenate", (4,)), ("numbers", (3,)), ("count", (3, 3, 3))),
    _example(("multi_hot", (4, 4, 4)), ("numbers", (1,))),
)


def numbers(settings: Settings) -> tuple[float, ...]:
    """Return whether there is a bias; then for each part its mode, the number of its sizes, and the sizes."""
    found = [float(settings["use_bias"])]
    for mode, sizes in settings["parts"]:
        found += [float(NUMBERS if mode == "numbers" else MODES.index(mode)), float(len(sizes)), *map(float, sizes)]
    return tuple(found)


def moves(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """Return the numbers moved: per class, the row added to y and the row that dy is added to."""
    columns = [len(sizes) for mode, sizes in settings["parts"] if mode != "numbers"]
    return 6 * features * sum(columns)


def multiplies(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    """Return the multiplications of the numeric columns: forward, kernel gradient, and their own gradient."""
    columns = [int(sizes[0]) for mode, sizes in settings["parts"] if mode == "numbers"]
    return 3 * features * sum(columns)
