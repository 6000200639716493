"""Dense layer: products with bias by `matmul`, then the activation. Contract: the package's docstring.

`activation` is the address of the activation's entry point, forward or backward; a layer without a bias passes an empty
b or db. The arrays after the reference's arguments are outputs: contiguous, and none aliases another.
"""

from dnnkit.kernels._numba.indirect_calls import address_of, call_backward, call_forward
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.cpu import product_and_bias, product_of_columns, product_with_transpose, sum_rows


@jit
def forward(x, w, b, activation, z, y):
    product_and_bias(x, w, b, z, 0)
    activate(activation, z, y)


@jit
def activate(activation, z, y):
    """Apply the activation: y = f(z)."""
    rows, outputs = z.shape
    call_forward(activation, (address_of(z), address_of(y), rows, outputs))


@jit
def backward(dy, x, w, saved, activation, needs_dx, dz, dx, dw, db):
    backward_without_kernel(dy, w, saved, activation, needs_dx, dz, dx, db, 0)
    product_of_columns(x, 0, dz, dw, 0)


@jit
def backward_input(dy, w, saved, activation, dz, dx):
    """Compute dx only, for frozen w and b."""
    rows, outputs = dz.shape
    call_backward(activation, (address_of(dy), address_of(saved), address_of(dz), rows, outputs))
    product_with_transpose(dz, w, dx, 0)


@jit
def backward_without_kernel(dy, w, saved, activation, needs_dx, dz, dx, db, offer):
    """Compute everything but dw = xᵀ dz; offer a large product to other threads at the address `offer`, if not 0."""
    rows, outputs = dz.shape
    call_backward(activation, (address_of(dy), address_of(saved), address_of(dz), rows, outputs))
    if db.size > 0:
        sum_rows(dz, db)
    if needs_dx:
        product_with_transpose(dz, w, dx, offer)
