"""Structures that describe a run to compiled code: `backends/numba_backend` fills them, opcodes read them.

Sizes count elements unless stated otherwise. All workers share a `RUN`; each has a `WORKER`, in cache lines of its own,
and its own `STAGE`s.
"""

from functools import cache

from dnnkit.kernels._numba.structure import Structure

STAGE = Structure(
    {
        "inputs": "number of input features; of the worker's shard, where workers divide a stage by units",
        "outputs": "number of output features, likewise",
        "kernel": "byte offset of its kernel (inputs, outputs) in the worker's parameters and gradients",
        "bias": "byte offset of its bias; for a user-defined stage, of all its parameters",
        "biases": "length of the bias, 0 without one",
        "bias_gradients": "length of the bias gradient, 0 if the stage is frozen",
        "forward": "address of its activation",
        "backward": "address of the activation's derivative",
        "saves_input": "1 if the derivative is computed from z (or the slope stored there), 0 if from y",
        "x": "address of its inputs (rows, inputs)",
        "y": "address of its outputs (rows, outputs)",
        "z": "address of the pre-activation values; in training, a dense stage overwrites them with the slope",
        "dx": "address of the gradient with respect to x",
        "keep": "address of the dropout mask (rows, outputs)",
        "layer": "index of the dropout mask's random stream",
        "first_output": "index of the shard's first output in the whole stage",
        "width": "number of outputs of the whole stage",
        "partial": "byte offset of its partial sums in a worker's part of the exchange",
        "dy": "address of the gradient with respect to y, in a graph; in a chain it is in WORKER",
        "sources": "address of its SOURCEs, in a graph",
        "reads": "number of SOURCEs",
        "parameters": "address of its PARAMETERs, for opcodes that read them one by one",
        "trains": "1 if gradients of its parameters are computed",
        "spare": "1 if these are written to the worker's spare gradient, because a stage shares the parameters",
        "settings": "address of an operation's numeric settings, float64",
        "saved": "address of what an operation saves for its backward pass (rows, saves)",
        "saves": "elements per row of `saved`",
        "kept": "address of the saved elements that are not per row (keeps,)",
        "keeps": "number of elements of `kept`",
        "rates": "address of the dropout rate of each step, float64; 0 if it is constant",
        "own": "address of the OWN of a user-defined stage",
    },
    {
        "scale": "factor of a rescale stage",
        "offset": "summand of a rescale stage",
        "rate": "dropout rate, if constant",
    },
)

SOURCE = Structure(
    {
        "x": "address of a value that a stage reads (rows, features)",
        "features": "number of its features",
        "dx": "address of this stage's gradient with respect to it; 0 if it is not needed",
        "sum": "address of the gradient that dx is added to, if other stages read the value too",
    },
    {},
)

PARAMETER = Structure(
    {"start": "byte offset of the parameter in the worker's parameters and gradients", "size": "number of elements"}, {}
)

OWN = Structure(
    {
        "x": "address of the inputs of the whole batch (rows, inputs), as user-defined code reads them",
        "y": "address of the outputs that it leaves (rows, outputs)",
        "dy": "address of the gradient with respect to y that it reads",
        "dx": "address of the gradient with respect to x that it leaves",
        "first_input": "index of the worker's first column of x and dx",
        "inputs": "columns of x and dx",
        "first_output": "index of the worker's first column of y and dy",
        "outputs": "columns of y and dy",
    },
    {},
)
"""The whole arrays of a user-defined stage; by units, worker 0's own where each worker has all of them."""

BOUND = Structure(
    {
        "start": "byte offset of the constrained parameter in the worker's parameters",
        "inputs": "its rows; a column has the weights into one unit",
        "outputs": "its columns",
        "not_negative": "1 for the nonnegative constraint, 0 for bounds of the norm",
    },
    {"least": "minimum norm of a column", "most": "maximum norm", "rate": "fraction of the way to the bound"},
)

PART = Structure(
    {
        "column": "column of its first score among all scores",
        "width": "number of its scores",
        "target": "its first column in the targets",
        "targets": "number of its target columns",
        "takes_labels": "1 if the targets are labels",
        "loss": "address of its loss, 0 if it has none",
        "head": "address of the activation that turns its scores into predictions",
        "first": "index of its loss in a worker's `totals`; 0 without a loss",
        "own_scores": "byte offset of a copy of its scores (rows, width) in the worker's `parts`",
        "own_dscores": "likewise, of their gradient",
        "own_targets": "likewise, of its targets (rows, targets), or labels (rows,), int64",
        "own_weights": "likewise, of its row weights (rows,), if each output has its own",
        "seen": "likewise, of the sum of its loss before this batch, float64",
    },
    {"weight": "weight of its loss in the total loss"},
)
"""One of several outputs."""

INSTRUCTION = Structure(
    {
        "function": "address of the opcode, or a number below, which the interpreter executes itself",
        "stage": "index of the stage; for REPEAT, of the instruction to jump to",
        "option": "variant of the opcode",
    },
    {},
)

