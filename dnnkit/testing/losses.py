"""Questions about losses: the weighted sum over rows, and its gradient in the scores."""

from collections.abc import Iterator

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import DnnkitError
from dnnkit.kernels import registry
from dnnkit.testing.cases import DTYPES, Case, loss_arrays, pairwise, target_kinds, wide
from dnnkit.testing.comparing import check_alike, check_bits, check_close, check_same, differences
from dnnkit.testing.implementations import Implementation
from dnnkit.testing.questions import question

SHAPES = [(0, 2), (1, 1), (1, 2), (7, 1), (7, 10), (65, 2), (33, 33), (7, 300), (65, 300), (1100, 10), (5000, 1)]
SHAPES += [(3001, 17)]
"""Shapes (B, K): rows of every size, several rows per warp, several blocks; the last is larger than any block."""
FEW = 16
"""Allowed units in the last place, in addition to twice the error of the reference in the same dtype."""
SCALE = 1 / 64


def _values(implementation: Implementation, kernel: str) -> Iterator[Case]:
    factors = {"shape": SHAPES, "given": implementation.variations, "targets": target_kinds(kernel)}
    for chosen in pairwise(**factors, dtype=DTYPES, weighted=(False, True)):
        yield Case(kernel, **chosen)


def _extremes(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(
        shape=[(7, 2), (65, 10)], targets=target_kinds(kernel), dtype=DTYPES, weighted=(False, True)
    ):
        yield Case(kernel, **chosen)


def _rows_of_ten(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(targets=target_kinds(kernel), dtype=DTYPES):
        yield Case(kernel, shape=(7, 10), **chosen)


def _labels(implementation: Implementation, kernel: str) -> Iterator[Case]:
    if registry.loss(kernel).takes_labels:
        for chosen in pairwise(shape=[(7, 1), (65, 10), (3, 300)], dtype=DTYPES, kind=["int64", "int32", "uint8"]):
            yield Case(kernel, targets="labels", **chosen)


def _bits(implementation: Implementation, kernel: str) -> Iterator[Case]:
    shape = (1100, 10) if implementation.largest >= 11_000 else (300, 10)
    for chosen in pairwise(targets=target_kinds(kernel), dtype=DTYPES):
        yield Case(kernel, shape=shape, weighted=True, **chosen)


def _weights(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(targets=target_kinds(kernel), dtype=DTYPES):
        yield Case(kernel, shape=(65, 10), **chosen)


def _differences(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(shape=[(3, 1), (3, 4)], targets=target_kinds(kernel), weighted=(False, True)):
        yield Case(kernel, **chosen)


@question("loss", "loss", _values)
def values(implementation: Implementation, case: Case) -> None:
    """The sum and the gradient match the reference in float64."""
    _check(implementation, case, far=False)


@question("loss", "loss", _extremes)
def extreme_scores(implementation: Implementation, case: Case) -> None:
    """Logits of ±1e4 and probabilities of 0, 1 and outside give finite and equally accurate results."""
    _check(implementation, case, far=True)
    scores, targets, weights = loss_arrays(case, far=True)
    loss, gradient = implementation.loss(case.kernel, scores, targets, weights)
    assert np.isfinite(loss), f"the loss is {loss}"
    assert np.isfinite(gradient).all(), "the gradient is not finite"


@question("loss", "loss", _rows_of_ten)
def small_losses_of_one_row(implementation: Implementation, case: Case) -> None:
    """The loss of one row is as accurate as the reference's, also if it is small at large scores."""
    kernel = registry.loss(case.kernel)
    if kernel.scores != "logits":
        return
    errors, limits = [], []
    for shift in (0, 100, 1000, 10_000) if kernel.outputs == "categorical" else (0,):
        for margin in (0, 1, 3, 8):
            scores = np.array([[shift + margin, shift + margin / 4]], case.dtype)
            targets = (
                np.eye(2, dtype=case.dtype)[:1] if kernel.outputs == "categorical" else np.ones((1, 2), case.dtype)
            )
            targets = np.array([0]) if case.targets == "labels" else targets
            exact = float(kernel.loss_and_gradient(wide(scores), wide(targets), None, 1.0)[0])
            near = float(kernel.loss_and_gradient(scores, targets, None, 1.0)[0])
            errors.append(abs(implementation.loss(case.kernel, scores, targets)[0] - exact))
            limits.append(2 * abs(near - exact) + 4 * np.finfo(case.dtype).eps)
    assert max(errors) <= max(limits), f"error {max(errors):.3g}, {max(limits):.3g} allowed"


@question("loss", "loss", _rows_of_ten)
def nan_and_inf(implementation: Implementation, case: Case) -> None:
    """A NaN score gives a NaN loss; a gradient is NaN or infinite where the reference's is."""
    for bad in (np.nan, np.inf, -np.inf):
        for place in (0, 4, 9):
            scores, targets, _ = loss_arrays(case)
            scores[3, place] = bad
            with np.errstate(all="ignore"):
                wanted_loss, wanted = registry.loss(case.kernel).loss_and_gradient(scores, targets, None, 1.0)
            loss, gradient = implementation.loss(case.kernel, scores, targets)
            assert not np.isnan(bad) or np.isnan(loss), f"NaN at {place} is hidden: the loss is {loss}"
            assert np.isfinite(loss) == np.isfinite(wanted_loss), f"{bad} at {place}: loss {loss}, not {wanted_loss}"
            check_same(f"{bad} at {place}: where the gradient is NaN", np.isnan(gradient), np.isnan(wanted))
            check_same(f"{bad} at {place}: where it is infinite", np.isinf(gradient), np.isinf(wanted))


@question("loss", "loss", _labels)
def labels_are_one_hot_rows(implementation: Implementation, case: Case) -> None:
    """Labels of any integer dtype are equivalent to one-hot rows."""
    scores, targets, weights = loss_arrays(case, weights=True)
    labels = np.minimum(targets, np.iinfo(case.kind).max)
    loss, gradient = implementation.loss(case.kernel, scores, labels.astype(case.kind), weights, SCALE)
    one_hot = np.eye(case.shape[1], dtype=case.dtype)[labels]
    wanted_loss, wanted = implementation.loss(case.kernel, scores, one_hot, weights, SCALE)
    few = FEW * np.finfo(case.dtype).eps
    check_close("the loss by labels against one-hot rows", loss, wanted_loss, few * max(1, abs(wanted_loss)))
    check_close("the gradient by labels against one-hot rows", gradient, wanted, few * SCALE * 2)


@question("loss", "loss", _labels)
def labels_out_of_range(implementation: Implementation, case: Case) -> None:
    """Labels out of range are refused or ignored: nothing is read out of bounds, and other rows are unaffected."""
    if case.kind != "int64":
        return
    scores, labels, _ = loss_arrays(case)
    for label in (-1, case.shape[1], 2**40):
        labels[0] = label
        try:
            loss, gradient = implementation.loss(case.kernel, scores, labels)
        except (IndexError, ValueError, DnnkitError):
            continue
        assert np.isfinite(loss), f"label {label}: the loss is {loss}"
        wanted = implementation.loss(case.kernel, scores[1:], labels[1:])[1]
        few = FEW * np.finfo(case.dtype).eps
        check_close(f"label {label}: the gradient of other rows", gradient[1:], wanted, few * 2)


def _sizes(kernel: str, scores: HostArray, targets: HostArray) -> HostArray:
    """Return each row's absolute loss, as a scale: a sum of signed losses may be smaller than its rounding error."""
    rows, of = zip(wide(scores), targets, strict=True), registry.loss(kernel).loss_and_gradient
    return np.array([abs(float(of(score[None], target[None], None, 1.0)[0])) for score, target in rows])


@question("loss", "loss", _weights)
def row_weights(implementation: Implementation, case: Case) -> None:
    """Weights of 1 have no effect; integer weights repeat rows; rows with weight 0 have no loss and no gradient."""
    scores, targets, _ = loss_arrays(case)
    counts = case.rng.integers(0, 3, case.shape[0])
    few = FEW * np.finfo(case.dtype).eps
    plain, ones = (
        implementation.loss(case.kernel, scores, targets, weights, SCALE)
        for weights in (None, np.ones(case.shape[0], case.dtype))
    )
    check_close("the loss with weights of 1", ones[0], plain[0], few * abs(plain[0]))
    check_close("the gradient with weights of 1", ones[1], plain[1], few * float(np.abs(plain[1]).max()))
    loss, gradient = implementation.loss(case.kernel, scores, targets, counts.astype(case.dtype), SCALE)
    repeated, of_repeated = implementation.loss(
        case.kernel, scores.repeat(counts, 0), targets.repeat(counts, 0), None, SCALE
    )
    check_close("the loss of rows repeated", loss, repeated, few * _sizes(case.kernel, scores, targets) @ counts)
    scale = few * max(1, float(np.abs(of_repeated).max())) * np.sqrt(case.shape[0])
    check_close("the gradient of rows repeated", gradient.sum(axis=0), of_repeated.sum(axis=0), scale)
    check_same("the gradient of rows of weight 0", gradient[counts == 0], np.zeros_like(gradient[counts == 0]))


@question("loss", "loss", lambda implementation, kernel: [Case(kernel, "float32")])
def many_small_rows(implementation: Implementation, case: Case) -> None:
    """The sum over rows is in float64: small rows are not lost in float32."""
    rows = min(2**16, implementation.largest)
    scores, targets = np.full((rows, 1), 0.3, np.float32), np.ones((rows, 1), np.float32)
    one = implementation.loss(case.kernel, scores[:1], targets[:1])[0]
    total = implementation.loss(case.kernel, scores, targets)[0]
    check_close(f"the loss of {rows} rows that are alike", total, rows * one, 1e-12 * abs(rows * one))


@question("loss", "loss", _bits)
def same_bits(implementation: Implementation, case: Case) -> None:
    """Repeated runs are bitwise identical."""
    arrays = loss_arrays(case)
    for given in implementation.variations:
        check_bits(given.name, [implementation.loss(case.kernel, *arrays, SCALE, given) for _ in range(2)])


@question("loss", "loss", _differences)
def gradient_against_differences(implementation: Implementation, case: Case) -> None:
    """The gradient matches finite differences of the loss."""
    scores, targets, weights = loss_arrays(case)
    gradient = implementation.loss(case.kernel, scores, targets, weights)[1]
    expected, smooth = differences(lambda v: implementation.loss(case.kernel, v, targets, weights)[0], scores)
    check_close(
        "gradient against differences", gradient[smooth], expected[smooth], 1e-6 * max(1, np.abs(gradient).max())
    )


def _check(implementation: Implementation, case: Case, far: bool) -> None:
    """Check that errors are at most twice the reference's in the same dtype, plus a few units in the last place."""
    reference = registry.loss(case.kernel).loss_and_gradient
    scores, targets, weights = loss_arrays(case, far)
    with np.errstate(all="ignore"):
        wide_weights = None if weights is None else wide(weights)
        exact, exact_gradient = reference(wide(scores), wide(targets), wide_weights, SCALE)
        near, near_gradient = reference(scores, targets, weights, SCALE)
    loss, gradient = implementation.loss(case.kernel, scores, targets, weights, SCALE, case.given)
    check_alike("the gradient", gradient, scores.shape, scores.dtype)
    few = FEW * np.finfo(case.dtype).eps
    # Terms of a row's loss, and of a gradient such as p - t, may be larger than their sum.
    terms = abs(float(exact)) + float(np.sum(np.ones(len(scores)) if weights is None else weights))
    check_close("the loss", loss, exact, 2 * abs(float(near) - float(exact)) + few * terms)
    factor = SCALE * (1 if weights is None else float(weights.max(initial=0)))
    terms = max(factor, float(np.abs(exact_gradient).max(initial=0)))
    error = float(np.abs(near_gradient - exact_gradient).max(initial=0))
    check_close("the gradient", gradient, exact_gradient, 2 * error + few * terms)
