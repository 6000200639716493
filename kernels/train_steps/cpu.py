"""Training steps, compiled once for every network. Contract: the package's docstring.

What differs between networks is data: a table of stages (`stages.py`), a schedule of instructions, and the addresses
of the kernels (`kernels/slices.py`). Several workers may share a step, each with its part of the units or of the rows;
where one needs what the others computed, the schedule says EXCHANGE. What a worker does between two exchanges is a
segment.
"""

import math

from dnnkit.kernels import atomic, denormals
from dnnkit.kernels.calls import at, call_forward, call_loss, call_update
from dnnkit.kernels.compiled import compiled
from dnnkit.kernels.dense_activation.cpu import finish
from dnnkit.kernels.gather.cpu import gather
from dnnkit.kernels.matrix_product.cpu import in_tiles, product, product_of_columns
from dnnkit.kernels.prefetch import STREAM, WHOLE, ask_for_rows
from dnnkit.kernels.train_steps import stages
from dnnkit.kernels.views import borrowed, element, matrix, part, row

GATHER, TAKE, FORWARD, PRODUCT, JOIN, LOSS, BACKWARD, BACKWARD_PART, JOIN_GRADIENT, KERNEL_GRADIENT, IMPROVE, \
    ADD_GRADIENTS, NORM, UPDATE, HEAD, EXCHANGE, REPEAT = range(17)  # fmt: skip
"""Instructions, (instruction, stage, option): gather a share of this or the next step's inputs, for all; take the
step's rows, whose inputs are `GATHERED` now, were `SHARED`, or stay `IN_PLACE`; a dense stage's partial product to the
exchange, and the sum of everybody's; backward with dx to the exchange, and the sum; the gradient of the stage's kernel;
or that and the update of the stage's parameters, piece by piece; the sum of everybody's gradients, for this worker's
share of the parameters; its part of the gradient's norm; the update; predictions; wait for others; the next step.

Inputs that are shared are gathered one step ahead, in the segment before an exchange, into one of `INPUTS` places in
turn: others may still read those of this step and of the one before."""

GATHERED, SHARED, IN_PLACE = range(3)
"""Where a step's inputs are: gathered by each worker; gathered by all, for all; or in the data, which the first stage's
products read row by row. Then they must be in the network's dtype, and need no rescaling."""

INPUTS = 3

PIECE = 8192
"""Elements of a kernel whose gradient is computed and used while it lies in the nearest caches."""

LINE = 8
"""Numbers in a cache line: what different threads write stands so far apart."""

YIELD = 10
"""How many times its patience a thread waits for one that works before it gives its processor away for a moment."""

STOP, LIMIT, ENDED = 0, LINE, 2 * LINE
"""Places in `control`: not 0 to stop between two steps; the step to end before; after which segment all have ended, or
-1."""

PLACE, STEP, ROWS, FIRST_ROW, DY, NAN_STEP, SHARE, OWN, SHARE_END = range(9)
"""Places in a worker's `progress`: where it stands in the schedule; step; rows it has, and which of the batch; offset
of the gradient that goes backward; first step with a NaN loss, or -1; its share of the parameters, and from where on it
alone has them."""


