"""Opcodes for several outputs: each has its columns of scores and targets, a loss, metrics and a head."""

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.stages import METRIC_BYTES, metric_at
from dnnkit.kernels._engine.structures import PART
from dnnkit.kernels._numba.at_address import at, matrix, number, vector
from dnnkit.kernels._numba.indirect_calls import call_forward, call_loss, call_metric
from dnnkit.kernels._numba.jit import jit

part_at = at(PART)
PART_BYTES = PART.bytes


@jit
def take_scores(worker, run, part):
    """Copy the part's scores, because kernels read whole rows."""
    scores = matrix(run.zero, worker.scores, worker.rows, run.outputs)
    own = matrix(run.zero, worker.parts + part.own_scores, worker.rows, part.width)
    for i in range(worker.rows):
        for k in range(part.width):
            own[i, k] = scores[i, part.column + k]


@jit
def take_labels_of(worker, run, part):
    """Copy the part's labels, integers in one column of the targets."""
    targets = matrix(run.zero, worker.targets, worker.rows, run.target_width)
    labels = vector(0, worker.parts + part.own_targets, worker.rows)
    for i in range(worker.rows):
        labels[i] = int(targets[i, part.target])


@jit
def take_values_of(worker, run, part):
    """Copy the part's targets."""
    targets = matrix(run.zero, worker.targets, worker.rows, run.target_width)
    own = matrix(run.zero, worker.parts + part.own_targets, worker.rows, part.targets)
    for i in range(worker.rows):
        for k in range(part.targets):
            own[i, k] = targets[i, part.target + k]


@jit
def weights_of(worker, run, part):
    """Return the address of the part's row weights: its own, or the common ones."""
    return worker.weights if run.weight_width == 1 else worker.parts + part.own_weights


@jit
def take(worker, run, part, place):
    """Copy the part's scores, targets, and row weights if outputs have their own."""
    take_scores(worker, run, part)
    if run.weight_width > 1:
        weights = matrix(run.zero, worker.weights, worker.rows, run.weight_width)
        own = vector(run.zero, worker.parts + part.own_weights, worker.rows)
        for i in range(worker.rows):
            own[i] = weights[i, place]
    if part.takes_labels:
        take_labels_of(worker, run, part)
    elif part.targets > 0:
        take_values_of(worker, run, part)


@opcode
def take_part(worker, run, stage, option):
    """Copy scores and targets of the output numbered by the option, for metrics; its loss is user-defined."""
    take(worker, run, part_at(run.parts + option * PART_BYTES), option)


@opcode
def loss_of_part(worker, run, stage, option):
    """Compute the loss of the output numbered by the option, and the gradient of its scores."""
    part = part_at(run.parts + option * PART_BYTES)
    take(worker, run, part, option)
    if part.loss != 0:
        scale = 0.0
        if run.training:
            weight = number(0.0, run.batch_weights, worker.step)
            scale = part.weight * (1.0 if run.sums_up else (1.0 / weight if weight > 0 else 0.0))
        vector(0.0, worker.parts + part.seen, 1)[0] = number(0.0, worker.totals, part.first)
        call_loss(
            part.loss,
            (
                worker.parts + part.own_scores, worker.parts + part.own_targets, weights_of(worker, run, part),
                worker.rows, part.width, scale, worker.parts + part.own_dscores, worker.totals + 8 * part.first,
            ),
        )  # fmt: skip
    dscores = matrix(run.zero, worker.dscores, worker.rows, run.outputs)
    own = matrix(run.zero, worker.parts + part.own_dscores, worker.rows, part.width)
    for i in range(worker.rows):
        for k in range(part.width):
            dscores[i, part.column + k] = own[i, k] if part.loss != 0 else run.zero


@opcode
def add_losses(worker, run, stage, option):
    """Add up the losses of all outputs."""
    totals = vector(0.0, worker.totals, 1)
    for number_of_part in range(run.part_count):
        part = part_at(run.parts + number_of_part * PART_BYTES)
        if part.first != 0:
            before = number(0.0, worker.parts + part.seen, 0)
            totals[0] += part.weight * (number(0.0, worker.totals, part.first) - before)
    worker.dy = worker.dscores
    if totals[0] != totals[0] and worker.nan_step < 0:
        worker.nan_step = worker.step


@opcode
def predict_part_for_metrics(worker, run, stage, option):
    """Predict the output numbered by the option from its scores, for metrics that read predictions."""
    part = part_at(run.parts + option * PART_BYTES)
    call_forward(part.head, (worker.parts + part.own_scores, worker.dz, worker.rows, part.width))


@opcode
def metric_of_part(worker, run, stage, option):
    """Compute the metric numbered by the option, of the output it measures."""
    one = metric_at(run.metrics + option * METRIC_BYTES)
    part = part_at(run.parts + one.part * PART_BYTES)
    scores = worker.dz if one.on_predictions else worker.parts + part.own_scores
    call_metric(
        one.function,
        (
            scores, worker.parts + part.own_targets, weights_of(worker, run, part), worker.rows, part.width,
            one.threshold, worker.totals + 8 * one.first,
        ),
    )  # fmt: skip


@opcode
def predict_part(worker, run, stage, option):
    """Predict the output numbered by the option from its scores."""
    part = part_at(run.parts + option * PART_BYTES)
    take_scores(worker, run, part)
    call_forward(part.head, (worker.parts + part.own_scores, worker.dz, worker.rows, part.width))
    own = matrix(run.zero, worker.dz, worker.rows, part.width)
    out = matrix(run.zero, run.out, run.row_count, run.outputs)
    for i in range(worker.rows):
        for k in range(part.width):
            out[worker.first_row + i, part.column + k] = own[i, k]
