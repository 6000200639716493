"""Structures that describe a run to compiled code: `backends/numba_backend` fills them, opcodes read them.

Sizes count elements unless stated otherwise. All workers share a `RUN`; each has a `WORKER`, in cache lines of its own,
and its own `STAGE`s.
"""

from functools import cache

from dnnkit.kernels._numba.structure import Structure

STAGE = Structure(
    {
        "inputs": "features of its x; a worker may hold a shard of a stage, and counts its own",
        "outputs": "features of its y",
        "kernel": "bytes from the worker's parameters, or gradients, to its kernel (inputs, outputs)",
        "bias": "the same to its bias; of a stage of the user's own, to all its parameters",
        "biases": "length of the bias, 0 without one",
        "bias_gradients": "the same of its gradient, which there is none of where the stage is frozen",
        "forward": "address of its activation",
        "backward": "address of its activation's gradient",
        "saves_input": "1 if the activation's gradient is computed from z or the slope that is left there, 0 if from y",
        "x": "address of its inputs (rows, inputs)",
        "y": "address of its outputs (rows, outputs)",
        "z": "address of what the activation is applied to; of a dense stage that trains, then of its slope there",
        "dx": "address of the gradient of x",
        "keep": "address of the dropout mask (rows, outputs)",
        "layer": "the number of the dropout mask's random stream",
        "first_output": "its first output among those of the whole stage",
        "width": "outputs of the whole stage",
        "partial": "bytes from a worker's place in the exchange to its partial sums",
        "dy": "address of the gradient of y, in a graph; elsewhere the WORKER says where that is",
        "sources": "address of the SOURCEs that it reads, in a graph",
        "reads": "how many there are",
        "parameters": "address of its PARAMETERs, where an opcode reads them one by one",
        "trains": "1 if the gradients of its parameters are wanted",
        "spare": "1 if these go to the worker's spare gradient, for another stage's are where they belong",
        "settings": "address of the numbers among an operation's settings, float64",
        "saved": "address of what an operation leaves for its backward pass (rows, saves)",
        "saves": "numbers of a row of it",
        "kept": "address of its numbers that do not grow with rows (keeps,)",
        "keeps": "how many",
        "rates": "address of the share that a dropout zeroes in each step, float64; 0 where it stays",
    },
    {
        "scale": "factor of a rescaling",
        "offset": "summand of a rescaling",
        "rate": "share that a dropout zeroes",
    },
)

SOURCE = Structure(
    {
        "x": "address of a value that a stage reads (rows, features)",
        "features": "its features",
        "dx": "address of its gradient, as this stage gives it; 0 where that is not wanted",
        "sum": "address of the gradient that dx is added to, where other stages read the value too",
    },
    {},
)

PARAMETER = Structure(
    {"start": "bytes from the worker's parameters, or gradients, to a parameter of a stage", "size": "its numbers"}, {}
)

BOUND = Structure(
    {
        "start": "bytes from the worker's parameters to the parameter that is held to it",
        "inputs": "its rows: a column is what comes to one unit",
        "outputs": "its columns",
        "not_negative": "1 if no number is below 0, and nothing else",
    },
    {"least": "norm of a column", "most": "norm of a column", "rate": "share of the way there"},
)

PART = Structure(
    {
        "column": "the first of an output's scores among those of all",
        "width": "how many it has",
        "target": "its first column of the targets",
        "targets": "how many it has",
        "takes_labels": "1 if these are labels",
        "loss": "address of its loss, 0 if it has none",
        "head": "address of the activation that makes its predictions of scores",
        "first": "number of its loss among a worker's `totals`; 0 without a loss",
        "own_scores": "bytes from the worker's `parts` to a copy of its scores (rows, width)",
        "own_dscores": "the same to their gradient",
        "own_targets": "the same to its targets (rows, targets), or labels (rows,), int64",
        "own_weights": "the same to its row weights (rows,), where each output has some",
        "seen": "the same to the sum of its loss before this batch, float64",
    },
    {"weight": "factor of its loss in the sum of all"},
)
"""One of several outputs."""