@compiled
def run_segment(worker, job):
    """Carry on for a worker up to the next exchange, or to the end of the run; whether it is the end."""
    network, data, batches, run = job
    schedule, tables, numbers, parameters, gradients, slots, workspace, keeps, partials, norms, places, loss, head = (
        network
    )
    order, batch_size, batch_weights, first, first_update, by_rows, training, summed, seed, rule, rates, constants, \
        clip_norm, control, progress, totals, metric_kinds, thresholds, out = run  # fmt: skip
    workers = progress.shape[0]
    mine = worker % parameters.shape[0]  # by rows, all workers share the parameters
    schedule, order, own, total = borrowed(schedule), borrowed(order), row(progress, worker), row(totals, worker)
    table, numbers, place = row(tables, worker), borrowed(numbers), row(places, worker)
    parameter, slot, gradient = row(parameters, mine), row(slots, mine), row(gradients, worker)
    workspace, keep, partials = borrowed(workspace), row(keeps, worker), borrowed(partials)
    scores, dscores, dz, inputs_place = place[0], place[1], place[2], place[3]
    data = (
        borrowed(data[0]), borrowed(data[1]), data[2], data[3], borrowed(data[4]), borrowed(data[5]), borrowed(data[6])
    )  # fmt: skip
    batch_weights, rates, control, norms = borrowed(batch_weights), borrowed(rates), borrowed(control), borrowed(norms)
    constants, metric_kinds, thresholds = borrowed(constants), borrowed(metric_kinds), borrowed(thresholds)
    labels, values, weights = row(batches[0], worker), row(batches[1], worker), row(batches[2], worker)
    while True:
        line = row(schedule, own[PLACE])
        instruction, s = line[0], line[1]
        own[PLACE] += 1
        step, rows = own[STEP], own[ROWS]
        update, first_row = first_update + step - first, step * batch_size + own[FIRST_ROW]
        parity = step & 1
        stage = row(table, s)
        if instruction == GATHER:
            start = (step + s) * batch_size
            count, width = min(batch_size, order.size - start), data[0].shape[1]
            begin, end = count * worker // workers, count * (worker + 1) // workers
            if end > begin:
                to = inputs_place + ((step + s) % INPUTS * batch_size + begin) * width
                taken = part(order, start + begin, end - begin)
                take_rows(data, taken, matrix(workspace, to, end - begin, width))
                if start + batch_size + end <= order.size:
                    ask_for(data, part(order, start + batch_size + begin, end - begin))
        elif instruction == TAKE:
            if worker == 0 and control[STOP] != 0:
                # Others may be in this step already: it is finished first. They see the limit after the exchange.
                control[LIMIT] = min(control[LIMIT], step + (1 if workers > 1 else 0))
            if step >= control[LIMIT]:
                return True
            start = step * batch_size
            count = min(batch_size, order.size - start)
            own[FIRST_ROW] = count * worker // workers if by_rows else 0
            own[ROWS] = (count * (worker + 1) // workers if by_rows else count) - own[FIRST_ROW]
            start += own[FIRST_ROW]
            rows = own[ROWS]
            if rows > 0:
                taken = part(order, start, rows)
                width = data[0].shape[1]
                take_targets(data, taken, labels, values, weights)
                after = start + batch_size
                later = part(order, after, max(0, min(rows, order.size - after)))
                if s == SHARED:
                    table[0, stages.X] = inputs_place + step % INPUTS * batch_size * width
                elif s == IN_PLACE:
                    ask_for_rows(data[1], later, STREAM)
                else:
                    take_rows(data, taken, matrix(workspace, inputs_place, rows, width))
                    ask_for(data, later)
        elif instruction == FORWARD:
            if rows > 0 and line[2] == IN_PLACE:
                stages.forward_in_place(stage, parameter, workspace, data[1], part(order, first_row, rows), rows)
            elif rows > 0:
                stages.forward(
                    stage, row(numbers, s), parameter, workspace, keep, rows, own[FIRST_ROW], training, seed, update
                )
        elif instruction == PRODUCT:
            outputs = stage[stages.OUTPUTS]
            to = (parity * workers + worker) * partials.shape[2] + stage[stages.PARTIAL]
            x = stages.x(stage, workspace, rows)
            product(x, stages.kernel(stage, parameter), matrix(partials, to, rows, outputs))
        elif instruction == JOIN:
            outputs = stage[stages.OUTPUTS]
            y, z = part(workspace, stage[stages.Y], rows * outputs), matrix(workspace, stage[stages.Z], rows, outputs)
            stages.add_up(row(partials, parity), stage[stages.PARTIAL], part(z, 0, z.size))
            finish(stages.bias(stage, parameter), stage[stages.FORWARD], z, y)
        elif instruction == LOSS:
            weight = batch_weights[step]
            scale = 0.0
            if training:
                scale = 1.0 if summed else (1.0 / weight if weight > 0 else 0.0)
            own[DY] = dscores
            if rows > 0:
                score_loss(
                    loss, workspace, scores, dscores, labels, values, weights, rows, scale, metric_kinds, thresholds,
                    total,
                )  # fmt: skip
                if total[0] != total[0] and own[NAN_STEP] < 0:
                    own[NAN_STEP] = step
        elif instruction in (BACKWARD, BACKWARD_PART):
            size = rows * stage[stages.INPUTS]
            dx = part(workspace, stage[stages.DX], size)
            if instruction == BACKWARD_PART:
                dx = part(partials, (parity * workers + worker) * partials.shape[2] + stage[stages.PARTIAL], size)
            if rows > 0:
                stages.backward(
                    stage, row(numbers, s), parameter, gradient, workspace, keep, rows, own[DY], dz, line[2] != 0, dx
                )
            elif stage[stages.KIND] == stages.DENSE:
                stages.bias(stage, gradient)[...] = 0
            own[DY] = stage[stages.DX]
        elif instruction == KERNEL_GRADIENT:
            whole = stages.kernel(stage, gradient)
            slope = matrix(workspace, dz, rows, stage[stages.OUTPUTS])
            if rows == 0:
                whole[...] = 0
            elif line[2] == IN_PLACE:
                product_of_columns(data[1], part(order, first_row, rows), 0, slope, whole)
            else:
                product_of_columns(stages.x(stage, workspace, rows), None, 0, slope, whole)
        elif instruction == IMPROVE:
            numbers_of = parameter, gradient, slot, rule, update + 1, rates[step - first], constants
            slope = matrix(workspace, dz, rows, stage[stages.OUTPUTS])
            if line[2] == IN_PLACE:
                improve_stage(stage, data[1], part(order, first_row, rows), slope, numbers_of)
            else:
                improve_stage(stage, stages.x(stage, workspace, rows), None, slope, numbers_of)
        elif instruction == JOIN_GRADIENT:
            dx = part(workspace, stage[stages.DX], rows * stage[stages.INPUTS])
            stages.add_up(row(partials, parity), stage[stages.PARTIAL], dx)
        elif instruction == ADD_GRADIENTS:
            for other in range(workers):
                if other != worker:
                    for e in range(own[SHARE], own[SHARE_END]):
                        gradient[e] += gradients[other, e]
        elif instruction == NORM:
            begin, squares = own[OWN] if worker > 0 else own[SHARE], 0.0
            for value in part(gradient, begin, own[SHARE_END] - begin):
                squares += value * value
            norms[parity, worker] = squares
        elif instruction == UPDATE:
            for half in range(2):  # those that all have by themselves, so that all round them alike
                begin, count = own[SHARE + half], own[OWN + half] - own[SHARE + half]
                share = part(gradient, begin, count)
                clip(share, clip_norm, row(norms, parity))
                improve(
                    part(parameter, begin, count), share, slot, begin, rule, update + 1, rates[step - first], constants
                )
        elif instruction == HEAD:
            call_forward(head, (at(workspace, scores), at(out, first_row * out.shape[1]), rows, out.shape[1]))
        elif instruction == EXCHANGE:
            return False
        else:
            own[PLACE] = s
            own[STEP] += 1


@compiled
def predict_rows(x, parameters, network, out):
    """Predictions for a few rows x (B, I), by one worker and at once; False, and nothing done, if x is not finite."""
    table, numbers, workspace, keep, scores, head, scale, offset = network
    factor, shift = workspace.dtype.type(scale), workspace.dtype.type(offset)
    rows, place, sound = x.shape[0], 0, True
    for i in range(rows):
        for j in range(x.shape[1]):
            value = x[i, j]
            sound &= value - value == 0
            workspace[place] = value * factor + shift
            place += 1
    if not sound:
        return False
    for s in range(table.shape[0]):
        stages.forward(row(table, s), row(numbers, s), parameters, workspace, keep, rows, 0, False, 0, 0)
    call_forward(head, (at(workspace, scores), at(out), rows, out.shape[1]))
    return True


@compiled
def take_rows(data, rows, x):
    """The rows' inputs, converted and rescaled, to x (B, I)."""
    x_bytes, x_numbers, scale, offset, _, _, _ = data
    if x_bytes.size > 0:
        gather(x_bytes, rows, scale, offset, x)
    else:
        gather(x_numbers, rows, scale, offset, x)


@compiled
def ask_for(data, rows):
    """Let the rows' inputs come nearer while something else is computed."""
    if data[0].size > 0:
        ask_for_rows(data[0], rows, WHOLE)
    else:
        ask_for_rows(data[1], rows, WHOLE)


@compiled
def take_targets(data, rows, batch_labels, batch_values, batch_weights):
    """The rows' targets and weights into the batch's buffers."""
    _, _, _, _, labels, values, weights = data
    width = values.shape[1]
    for i in range(rows.size):
        row = element(rows, i)
        if labels.size > 0:
            batch_labels[i] = element(labels, row)
        if values.size > 0:
            for k in range(width):
                batch_values[i, k] = element(values, row * width + k)
        if weights.size > 0:
            batch_weights[i] = element(weights, row)


@compiled
def score_loss(
    loss, workspace, scores, dscores, labels, values, weights, rows, scale, metric_kinds, thresholds, totals
):
    """Loss and metrics of the scores in the workspace; their gradient goes to dscores."""
    targets = at(labels) if labels.size > 0 else at(values)
    kinds, limits = at(metric_kinds), at(thresholds)
    call_loss(
        loss[0],
        (
            at(workspace, scores), targets, at(weights), rows, loss[1], scale, metric_kinds.size, kinds, limits,
            at(workspace, dscores), at(totals),
        ),
    )  # fmt: skip


@compiled
def improve_stage(stage, x, index, dz, numbers):
    """One step of the optimizer for a dense stage: each piece of the kernel as soon as its gradient is there.

    Its inputs are x, or those rows of x that the index says.
    """
    parameters, gradient, slots, rule, step, rate, constants = numbers
    inputs, outputs = stage[stages.INPUTS], stage[stages.OUTPUTS]
    height = inputs
    if inputs * outputs > PIECE and (index is not None or in_tiles(x)):
        height = max(8, PIECE // outputs // 8 * 8)
    first = 0
    while first < inputs:
        count = min(height, inputs - first)
        start, size = stage[stages.KERNEL] + first * outputs, count * outputs
        product_of_columns(x, index, first, dz, matrix(gradient, stage[stages.KERNEL], count, outputs))
        piece = part(gradient, stage[stages.KERNEL], size)
        improve(part(parameters, start, size), piece, slots, start, rule, step, rate, constants)
        first += height
    start, size = stage[stages.BIAS], stage[stages.BIASES]
    improve(part(parameters, start, size), part(gradient, start, size), slots, start, rule, step, rate, constants)


@compiled
def clip(gradient, clip_norm, norms):
    """Scale a part of the gradient down if the whole, whose squared norm is the sum of norms, is too long."""
    if clip_norm > 0:
        total = 0.0
        for part in norms:
            total += part
        norm = math.sqrt(total)
        if norm > clip_norm:
            factor = gradient.dtype.type(clip_norm / norm)
            for e in range(gradient.size):
                gradient[e] *= factor


@compiled
def improve(parameters, gradient, slots, start, rule, step, rate, constants):
    """One step of the optimizer for some parameters, whose slots begin at `start`; `step` counts from 1."""
    if parameters.size > 0:
        places = at(parameters), at(gradient), at(slots, start)
        call_update(rule, (step, places[0], places[1], places[2], slots.shape[1], parameters.size, rate, at(constants)))


@compiled
def run(thread, patience, claimed, done, job):
    """Run segments until all workers have come to the end: those of worker `thread`, and any that nobody runs.

    Every thread that takes part calls this; one alone can, too. A thread first claims its own worker's next segment.
    Then it waits for the others, one by one: it looks `patience` times, and from then on claims the segment itself if
    that is still free, because its thread has not started or was interrupted by the operating system. Once it had to do
    so it is not patient again before that thread is back. If the segment is taken, it now and then lets other threads
    have the processor. So no thread waits for one that does not run, and a busy machine costs time in proportion.
    Results do not depend on who ran what.
    """
    control = job[3][13]
    setting = denormals.count_as_zero()
    workers = done.size // LINE
    segment, worker, finished, looks, all_here = 0, thread, 0, patience, True
    while True:
        if looks < patience:
            atomic.pause()
        elif atomic.exchange_if(claimed, LINE * worker, segment, segment + 1):
            if run_segment(worker, job):
                atomic.store(control, ENDED, segment)
            atomic.store(done, LINE * worker, segment + 1)
            all_here = worker == thread
        else:
            all_here = True
            atomic.pause()
            if looks > YIELD * patience:
                atomic.yield_processor()
                looks = patience
        looks += 1
        if atomic.load(done, LINE * worker) > segment:
            worker, finished = (worker + 1) % workers, finished + 1
            looks = 0 if all_here else patience
            if finished == workers:
                if atomic.load(control, ENDED) == segment:
                    denormals.restore(setting)
                    return
                segment, worker, finished, looks = segment + 1, thread, 0, patience
