"""Training steps, compiled once for every network. Contract: the package's docstring.

What differs between networks is data: a table of stages (`COLUMNS`), offsets into one workspace, and the addresses of
the kernels (`kernels/slices.py`). One thread runs a table over the slices it is given; there is no global state.
"""

import math

import numpy as np

from dnnkit.kernels.calls import at, call_backward, call_forward, call_loss, call_update
from dnnkit.kernels.compiled import compiled
from dnnkit.kernels.dense_activation import cpu as dense_activation
from dnnkit.kernels.dropout.cpu import apply, mask
from dnnkit.kernels.gather.cpu import gather

COLUMNS = (
    "kind inputs outputs kernel bias biases forward backward saves_input x y z dx keep layer".split()  # noqa: SIM905
)
"""A stage's row: its kind; numbers of features; offsets of its kernel and bias, and
how many biases; addresses of its activation;
offsets in the workspace of its input, output, pre-activation and input gradient; place and stream of its mask."""

KIND, INPUTS, OUTPUTS, KERNEL, BIAS, BIASES, FORWARD, BACKWARD, SAVES_INPUT, X, Y, Z, DX, KEEP, LAYER = range(
    len(COLUMNS)
)
DENSE, ACTIVATE, RESCALE, DROPOUT = range(4)
STEP, STOP, NAN_STEP = range(3)
"""Places in `control`: updates made so far; not 0 to stop between two steps; the first step with a NaN loss, or -1."""


@compiled
def forward(table, numbers, parameters, workspace, keeps, rows, training, seed, step):
    """Stages in order, on `rows` rows that stand at the first stage's x; the scores are the last stage's y."""
    for s in range(table.shape[0]):
        stage = table[s]
        inputs, outputs = stage[INPUTS], stage[OUTPUTS]
        x = workspace[stage[X] : stage[X] + rows * inputs]
        y = workspace[stage[Y] : stage[Y] + rows * outputs]
        if stage[KIND] == DENSE:
            w = parameters[stage[KERNEL] : stage[KERNEL] + inputs * outputs].reshape(inputs, outputs)
            b = parameters[stage[BIAS] : stage[BIAS] + stage[BIASES]]
            z = workspace[stage[Z] : stage[Z] + rows * outputs].reshape(rows, outputs)
            dense_activation.forward(x.reshape(rows, inputs), w, b, stage[FORWARD], z, y)
        elif stage[KIND] == ACTIVATE:
            call_forward(stage[FORWARD], (at(x), at(y), rows, outputs))
        elif stage[KIND] == RESCALE:
            factor, shift = y.dtype.type(numbers[s, 0]), y.dtype.type(numbers[s, 1])
            for e in range(y.size):
                y[e] = x[e] * factor + shift
        elif training:
            keep = keeps[stage[KEEP] : stage[KEEP] + rows * outputs]
            mask(0, rows * outputs, numbers[s, 0], seed, stage[LAYER], step, keep)
            apply(x, keep, numbers[s, 0], y)
        else:
            for e in range(y.size):
                y[e] = x[e]


@compiled
def backward(table, numbers, parameters, gradient, workspace, keeps, rows, dscores, dz_offset, first):
    """Stages in reverse, from the gradient in the scores at `dscores`; the parameters' goes to `gradient`.

    It ends at stage `first`, whose own input's gradient nobody needs; with -1 it goes all the way, to the first stage's
    dx.
    """
    dy_offset = dscores
    for s in range(table.shape[0] - 1, max(first, 0) - 1, -1):
        stage = table[s]
        inputs, outputs = stage[INPUTS], stage[OUTPUTS]
        dy = workspace[dy_offset : dy_offset + rows * outputs]
        dx = workspace[stage[DX] : stage[DX] + rows * inputs]
        x = workspace[stage[X] : stage[X] + rows * inputs]
        saved = workspace[stage[Z] : stage[Z] + rows * outputs]
        if stage[SAVES_INPUT] == 0:
            saved = workspace[stage[Y] : stage[Y] + rows * outputs]
        if stage[KIND] == DENSE:
            dz = workspace[dz_offset : dz_offset + rows * outputs].reshape(rows, outputs)
            w = parameters[stage[KERNEL] : stage[KERNEL] + inputs * outputs].reshape(inputs, outputs)
            dw = gradient[stage[KERNEL] : stage[KERNEL] + inputs * outputs].reshape(inputs, outputs)
            db = gradient[stage[BIAS] : stage[BIAS] + stage[BIASES]]
            dense_activation.backward(
                dy,
                x.reshape(rows, inputs),
                w,
                saved,
                stage[BACKWARD],
                s > first,
                dz,
                dx.reshape(rows, inputs),
                dw,
                db,
            )
        elif stage[KIND] == ACTIVATE:
            if stage[SAVES_INPUT] != 0:
                saved = x
            call_backward(stage[BACKWARD], (at(dy), at(saved), at(dx), rows, outputs))
        elif stage[KIND] == RESCALE:
            factor = dx.dtype.type(numbers[s, 0])
            for e in range(dx.size):
                dx[e] = dy[e] * factor
        else:
            apply(dy, keeps[stage[KEEP] : stage[KEEP] + rows * outputs], numbers[s, 0], dx)
        dy_offset = stage[DX]


