"""The bytecode of a training step, and a worker's progress through it.

A schedule is an array of instructions (opcode, stage, option). "The exchange" is memory that all workers read.
"""

(
    GATHER,  # this worker's share of the inputs for all workers: this step's if `stage` is 0, the next one's if 1
    BEGIN,  # a step, or the end of the run if there is none left
    TAKE,  # the step's rows: targets, weights, and the inputs, which are where `stage` says (`GATHERED`, ...)
    FORWARD,  # a stage's y; `option` says which columns of x it multiplies (`EVERY`, ...)
    PRODUCT,  # a dense stage's partial product, to the exchange
    JOIN,  # the sum of all workers' partial products, bias and activation: the stage's y
    LOSS,  # loss, metrics and the gradient of the scores
    BACKWARD,  # a stage's bias gradient and dz, and dx if `option` is 1
    BACKWARD_PART,  # the same with a partial dx, to the exchange
    JOIN_GRADIENT,  # the sum of all workers' partial dx
    KERNEL_GRADIENT,  # the gradient of a dense stage's kernel; `option` as for FORWARD
    UPDATE_FUSED,  # the same with the update of the stage's parameters, piece by piece
    ADD_GRADIENTS,  # the sum of all workers' gradients, for this worker's share of the parameters
    NORM,  # this worker's part of the gradient's squared norm
    UPDATE,  # this worker's share of the parameters
    HEAD,  # predictions from the scores
    EXCHANGE,  # wait for all workers
    REPEAT,  # the next step, from instruction `stage` on
) = range(18)

GATHERED, SHARED, IN_PLACE = range(3)
"""Where a step's inputs are: gathered by each worker for itself; gathered by all workers for all; or in the data, which
the first stage's products read row by row. Then they must be in the network's dtype, and need no rescaling."""

EVERY, NONZERO = range(2)
"""What a dense stage multiplies: every column of its x; or, of the network's inputs, if they fit tiles, those that are
not zero in all rows of the batch. These may also be `IN_PLACE`."""

INPUTS = 3
"""Buffers for inputs that are `SHARED`, used in turn: they are gathered one step ahead, in the segment before an
exchange, while other workers may still read those of this step and of the one before."""

LINE = 8
"""64-bit numbers in a cache line: what different threads write is that far apart."""

STOP, LIMIT, ENDED = 0, LINE, 2 * LINE
"""Indices of `control`: not 0 to stop between two steps; the step to end before; the segment after which all workers
have ended, or -1."""

PLACE, STEP, ROWS, FIRST_ROW, DY, NAN_STEP, SHARE, OWN, SHARE_END, COLUMNS = range(10)
"""Indices of a worker's `progress`: its position in the schedule; step; number of its rows, and the first one's index
in the batch; offset of the gradient that goes backward; first step with a NaN loss, or -1; start of its share of the
parameters, of the part that it alone holds, and the share's end; how many columns of the inputs the batch uses."""
