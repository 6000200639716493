"""The interpreter of schedules (`opcodes.py`): what a worker does between two exchanges, instruction by instruction."""

from dnnkit.kernels._numba.indirect_calls import address_of, call_forward, call_loss
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.prefetch import STREAM, WHOLE, prefetch_rows
from dnnkit.kernels._numba.unchecked_views import borrowed, element, matrix, part, row
from dnnkit.kernels.dense.cpu import finish
from dnnkit.kernels.gather.cpu import gather
from dnnkit.kernels.matmul.cpu import product, product_of_columns, product_of_nonzero_columns
from dnnkit.kernels.nonzero_columns.cpu import nonzero_columns
from dnnkit.kernels.train_steps import stage_table
from dnnkit.kernels.train_steps.fused_update import apply_update, clip, update_stage_fused
from dnnkit.kernels.train_steps.opcodes import (
    ADD_GRADIENTS,
    BACKWARD,
    BACKWARD_PART,
    BEGIN,
    COLUMNS,
    DY,
    EVERY,
    EXCHANGE,
    FIRST_ROW,
    FORWARD,
    GATHER,
    HEAD,
    IN_PLACE,
    INPUTS,
    JOIN,
    JOIN_GRADIENT,
    KERNEL_GRADIENT,
    LIMIT,
    LOSS,
    NAN_STEP,
    NORM,
    OWN,
    PLACE,
    PRODUCT,
    ROWS,
    SHARE,
    SHARE_END,
    SHARED,
    STEP,
    STOP,
    TAKE,
    UPDATE,
    UPDATE_FUSED,
)