INSTRUCTION = Structure(
    {
        "function": "address of the opcode; or one of the numbers below, which the interpreter does itself",
        "stage": "the stage's number; of REPEAT the instruction to go on with",
        "option": "what else the opcode wants to know",
    },
    {},
)

METRIC = Structure(
    {
        "function": "address of what adds a batch to its sums; 0 of the user's own",
        "first": "number of its first sum among a worker's `totals`",
        "on_predictions": "1 if it takes predictions, 0 if the scores",
        "part": "number of the PART that it measures, where there are several outputs",
    },
    {"threshold": "what it compares them with"},
)

BEGIN, EXCHANGE, REPEAT, OWN_FORWARD, OWN_BACKWARD, OWN_MEASURES = range(6)
"""Values of `function` in place of an address: begin a step, or end the run if none is left; wait for all workers; go
to the next step; call a user-defined stage's forward or backward, or user-defined loss and metrics.
"""

WORKER = Structure(
    {
        "number": "among the workers",
        "place": "number of the next instruction",
        "step": "the step, counted from the first of the epoch",
        "rows": "rows of the batch that it computes",
        "first_row": "number of the first of them in the epoch's order",
        "first_in_batch": "the same, in the batch",
        "nan_step": "the first step whose loss was not a number, or -1",
        "failed": "1 if the user's own part failed, which ends the run",
        "used": "how many columns of the inputs are not zero in all of its rows",
        "share": "number of the first parameter that it updates; frozen ones come after all others",
        "own": "number of the first of them that no other worker holds",
        "share_end": "number after the last",
        "dy": "address of the gradient that goes backward",
        "parameters": "address of its parameters",
        "gradient": "address of their gradient",
        "slots": "address of the optimizer's slots for them, rows as far apart as `slot_stride` says",
        "segments": "address of the pieces of its parameters, four int64 each: first byte, byte after the last, number "
        "of the group, number of the parameter",
        "stages": "address of its STAGEs",
        "inputs": "address of the batch's inputs (rows, features)",
        "scores": "address of the numbers that the loss takes (rows, outputs)",
        "dscores": "address of their gradient",
        "dz": "address of the gradient of a stage's z; before that, of predictions, where metrics take them",
        "targets": "address of the batch's labels (rows,), int64, or targets (rows, target_width)",
        "weights": "address of the batch's row weights (rows,), or (rows, weight_width)",
        "columns": "address of the numbers of the columns that are not zero, int64, and of a row of bits",
        "totals": "address of its sums of the loss and of one metric after the other, float64",
        "spare": "address of a second gradient, for what is added to the first",
        "parts": "address of memory for the outputs, where there are several",
        "dx": "address of the gradient of the network's input (rows, features), where it is wanted",
    },
    {},
)