METRIC = Structure(
    {
        "function": "address of the function that adds a batch to its sums; 0 if user-defined",
        "first": "index of its first sum in a worker's `totals`",
        "on_predictions": "1 if it takes predictions, 0 if scores",
        "part": "index of the PART that it measures, if there are several outputs",
    },
    {"threshold": "decision threshold"},
)

BEGIN, EXCHANGE, REPEAT, OWN_FORWARD, OWN_BACKWARD, OWN_MEASURES = range(6)
"""Values of `function` in place of an address: begin a step, or end the run if none is left; wait for all workers; go
to the next step; call a user-defined stage's forward or backward, or user-defined loss and metrics.
"""

WORKER = Structure(
    {
        "number": "index among the workers",
        "place": "index of the next instruction",
        "step": "step, counted from the first of the epoch",
        "rows": "number of the batch's rows that it computes",
        "first_row": "index of the first of them in the epoch's order",
        "first_in_batch": "index of the first of them in the batch",
        "nan_step": "the first step whose loss was NaN, or -1",
        "failed": "1 if a user-defined part raised an exception, which ends the run",
        "used": "number of input columns that are nonzero in any of its rows",
        "share": "index of the first parameter that it updates; frozen parameters come last",
        "own": "index of the first of them that only this worker has",
        "share_end": "index after the last",
        "dy": "address of the gradient that is propagated backward",
        "parameters": "address of its parameters",
        "gradient": "address of their gradient",
        "slots": "address of the optimizer's slots for them, rows `slot_stride` apart",
        "segments": "address of the segments of its parameters, four int64 each: first byte, byte after the last, "
        "index of the group, index of the parameter",
        "stages": "address of its STAGEs",
        "inputs": "address of the batch's inputs (rows, features)",
        "scores": "address of the scores that the loss takes (rows, outputs)",
        "dscores": "address of the gradient with respect to the scores",
        "dz": "address of the gradient with respect to a stage's z; before that, of predictions for metrics",
        "targets": "address of the batch's labels (rows,), int64, or targets (rows, target_width)",
        "weights": "address of the batch's row weights (rows,), or (rows, weight_width)",
        "columns": "address of the indices of nonzero columns, int64, followed by a row of bits; for compressed rows, "
        "of the position that is read next in each row of the batch, int64",
        "totals": "address of its sums of the loss and of the metrics in order, float64",
        "spare": "address of a second gradient, whose contents are added to the first",
        "parts": "address of memory per output, if there are several",
        "dx": "address of the gradient with respect to the network's input (rows, features), if requested",
        "offer": "address of the product that it offers to other threads (kernels/matmul/offer.py)",
    },
    {},
)

_RUN_WORDS = {
    "workers": "number of workers",
    "worker": "address of the first WORKER",
    "schedule": "address of the first INSTRUCTION",
    "control": "address of the words STOP, LIMIT and ENDED",
    "claimed": "address of the count of claimed segments per worker, one cache line each",
    "done": "address of the count of finished segments, likewise",
    "help": "address of the opcode that computes blocks of the product that a worker offers",
    "by_rows": "1 if workers divide a batch by rows, 0 if they divide the stages by units",
    "training": "1 for training, 0 for evaluation and prediction",
    "sums_up": "1 if the loss is the sum over rows, 0 if the mean",
    "batch_size": "rows per batch",
    "row_count": "number of rows in the epoch",
    "order": "address of the row indices in shuffled order (row_count,), int64",
    "batch_weights": "address of the sum of each batch's row weights, float64",
    "first_step": "the first step to run",
    "first_update": "number of batches before it; these are updates if `accumulation` is 1",
    "accumulation": "batches per update",
    "gradient_sum": "index of the slot that accumulates their gradients, if there are several",
    "seed": "seed of the dropout masks",
    "features": "elements per row",
    "row_limit": "number of rows of the data",
    "x": "address of the data (rows, features), uint8 or floating-point; of compressed rows, of their values",
    "starts": "address of where each compressed row starts (row_limit + 1,), int64",
    "entry_columns": "address of the columns of the values of compressed rows, int64",
    "targets": "address of the data's labels (rows,) or targets (rows, target_width)",
    "target_width": "target elements per row",
    "weights": "address of the data's row weights (rows,), or one per output, (rows, weight_width)",
    "weight_width": "weights per row: 1, or one per output",
    "python": "address of the callback for user-defined parts: takes an instruction and the rows of the batch, returns "
    "1 on success",
    "bits": "address of bit sets of each row's nonzero columns (rows, words), int64",
    "words": "64-bit words per bit set",
    "all_rows": "address of the numbers 0, 1, 2, ..., int64",
    "shared_inputs": "address of the gathered inputs, which all workers read",
    "partials": "address of the exchange: one part per worker, twice (double buffering)",
    "partial_stride": "bytes from one worker's part to the next",
    "penalties": "address of l1 and l2 of each worker's parameters, (workers, 2, penalty_stride); 0 without penalties",
    "penalty_stride": "elements per row of `penalties`",
    "penalty_sums": "address of each worker's penalty terms of the loss (2, workers), float64",
    "bounds": "address of the first BOUND",
    "norms": "address of the squared norms (2, workers), or (2, workers, norm_count), float64",
    "outputs": "elements per prediction",
    "loss": "address of the loss",
    "head": "address of the activation that turns scores into predictions",
    "out": "address of the predictions (row_count, outputs), or of derivatives (rows, outputs, features)",
    "repeats": "consecutive rows of a batch that are one sample, each differentiating another output",
    "metrics": "address of the first METRIC",
    "rule": "address of the optimizer's update rule",
    "rates": "address of each step's learning rate, float64",
    "group_rates": "bytes from one group's rates to the next",
    "constants": "address of the optimizer's other hyperparameters, float64",
    "constant_stride": "bytes from one step's to the next; 0 if they are constant",
    "group_constants": "bytes from one group's to the next",
    "average": "address of the update of the parameters' running means; 0 without them",
    "averages_apart": "1 if these are updated after the constraints, 0 if with the parameters",
    "average_slot": "byte offset of their slot from the first",
    "average_constants": "byte offset of their hyperparameters in `constants`",
    "segments": "segments per worker, if they are updated or clipped separately; else 0",
    "norm_count": "gradient norms per worker, if each parameter has its own",
    "slot_stride": "elements from one slot to the next",
    "gradients": "address of the first worker's gradient",
    "gradient_stride": "bytes from one worker's gradient to the next",
    "parts": "address of the first PART",
    "part_count": "number of PARTs; 0 for a single output",
    "whole_gradient": "address of the sum of all workers' gradients, if requested",
    "iteration": "address of the ITERATION of L-BFGS (kernels/lbfgs/iteration.py); 0 for other runs",
}
_RUN_NUMBERS = {
    "scale": "factor applied to the inputs",
    "offset": "summand added to the inputs",
    "clip_norm": "maximum gradient norm, 0 for none",
    "clip_value": "maximum magnitude of a gradient element, 0 for none",
}