@jit
def run_segment(worker, job):
    """Run this worker to its next exchange; returns True when the run is over."""
    network, data, batches, run = job
    schedule, tables, numbers, parameters, gradients, slots, workspace, keeps, partials, norms, places, \
        consecutive, columns, loss, head = network  # fmt: skip
    order, batch_size, batch_weights, first, first_update, by_rows, training, summed, seed, rule, rates, constants, \
        clip_norm, control, progress, totals, metric_kinds, thresholds, out = run  # fmt: skip
    workers = progress.shape[0]
    mine = worker % parameters.shape[0]  # data parallel: all workers share the parameters
    schedule, order, own, total = borrowed(schedule), borrowed(order), row(progress, worker), row(totals, worker)
    table, numbers, offsets = row(tables, worker), borrowed(numbers), row(places, worker)
    parameter, slot, gradient = row(parameters, mine), row(slots, mine), row(gradients, worker)
    workspace, keep, partials = borrowed(workspace), row(keeps, worker), borrowed(partials)
    scores, dscores, dz, inputs_place = offsets[0], offsets[1], offsets[2], offsets[3]
    data = (
        borrowed(data[0]), borrowed(data[1]), data[2], data[3], borrowed(data[4]), borrowed(data[5]), borrowed(data[6]),
        borrowed(data[7]),
    )  # fmt: skip
    consecutive, columns, bits = borrowed(consecutive), row(columns, worker), data[7]
    batch_weights, rates, control, norms = borrowed(batch_weights), borrowed(rates), borrowed(control), borrowed(norms)
    constants, metric_kinds, thresholds = borrowed(constants), borrowed(metric_kinds), borrowed(thresholds)
    labels, values, weights = row(batches[0], worker), row(batches[1], worker), row(batches[2], worker)
    place, step, rows = own[PLACE], own[STEP], own[ROWS]
    update, first_row, parity = first_update + step - first, step * batch_size + own[FIRST_ROW], step & 1
    while True:
        instruction, s, option = line_at(schedule, place)
        place += 1
        stage = stage_table.stage_at(table, s)
        if instruction == GATHER:
            start = (step + s) * batch_size
            count, width = min(batch_size, order.size - start), data[0].shape[1]
            begin, end = count * worker // workers, count * (worker + 1) // workers
            if end > begin:
                to = inputs_place + ((step + s) % INPUTS * batch_size + begin) * width
                taken = part(order, start + begin, end - begin)
                take_rows(data, taken, matrix(workspace, to, end - begin, width))
                if start + batch_size + end <= order.size:
                    prefetch(data, part(order, start + batch_size + begin, end - begin))
        elif instruction == BEGIN:
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
            rows, first_row = own[ROWS], start
            update, parity = first_update + step - first, step & 1
        elif instruction == TAKE:
            if rows > 0:
                taken = part(order, first_row, rows)
                width = data[0].shape[1]
                take_targets(data, taken, labels, values, weights)
                after = first_row + batch_size
                later = part(order, after, max(0, min(rows, order.size - after)))
                if bits.size > 0:
                    own[COLUMNS] = nonzero_columns(bits, taken, columns)
                    prefetch_rows(bits, later, WHOLE)
                if s == SHARED:
                    table[0, stage_table.X] = inputs_place + step % INPUTS * batch_size * width
                elif s == IN_PLACE:
                    prefetch_rows(data[1], later, STREAM)
                else:
                    take_rows(data, taken, matrix(workspace, inputs_place, rows, width))
                    prefetch(data, later)
        elif instruction == FORWARD:
            if rows > 0 and option != EVERY:
                x, index = inputs(option, data[1], order, first_row, stage, workspace, consecutive, rows)
                used = part(columns, 0, own[COLUMNS])
                stage_table.forward_in_use(stage, parameter, workspace, x, index, used, rows)
            elif rows > 0:
                stage_table.forward(
                    stage, row(numbers, s), parameter, workspace, keep, rows, own[FIRST_ROW], training, seed, update
                )
        elif instruction == PRODUCT:
            outputs = stage[stage_table.OUTPUTS]
            to = (parity * workers + worker) * partials.shape[2] + stage[stage_table.PARTIAL]
            x = stage_table.x(stage, workspace, rows)
            product(x, stage_table.kernel(stage, parameter), matrix(partials, to, rows, outputs))
        elif instruction == JOIN:
            outputs = stage[stage_table.OUTPUTS]
            y, z = (
                part(workspace, stage[stage_table.Y], rows * outputs),
                matrix(workspace, stage[stage_table.Z], rows, outputs),
            )
            stage_table.add_up(row(partials, parity), stage[stage_table.PARTIAL], part(z, 0, z.size))
            finish(stage_table.bias(stage, parameter), stage[stage_table.FORWARD], z, y)
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
            size = rows * stage[stage_table.INPUTS]
            dx = part(workspace, stage[stage_table.DX], size)
            if instruction == BACKWARD_PART:
                dx = part(partials, (parity * workers + worker) * partials.shape[2] + stage[stage_table.PARTIAL], size)
            if rows > 0:
                stage_table.backward(
                    stage, row(numbers, s), parameter, gradient, workspace, keep, rows, own[DY], dz, option != 0, dx
                )
            elif stage[stage_table.KIND] == stage_table.DENSE:
                stage_table.bias(stage, gradient)[...] = 0
            own[DY] = stage[stage_table.DX]
        elif instruction == KERNEL_GRADIENT:
            whole = stage_table.kernel(stage, gradient)
            slope = matrix(workspace, dz, rows, stage[stage_table.OUTPUTS])
            if rows == 0:
                whole[...] = 0
            elif option != EVERY:
                x, index = inputs(option, data[1], order, first_row, stage, workspace, consecutive, rows)
                product_of_nonzero_columns(x, index, part(columns, 0, own[COLUMNS]), 0, slope, whole)
            else:
                product_of_columns(stage_table.x(stage, workspace, rows), 0, slope, whole)
        elif instruction == UPDATE_FUSED:
            numbers_of = parameter, gradient, slot, rule, update + 1, rates[step - first], constants
            slope = matrix(workspace, dz, rows, stage[stage_table.OUTPUTS])
            if option != EVERY:
                x, index = inputs(option, data[1], order, first_row, stage, workspace, consecutive, rows)
                update_stage_fused(stage, x, index, part(columns, 0, own[COLUMNS]), slope, numbers_of)
            else:
                update_stage_fused(stage, stage_table.x(stage, workspace, rows), None, None, slope, numbers_of)
        elif instruction == JOIN_GRADIENT:
            dx = part(workspace, stage[stage_table.DX], rows * stage[stage_table.INPUTS])
            stage_table.add_up(row(partials, parity), stage[stage_table.PARTIAL], dx)
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
            numbers_of = parameter, gradient, slot, rule, update + 1, rates[step - first], constants
            # Replicated parameters first, on their own, so that every worker rounds them identically.
            for half in range(2):
                begin, count = own[SHARE + half], own[OWN + half] - own[SHARE + half]
                clip(part(gradient, begin, count), clip_norm, row(norms, parity))
                apply_update(numbers_of, begin, begin, count)
        elif instruction == HEAD:
            call_forward(
                head, (address_of(workspace, scores), address_of(out, first_row * out.shape[1]), rows, out.shape[1])
            )
        elif instruction == EXCHANGE:
            own[PLACE], own[STEP] = place, step
            return False
        else:
            place = s
            step += 1