@compiled
def take_batch(data, rows, batch):
    """The rows' inputs, targets and weights into the batch's buffers: (x, labels, values, weights)."""
    x_bytes, x_numbers, scale, offset, labels, values, weights = data
    x, batch_labels, batch_values, batch_weights = batch
    if x_bytes.size > 0:
        gather(x_bytes, rows, scale, offset, x)
    else:
        gather(x_numbers, rows, scale, offset, x)
    for i in range(rows.size):
        row = rows[i]
        if labels.size > 0:
            batch_labels[i] = labels[row]
        if values.size > 0:
            for k in range(values.shape[1]):
                batch_values[i, k] = values[row, k]
        if weights.size > 0:
            batch_weights[i] = weights[row]


@compiled
def backpropagate(network, batch, rows, weight, totals, step, first):
    """Forward, loss and backward of a batch that was taken; adds to totals, leaves the gradient in place."""
    table, numbers, parameters, gradient, workspace, keeps, places, seed, summed, loss, metric_kinds, thresholds = (
        network
    )
    scores, dscores, dz = places
    _, labels, values, weights = batch
    forward(table, numbers, parameters, workspace, keeps, rows, True, seed, step)
    scale = 1.0 if summed else (1.0 / weight if weight > 0 else 0.0)
    score_loss(loss, workspace, scores, dscores, labels, values, weights, rows, scale, metric_kinds, thresholds, totals)
    backward(table, numbers, parameters, gradient, workspace, keeps, rows, dscores, dz, first)


@compiled
def score_loss(
    loss, workspace, scores, dscores, labels, values, weights, rows, scale, metric_kinds, thresholds, totals
):
    """Loss and metrics of the scores in the workspace; their gradient goes to dscores."""
    targets = at(labels) if labels.size > 0 else at(values)
    outputs = np.int64(loss[1])
    base = at(workspace)
    call_loss(
        loss[0],
        (
            base + scores * workspace.itemsize,
            targets,
            at(weights),
            rows,
            outputs,
            scale,
            metric_kinds.size,
            at(metric_kinds),
            at(thresholds),
            base + dscores * workspace.itemsize,
            at(totals),
        ),
    )


@compiled
def improve(parameters, gradient, slots, rule, step, rate, constants, clip_norm):
    """One step of the optimizer; `step` counts from 1."""
    if clip_norm > 0:
        norm = math.sqrt(np.dot(gradient, gradient))
        if norm > clip_norm:
            factor = gradient.dtype.type(clip_norm / norm)
            for e in range(gradient.size):
                gradient[e] *= factor
    arrays = (at(parameters), at(gradient), at(slots))
    call_update(rule, (step, arrays[0], arrays[1], arrays[2], slots.shape[1], parameters.size, rate, at(constants)))


@compiled
def run_steps(
    network, data, batch, order, batch_size, batch_weights, first, last, slots, rule, rates, constants, clip_norm,
    control, totals, first_trained,
):  # fmt: skip
    """Steps first … last - 1 of an epoch; returns the step after the last one that was run."""
    parameters, gradient = network[2], network[3]
    for step in range(first, last):
        if control[STOP] != 0:
            return step
        rows = order[step * batch_size : min((step + 1) * batch_size, order.size)]
        take_batch(data, rows, batch)
        backpropagate(network, batch, rows.size, batch_weights[step], totals, control[STEP], first_trained)
        if totals[0] != totals[0] and control[NAN_STEP] < 0:
            control[NAN_STEP] = step
        control[STEP] += 1
        improve(parameters, gradient, slots, rule, control[STEP], rates[step - first], constants, clip_norm)
    return last


@compiled
def evaluate(network, data, batch, order, batch_size, totals):
    """Adds loss and metrics of all rows to totals."""
    table, numbers, parameters, _, workspace, keeps, places, seed, _, loss, metric_kinds, thresholds = network
    scores, dscores, _ = places
    _, labels, values, weights = batch
    for start in range(0, order.size, batch_size):
        rows = order[start : min(start + batch_size, order.size)]
        take_batch(data, rows, batch)
        forward(table, numbers, parameters, workspace, keeps, rows.size, False, seed, 0)
        score_loss(
            loss, workspace, scores, dscores, labels, values, weights, rows.size, 0.0, metric_kinds, thresholds, totals
        )


@compiled
def predict(network, data, batch, order, batch_size, head, out):
    """Predictions of all rows to out (N, O)."""
    table, numbers, parameters, _, workspace, keeps, places, seed, _, _, _, _ = network
    for start in range(0, order.size, batch_size):
        rows = order[start : min(start + batch_size, order.size)]
        take_batch(data, rows, batch)
        forward(table, numbers, parameters, workspace, keeps, rows.size, False, seed, 0)
        call_forward(head, (at(workspace) + places[0] * workspace.itemsize, at(out[start]), rows.size, out.shape[1]))
