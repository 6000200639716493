"""Embedding: look up the table row of each class number.

Maths:    y[i, k] = table[x[i, k]]; dtable[c] = Σ dy[i, k] over all i and k with x[i, k] = c, in the order of i, then k
Shapes:   x (B, K) class numbers from 0 to V - 1; table (V, D); y (B, K D).
Units:    setting: classes V.
Traffic:  reads B K rows of the table, writes y; backward reads dy and adds to B K rows.
Errors:   class numbers in x are checked against `classes` when data are loaded. There is no gradient
          in x: it is 0.
Accuracy: exact; one rounding per term of a gradient.
Source:   Y. Bengio et al., JMLR 3, 2003.
"""

from dnnkit.kernels.stages import Example, Settings

EXAMPLES = (
    Example((1,), 3, {"embeddings": (5, 3)}, {"classes": 5}, x="categories"),
    Example((2,), 4, {"embeddings": (5, 2)}, {"classes": 5}, x="categories"),
)


def classes(settings: Settings, columns: int) -> tuple[int, ...]:
    """Return the number of classes of each column of x, numbered from 0."""
    return (settings["classes"],) * columns