@jit
def line_at(schedule, place):
    """The instruction at a position of a schedule: opcode, stage, option."""
    line = place * 3
    return element(schedule, line), element(schedule, line + 1), element(schedule, line + 2)


@jit
def inputs(option, data, order, first_row, stage, workspace, consecutive, rows):
    """The array that holds the batch's inputs, and the indices of their rows in it."""
    if option == IN_PLACE:
        return data, part(order, first_row, rows)
    return stage_table.x(stage, workspace, rows), part(consecutive, 0, rows)


@jit
def take_rows(data, rows, x):
    """The rows' inputs, converted and rescaled, to x (B, I)."""
    x_bytes, x_numbers, scale, offset, _, _, _, _ = data
    if x_bytes.size > 0:
        gather(x_bytes, rows, scale, offset, x)
    else:
        gather(x_numbers, rows, scale, offset, x)


@jit
def prefetch(data, rows):
    """Prefetch the rows' inputs."""
    if data[0].size > 0:
        prefetch_rows(data[0], rows, WHOLE)
    else:
        prefetch_rows(data[1], rows, WHOLE)


@jit
def take_targets(data, rows, batch_labels, batch_values, batch_weights):
    """The rows' targets and weights into the batch's buffers."""
    _, _, _, _, labels, values, weights, _ = data
    if labels.size > 0:
        for i in range(rows.size):
            batch_labels[i] = element(labels, element(rows, i))
    width = values.shape[1]
    if values.size > 0 and width == 1:
        for i in range(rows.size):  # the set-up of an inner loop would be most of the time
            batch_values[i, 0] = element(values, element(rows, i))
    elif values.size > 0:
        for i in range(rows.size):
            start = element(rows, i) * width
            for k in range(width):
                batch_values[i, k] = element(values, start + k)
    if weights.size > 0:
        for i in range(rows.size):
            batch_weights[i] = element(weights, element(rows, i))


@jit
def score_loss(
    loss, workspace, scores, dscores, labels, values, weights, rows, scale, metric_kinds, thresholds, totals
):
    """Loss and metrics of the scores in the workspace; their gradient goes to dscores."""
    targets = address_of(labels) if labels.size > 0 else address_of(values)
    kinds, limits = address_of(metric_kinds), address_of(thresholds)
    call_loss(
        loss[0],
        (
            address_of(workspace, scores), targets, address_of(weights), rows, loss[1], scale,
            metric_kinds.size, kinds, limits, address_of(workspace, dscores), address_of(totals),
        ),
    )  # fmt: skip