RUN = Structure(_RUN_WORDS, _RUN_NUMBERS)
"""The run as the interpreter reads it, independent of the dtype."""


@cache
def run_of(dtype: str) -> Structure:
    """Return a RUN with a zero of the network's dtype, as opcodes read it."""
    return Structure(_RUN_WORDS, _RUN_NUMBERS, dtype)


LINE = 8
"""Number of 64-bit words per cache line. Words written by different threads are at least this far apart (false
sharing).
"""

STOP, LIMIT, ENDED = 0, LINE, 2 * LINE
"""Indices into `control`: nonzero to stop between two steps; the step to end before; the segment after which all
workers ended, or -1.
"""

SCRATCH = 8
"""Words that `permute` needs besides the order: 4 of the pool, 4 of the seed."""

SEARCH_NEXT, SEARCH_FOUND, SEARCH_ADDRESS, SEARCH_COUNT, SEARCH_WORDS = 0, LINE, 2 * LINE, 2 * LINE + 1, 3 * LINE
"""Words of a search for numbers that are not finite (`finite.py`): the next number that no thread has claimed, 1 once
one was found, the address of the numbers, their count; and how many words there are.
"""

MANY = Structure(
    {
        "job": "address of the first JOB; the longest jobs come first",
        "jobs": "number of jobs",
        "queue": "address of the index of the next job to take",
    },
    {},
)
"""Several networks trained at the same time, each by one thread."""

JOB = Structure(
    {
        "first": "address of its first PASS",
        "passes": "number of passes",
        "control": "address of the network's own words STOP, LIMIT and ENDED",
        "parameters": "address of its parameters",
        "slots": "address of the optimizer's slots for them",
        "seed": "seed of its dropout masks",
        "group_rates": "as in RUN",
        "constant_stride": "as in RUN",
        "group_constants": "as in RUN",
    },
    {"clip_norm": "as in RUN", "clip_value": "as in RUN"},
)

PASS = Structure(
    {
        "trains": "1 if it trains, 0 if it evaluates",
        "teams": "address of the teams that can run it, a cache line each: 1 while in use, the address of its RUN, "
        "the address of its memory for an order",
        "team_count": "number of teams",
        "first": "the first step to run",
        "last": "the step after the last",
        "first_update": "as in RUN",
        "totals": "address of the sums of the loss and of the metrics, float64",
        "x": "as in RUN",
        "row_limit": "as in RUN",
        "starts": "as in RUN",
        "entry_columns": "as in RUN",
        "targets": "as in RUN",
        "weights": "as in RUN",
        "bits": "as in RUN",
        "order": "as in RUN; set to the team's memory if the order is drawn",
        "entropy": "address of the words that the order is drawn from",
        "words": "number of these words; 0 if the order is given",
        "row_count": "as in RUN",
        "batch_weights": "as in RUN",
        "rates": "as in RUN",
        "constants": "as in RUN",
        "done": "result: the step after the last one run",
        "nan_step": "result: the first step whose loss was NaN, or -1",
        "began": "result: the CPU's time stamp counter at the start",
        "ended": "result: likewise, at the end",
    },
    {},
)
