"""L-BFGS, compiled: the algorithm of `iteration.py` on vectors at addresses. Contract: the package's docstring.

The functions have the names and meanings of `reference.py`; `s` is an ITERATION, and `v` provides a zero of the dtype.
"""

from dnnkit.kernels._numba.at_address import number, size_of, vector
from dnnkit.kernels._numba.jit import jit, jit_called, jit_plain
from dnnkit.kernels._numba.lanes import sum_of_products_in_double
from dnnkit.kernels.lbfgs import NO_CURVATURE, iteration, line_search


@jit
def numbers(s, v, address):
    """Return the vector (n,) at an address."""
    return vector(v.zero, address, s.size)


@jit
def copy(source, target):
    """Copy a vector to another."""
    for e in range(target.size):
        target[e] = source[e]


@jit
def add_multiple(d, factor, x):
    """Add factor x to d."""
    factor = d.dtype.type(factor)
    for e in range(d.size):
        d[e] += factor * x[e]


@jit
def place_of(s, age):
    """Return the place of a pair by its age; the newest has age 0."""
    place = s.newest - age
    return place if place >= 0 else place + s.slots


@jit
def of_pair(s, v, first, place):
    """Return one of the vectors of a pair."""
    return numbers(s, v, first + place * s.size * size_of(v.zero))


@jit
def recall(s, v):
    """Compute the curvatures of given pairs, bitwise identical to those computed when the pairs were made."""
    if s.recalls > 0:
        curvatures = vector(0.0, s.curvatures, s.slots)
        for age in range(s.pairs):
            place = place_of(s, age)
            step, change = of_pair(s, v, s.steps, place), of_pair(s, v, s.changes, place)
            curvatures[place] = sum_of_products_in_double(step, change)
        s.recalls = 0


@jit_called
def new_direction(s, v):
    """Set the direction from the pairs in use; return the slope along it."""
    gradient, out = numbers(s, v, s.now_gradient), numbers(s, v, s.direction)
    curvatures, shares = vector(0.0, s.curvatures, s.slots), vector(0.0, s.shares, s.slots)
    for e in range(out.size):
        out[e] = -gradient[e]
    for age in range(s.pairs):
        place = place_of(s, age)
        share = sum_of_products_in_double(of_pair(s, v, s.steps, place), out) / curvatures[place]
        add_multiple(out, -share, of_pair(s, v, s.changes, place))
        shares[place] = share
    if s.pairs > 0:
        change = of_pair(s, v, s.changes, s.newest)
        scale = out.dtype.type(curvatures[s.newest] / sum_of_products_in_double(change, change))
        for e in range(out.size):
            out[e] *= scale
    for age in range(s.pairs - 1, -1, -1):
        place = place_of(s, age)
        share = shares[place] - sum_of_products_in_double(of_pair(s, v, s.changes, place), out) / curvatures[place]
        add_multiple(out, share, of_pair(s, v, s.steps, place))
    return sum_of_products_in_double(gradient, out)


@jit
def rate(s, v):
    """Return the learning rate of this iteration."""
    return number(0.0, s.rates, s.made)


@jit
def go(s, v):
    """Set the next trial, at `s.step` along the direction."""
    trial, now, direction = numbers(s, v, s.trial), numbers(s, v, s.now), numbers(s, v, s.direction)
    step = trial.dtype.type(s.step)
    for e in range(trial.size):
        trial[e] = now[e] + step * direction[e]


@jit
def slope(s, v):
    """Return the slope along the direction at the trial."""
    return sum_of_products_in_double(numbers(s, v, s.trial_gradient), numbers(s, v, s.direction))


@jit
def keep(s, v):
    """Keep the trial, and what was measured there."""
    copy(numbers(s, v, s.trial), numbers(s, v, s.kept))
    copy(numbers(s, v, s.trial_gradient), numbers(s, v, s.kept_gradient))
    copy(vector(0.0, s.sums, s.measured), vector(0.0, s.kept_sums, s.measured))


@jit
def settle(s, v):
    """Start the next iteration at the kept trial."""
    copy(numbers(s, v, s.kept), numbers(s, v, s.now))
    copy(numbers(s, v, s.kept_gradient), numbers(s, v, s.now_gradient))


@jit
def move(s, v):
    """Start the next iteration at the kept trial, and store the pair if the loss is convex along the step.

    Without that curvature condition the next direction might not be a descent direction.
    """
    place = place_of(s, -1) if s.newest + 1 < s.slots else 0
    step, change = of_pair(s, v, s.steps, place), of_pair(s, v, s.changes, place)
    kept, now = numbers(s, v, s.kept), numbers(s, v, s.now)
    for e in range(step.size):
        step[e] = kept[e] - now[e]
    kept, now = numbers(s, v, s.kept_gradient), numbers(s, v, s.now_gradient)
    for e in range(step.size):
        change[e] = kept[e] - now[e]
    curvature = sum_of_products_in_double(step, change)
    if curvature > NO_CURVATURE * sum_of_products_in_double(change, change):
        vector(0.0, s.curvatures, s.slots)[place] = curvature
        s.newest = place
        s.pairs = min(s.pairs + 1, s.slots - 1)
    settle(s, v)


@jit
def largest(s, v):
    """Return the maximum norm of the gradient at the start of the iteration."""
    most = 0.0
    for value in numbers(s, v, s.now_gradient):
        size = abs(float(value))
        if size > most or size != size:
            most = size
    return most


@jit
def note(s, v):
    """Record the loss, the number of evaluations, and what metrics measured."""
    size, sums = 1 + s.measured, vector(0.0, s.kept_sums, s.measured)
    noted = vector(0.0, s.notes + 8 * s.made * size, size)
    noted[0], noted[1] = s.value, s.evaluations
    for e in range(1, s.measured):
        noted[1 + e] = sums[e]


ALGORITHM = jit_plain(
    (line_search, iteration),
    {
        "new_direction": new_direction, "rate": rate, "go": go, "slope": slope, "keep": keep, "settle": settle,
        "move": move, "largest": largest, "note": note, "recall": recall,
    },
)  # fmt: skip
begin, advance = ALGORITHM["begin"], ALGORITHM["advance"]
