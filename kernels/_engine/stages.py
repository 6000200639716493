"""Opcodes for the forward and backward passes of stages, and the loss between them."""

from dnnkit.kernels._engine.opcodes import EXCHANGED, IN_PLACE, opcode
from dnnkit.kernels._engine.structures import METRIC
from dnnkit.kernels._numba.at_address import at, matrix, number, size_of, vector
from dnnkit.kernels._numba.indirect_calls import call_backward, call_forward, call_loss, call_metric
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.dense.cpu import activate as activate_dense
from dnnkit.kernels.dense.cpu import backward_without_kernel
from dnnkit.kernels.dropout.cpu import apply, mask
from dnnkit.kernels.matmul.cpu import add_to_rows, product, product_and_bias, product_of_rows

metric_at = at(METRIC)
METRIC_BYTES = METRIC.bytes


@jit
def kernel_at(stage, run, start):
    """Return the stage's kernel (inputs, outputs), or its gradient, in the array of parameters at `start`."""
    return matrix(run.zero, start + stage.kernel, stage.inputs, stage.outputs)


@jit
def bias_of(worker, run, stage):
    """Return the stage's bias (outputs,), or an empty array (0,)."""
    return vector(run.zero, worker.parameters + stage.bias, stage.biases)


@jit
def gradient_of(worker, stage):
    """Return the base address of the gradients of the stage's parameters."""
    return worker.spare if stage.spare else worker.gradient


@jit
def x_of(worker, run, stage):
    """Return the stage's inputs in the workspace."""
    return matrix(run.zero, stage.x, worker.rows, stage.inputs)


@jit
def z_of(worker, run, stage):
    """Return the input of the stage's activation."""
    return matrix(run.zero, stage.z, worker.rows, stage.outputs)


@jit
def y_of(worker, run, stage):
    """Return the stage's outputs, flat."""
    return vector(run.zero, stage.y, worker.rows * stage.outputs)


@jit
def data_or_inputs(worker, run, stage, option):
    """Return the array that holds the batch's inputs: the data itself, or the gathered rows."""
    if option == IN_PLACE:
        return matrix(run.zero, run.x, run.row_limit, run.features)
    return matrix(run.zero, stage.x, worker.rows, stage.inputs)


@jit
def rows_in_it(worker, run, option):
    """Return the indices of the batch's rows in that array."""
    return vector(0, run.order + 8 * worker.first_row if option == IN_PLACE else run.all_rows, worker.rows)


@jit
def place_in_exchange(worker, run, stage, number):
    """Return the address of a worker's partial sums for a stage in this step."""
    return run.partials + ((worker.step & 1) * run.workers + number) * run.partial_stride + stage.partial


@jit
def add_up(worker, run, stage, out):
    """Sum the workers' partial sums in worker order, so arrival order does not affect the result."""
    for other in range(run.workers):
        summand = vector(run.zero, place_in_exchange(worker, run, stage, other), out.size)
        for e in range(out.size):
            out[e] = summand[e] if other == 0 else out[e] + summand[e]


@jit
def finish(worker, run, stage):
    """Add the bias to a stage's z, and apply the activation."""
    z, bias = z_of(worker, run, stage), bias_of(worker, run, stage)
    if bias.size > 0:
        add_to_rows(z, bias)
    activate_dense(stage.forward, z, y_of(worker, run, stage))


@opcode
def dense(worker, run, stage, option):
    """Compute a dense stage."""
    z = z_of(worker, run, stage)
    kernel = kernel_at(stage, run, worker.parameters)
    product_and_bias(x_of(worker, run, stage), kernel, bias_of(worker, run, stage), z, worker.offer)
    activate_dense(stage.forward, z, y_of(worker, run, stage))


@opcode
def dense_of_columns(worker, run, stage, option):
    """Compute a dense stage from the nonzero columns of its inputs."""
    z, columns = z_of(worker, run, stage), vector(0, worker.columns, worker.used)
    x, rows = data_or_inputs(worker, run, stage, option), rows_in_it(worker, run, option)
    kernel = kernel_at(stage, run, worker.parameters)
    product_of_rows(x, rows, columns, kernel, bias_of(worker, run, stage), z, worker.offer)
    activate_dense(stage.forward, z, y_of(worker, run, stage))


@opcode
def dense_part(worker, run, stage, option):
    """Compute this worker's partial product of a dense stage, for the exchange."""
    place = place_in_exchange(worker, run, stage, worker.number)
    out = matrix(run.zero, place, worker.rows, stage.outputs)
    product(x_of(worker, run, stage), kernel_at(stage, run, worker.parameters), out, worker.offer)


@opcode
def dense_join(worker, run, stage, option):
    """Add up all workers' partial products of a dense stage; then apply bias and activation."""
    add_up(worker, run, stage, vector(run.zero, stage.z, worker.rows * stage.outputs))
    finish(worker, run, stage)


@opcode
def activate(worker, run, stage, option):
    """Apply a stage's activation."""
    call_forward(stage.forward, (stage.x, stage.y, worker.rows, stage.outputs))


