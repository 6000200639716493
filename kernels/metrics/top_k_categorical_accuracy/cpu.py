"""Top-k accuracy, row by row. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import label


@jit
def row(i, scores, targets, threshold):
    """Return 1 if fewer than `threshold` scores of row i rank before that of its class, else 0."""
    place = label(targets, i)
    if place < 0 or place >= scores.shape[1]:
        return 0.0
    own, rank = scores[i, place], 0
    for j in range(scores.shape[1]):
        score = scores[i, j]
        equal = score == own or (score != score and own != own)
        rank += j < place if equal else own == own and (score > own or score != score)
    return 1.0 if rank < threshold else 0.0