_RUN_WORDS = {
    "workers": "how many there are",
    "worker": "address of the first WORKER",
    "schedule": "address of the first INSTRUCTION",
    "control": "address of the words STOP, LIMIT and ENDED",
    "claimed": "address of the number of claimed segments of each worker, a cache line each",
    "done": "address of the number of finished ones, likewise",
    "by_rows": "1 if workers share a batch by its rows, 0 if by the stages' units",
    "training": "1 if the loss has a gradient",
    "sums_up": "1 if the loss is the rows' sum, 0 if their mean",
    "batch_size": "rows of a batch",
    "row_count": "rows of an epoch",
    "order": "address of the rows' numbers (row_count,), int64",
    "batch_weights": "address of the sum of each batch's row weights, float64",
    "first_step": "the step that is run first",
    "first_update": "how many batches there were before it, each of which is an update if `accumulation` is 1",
    "accumulation": "batches that make an update",
    "gradient_sum": "number of the slot in which their gradients are added up, if they are several",
    "seed": "seed of the dropout masks",
    "features": "numbers of a row",
    "row_limit": "rows of the data",
    "x": "address of the data (rows, features), bytes or numbers",
    "targets": "address of the data's labels (rows,) or targets (rows, target_width)",
    "target_width": "numbers of a row's targets",
    "weights": "address of the data's row weights (rows,), or of each output, (rows, weight_width)",
    "weight_width": "weights of a row: 1, or one for each output",
    "python": "address of what calls the user's own parts: given an instruction, 1 if all went well",
    "bits": "address of the bits that say which columns each row uses (rows, words), int64",
    "words": "64-bit words of a row of bits",
    "all_rows": "address of the numbers 0, 1, 2, ..., int64",
    "shared_inputs": "address of the inputs that all workers read",
    "partials": "address of the exchange: two turns of a place for each worker",
    "partial_stride": "bytes from one worker's place to the next one's",
    "penalties": "address of l1 and l2 of what each worker trains, (workers, 2, penalty_stride); 0 without penalties",
    "penalty_stride": "numbers of a row of these",
    "penalty_sums": "address of what each worker's parameters add to the loss (2, workers), float64",
    "bounds": "address of the first BOUND",
    "norms": "address of the squared norms (2, workers), or (2, workers, norm_count), float64",
    "outputs": "numbers of a prediction",
    "loss": "address of the loss",
    "head": "address of the activation that makes predictions of scores",
    "out": "address of the predictions (row_count, outputs), or of derivatives (rows, outputs, features)",
    "repeats": "rows of a batch that are the same sample, each with another output to be differentiated",
    "metrics": "address of the first METRIC",
    "rule": "address of the optimizer's update",
    "rates": "address of each step's learning rate, float64",
    "group_rates": "bytes from one group's rates to the next one's",
    "constants": "address of the optimizer's other numbers, float64",
    "constant_stride": "bytes from one step's to the next one's; 0 if they are the same",
    "group_constants": "bytes from one group's to the next one's",
    "average": "address of the update of the parameters' running means, 0 if there are none",
    "averages_apart": "1 if these are updated after the parameters are held to bounds, not with them",
    "average_slot": "bytes from the first slot to theirs",
    "average_constants": "bytes from the first of the optimizer's other numbers to theirs",
    "segments": "how many a worker has, if they are updated, or their gradients clipped, one by one; else 0",
    "norm_count": "norms of a worker's gradient, where each parameter has its own",
    "slot_stride": "numbers from one slot to the next",
    "gradients": "address of the first worker's gradient",
    "gradient_stride": "bytes from one worker's gradient to the next one's",
    "parts": "address of the first PART",
    "part_count": "how many there are; 0 of a single output",
    "whole_gradient": "address of the sum of all workers' gradients, where it is asked for",
    "iteration": "address of the ITERATION of L-BFGS (kernels/lbfgs/iteration.py), 0 of other runs",
}
_RUN_NUMBERS = {
    "scale": "factor of the inputs",
    "offset": "summand of the inputs",
    "clip_norm": "largest norm of a gradient, 0 for any",
    "clip_value": "largest element of a gradient, 0 for any",
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

MANY = Structure(
    {
        "job": "address of the first JOB; those that take longest come first",
        "jobs": "how many there are",
        "queue": "address of the number of the next that nobody has taken",
    },
    {},
)
"""Several networks trained at the same time, each by one thread."""

JOB = Structure(
    {
        "first": "address of its first PASS",
        "passes": "how many there are",
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
        "trains": "1 if it trains, 0 if it measures",
        "teams": "address of the teams that can run it, a line each: 1 if somebody uses it, the address of its RUN",
        "team_count": "how many there are",
        "first": "the step that is run first",
        "last": "the one after the last",
        "first_update": "as in RUN",
        "totals": "address of the sums of the loss and of the metrics, float64",
        "x": "as in RUN",
        "row_limit": "as in RUN",
        "targets": "as in RUN",
        "weights": "as in RUN",
        "bits": "as in RUN",
        "order": "as in RUN",
        "row_count": "as in RUN",
        "batch_weights": "as in RUN",
        "rates": "as in RUN",
        "constants": "as in RUN",
        "done": "written: the step after the last that was run",
        "nan_step": "written: the first step whose loss was not a number, or -1",
        "began": "written: the processor's counter of time",
        "ended": "written: the same",
    },
    {},
)