@opcode
def rescale(worker, run, stage, option):
    """Multiply a stage's inputs by its scale, and add its offset."""
    x, y = vector(run.zero, stage.x, worker.rows * stage.inputs), y_of(worker, run, stage)
    scale, offset = y.dtype.type(stage.scale), y.dtype.type(stage.offset)
    for e in range(y.size):
        y[e] = x[e] * scale + offset


@opcode
def copy(worker, run, stage, option):
    """Copy a stage's inputs: dropout outside training."""
    x, y = vector(run.zero, stage.x, worker.rows * stage.inputs), y_of(worker, run, stage)
    for e in range(y.size):
        y[e] = x[e]


@jit
def dropped_share(worker, run, stage):
    """Return the dropout rate of this step."""
    return stage.rate if stage.rates == 0 else number(0.0, stage.rates, worker.step - run.first_step)


@opcode
def dropout(worker, run, stage, option):
    """Draw a stage's dropout mask, and apply it."""
    x, y = vector(run.zero, stage.x, worker.rows * stage.inputs), y_of(worker, run, stage)
    outputs, keep = stage.outputs, vector(False, stage.keep, y.size)
    rate = dropped_share(worker, run, stage)
    update = run.first_update + worker.step - run.first_step
    # With all outputs, a worker draws all rows at once; with some, each row's elements start in mid-block.
    length = outputs if outputs < stage.width else y.size if y.size > 0 else 1
    for place in range(0, y.size, length):
        start = (worker.first_in_batch + place // outputs) * stage.width + stage.first_output
        mask(start, length, rate, run.seed, stage.layer, update, vector(False, stage.keep + place, length))
    apply(x, keep, rate, y)


@opcode
def predict(worker, run, stage, option):
    """Compute predictions from the scores."""
    place = run.out + worker.first_row * run.outputs * size_of(run.zero)
    call_forward(run.head, (worker.scores, place, worker.rows, run.outputs))


@opcode
def predict_for_metrics(worker, run, stage, option):
    """Compute predictions from the scores, for metrics that read predictions."""
    call_forward(run.head, (worker.scores, worker.dz, worker.rows, run.outputs))


@opcode
def loss(worker, run, stage, option):
    """Compute the loss, and the gradient of the scores."""
    scale = 0.0
    if run.training:
        weight = number(0.0, run.batch_weights, worker.step)
        scale = 1.0 if run.sums_up else (1.0 / weight if weight > 0 else 0.0)
    worker.dy = worker.dscores
    call_loss(
        run.loss,
        (
            worker.scores, worker.targets, worker.weights, worker.rows, run.outputs, scale, worker.dscores,
            worker.totals,
        ),
    )  # fmt: skip
    total = number(0.0, worker.totals, 0)
    if total != total and worker.nan_step < 0:
        worker.nan_step = worker.step


@opcode
def metric(worker, run, stage, option):
    """Compute the metric numbered by the option."""
    one = metric_at(run.metrics + option * METRIC_BYTES)
    scores = worker.dz if one.on_predictions else worker.scores
    total = worker.totals + 8 * one.first
    call_metric(one.function, (scores, worker.targets, worker.weights, worker.rows, run.outputs, one.threshold, total))


@opcode
def dense_backward(worker, run, stage, option):
    """Compute the gradients of a dense stage's z and bias, and of its x if the option asks for it."""
    dy = vector(run.zero, worker.dy, worker.rows * stage.outputs)
    saved = vector(run.zero, stage.z if stage.saves_input else stage.y, dy.size)
    place = place_in_exchange(worker, run, stage, worker.number) if option == EXCHANGED else stage.dx
    backward_without_kernel(
        dy,
        kernel_at(stage, run, worker.parameters),
        saved,
        stage.backward,
        option > 0,
        matrix(run.zero, worker.dz, worker.rows, stage.outputs),
        matrix(run.zero, place, worker.rows, stage.inputs),
        vector(run.zero, gradient_of(worker, stage) + stage.bias, stage.bias_gradients),
        worker.offer,
    )
    worker.dy = stage.dx


@opcode
def join_backward(worker, run, stage, option):
    """Add up all workers' partial sums of the gradient of a stage's x."""
    add_up(worker, run, stage, vector(run.zero, stage.dx, worker.rows * stage.inputs))


@opcode
def activate_backward(worker, run, stage, option):
    """Compute the gradient of the x of an activation's stage."""
    saved = stage.x if stage.saves_input else stage.y
    call_backward(stage.backward, (worker.dy, saved, stage.dx, worker.rows, stage.outputs))
    worker.dy = stage.dx


@opcode
def rescale_backward(worker, run, stage, option):
    """Compute the gradient of the x of a rescaling stage."""
    dx = vector(run.zero, stage.dx, worker.rows * stage.inputs)
    dy, scale = vector(run.zero, worker.dy, dx.size), dx.dtype.type(stage.scale)
    for e in range(dx.size):
        dx[e] = dy[e] * scale
    worker.dy = stage.dx


@opcode
def dropout_backward(worker, run, stage, option):
    """Compute the gradient of the x of a dropout stage."""
    dx = vector(run.zero, stage.dx, worker.rows * stage.inputs)
    rate = dropped_share(worker, run, stage)
    apply(vector(run.zero, worker.dy, dx.size), vector(False, stage.keep, dx.size), rate, dx)
    worker.dy = stage.dx
