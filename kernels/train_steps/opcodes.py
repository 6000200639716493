"""What schedules are written in, and how workers account for where they are."""

GATHER, BEGIN, TAKE, FORWARD, PRODUCT, JOIN, LOSS, BACKWARD, BACKWARD_PART, JOIN_GRADIENT, KERNEL_GRADIENT, UPDATE_FUSED, \
    ADD_GRADIENTS, NORM, UPDATE, HEAD, EXCHANGE, REPEAT = range(18)  # fmt: skip
"""Instructions, (instruction, stage, option): gather a share of this or the next step's inputs, for all; begin a step,
unless it is one too many; take its rows, whose inputs are `GATHERED` now, were `SHARED`, or stay `IN_PLACE`; a dense
stage's partial product to the exchange, and the sum of everybody's; backward with dx to the exchange, and the sum; the
gradient of the stage's kernel; or that and the update of the stage's parameters, piece by piece; the sum of everybody's
gradients, for this worker's share of the parameters; its part of the gradient's norm; the update; predictions; wait for
others; the next step.

Inputs that are shared are gathered one step ahead, in the segment before an exchange, into one of `INPUTS` places in
turn: others may still read those of this step and of the one before."""

GATHERED, SHARED, IN_PLACE = range(3)
"""Where a step's inputs are: gathered by each worker; gathered by all, for all; or in the data, which the first stage's
products read row by row. Then they must be in the network's dtype, and need no rescaling."""

EVERY, NONZERO = range(2)
"""What a dense stage multiplies: every column of its x; or, of the network's inputs, if they fit tiles, those that are
not zero in all rows of the batch. These may also be `IN_PLACE`."""

INPUTS = 3

LINE = 8
"""Numbers in a cache line: what different threads write stands so far apart."""

STOP, LIMIT, ENDED = 0, LINE, 2 * LINE
"""Places in `control`: not 0 to stop between two steps; the step to end before; after which segment all have ended, or
-1."""

PLACE, STEP, ROWS, FIRST_ROW, DY, NAN_STEP, SHARE, OWN, SHARE_END, COLUMNS = range(10)
"""Places in a worker's `progress`: where it stands in the schedule; step; rows it has, and which of the batch; offset
of the gradient that goes backward; first step with a NaN loss, or -1; its share of the parameters, and from where on it
alone has them; how many columns of the inputs the batch uses."""
