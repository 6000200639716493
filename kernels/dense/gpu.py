"""Dense layer on the GPU: products by cuBLAS, bias and activation in one pass around them.

Contract: the package's docstring. Output arrays are contiguous; a layer without a bias passes None for b and db. An
activation that saves its output needs no z: y holds the product in between. dz may be dy. A following dropout is drawn
in the same passes; its output is a separate array, `dropped`, because the backward pass needs y.
"""

from typing import Any

from dnnkit.kernels._cuda import activations, products
from dnnkit.kernels._cuda.launch import blocks, contiguous, counted, empty, launch
from dnnkit.kernels._cuda.recording import refuse
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels._cuda.strips import ROWS_OF_THREAD, add_chunks, block_of, chunks_of, strips_of
from dnnkit.kernels._cuda.strips import sources as sources_of_sums
from dnnkit.kernels.array import Array
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.dropout import gpu as random_zeros
from dnnkit.kernels.registry import Activation


def sources() -> list[Source]:
    """Return the variants that ship without an activation; the others are in `activations.sources`."""
    return sources_of_sums()


def forward(
    x: Array,
    w: Array,
    b: Array | None,
    activation: Activation,
    z: Array | None,
    y: Array,
    dropout: Draw | None = None,
    dropped: Array | None = None,
) -> None:
    """Compute y = f(x w + b); z gets x w + b if the activation saves its input, and is unused otherwise.

    With dropout, `dropped` gets the result of dropout on y.
    """
    product = y if z is None or activation.saves == "output" else z
    multiply(x, w, product)
    if not activation.elementwise:
        activations.launcher(activation.name).forward(product, y, b)
        if dropout is not None:
            random_zeros.draw(y, dropout, dropped)
        return
    if y.size == 0 or (activation.name == "linear" and b is None and dropout is None):
        return
    rows, columns = y.shape
    bias = None if b is None else contiguous(b)
    of_dropout = {"dropped": dropped, **random_zeros.numbers(dropout)}
    arguments = {"z": product, "b": bias, "y": y, **of_dropout, "rows": rows, "columns": counted(columns)}
    along, down = block_of(columns, y.itemsize)
    grid = (strips_of(columns, y.itemsize), blocks(rows, 4 * down))
    launch(activations.source(activation.name, y.dtype.name), "dense_forward", grid, (along, down), arguments)


def backward(
    dy: Array,
    x: Array,
    w: Array,
    saved: Array,
    activation: Activation,
    needs_dx: bool,
    dz: Array,
    dx: Array | None,
    dw: Array,
    db: Array | None,
    scratch: Array | None = None,
    dropout: Draw | None = None,
) -> None:
    """Compute dz = dy f'(saved), db = Σ_i dz_i in the same pass, dw = xᵀ dz and, if needed, dx = dz wᵀ.

    `scratch` has the arrays' dtype and `scratch_size` elements, and is allocated here if it is not given. With dropout
    after the layer, dy is the gradient of the dropout's output.
    """
    if activation.elementwise:
        _weigh(activation.name, dy, saved, dz, db, scratch, dropout)
    else:
        if dropout is not None:
            random_zeros.draw(dy, dropout, dz)
            dy = dz
        activations.launcher(activation.name).backward(dy, saved, dz)
        if db is not None:
            _weigh("linear", dz, dz, dz, db, scratch)
    multiply(x.T, dz, dw)
    if needs_dx:
        multiply(dz, w.T, dx)


def backward_input(dy: Array, w: Array, saved: Array, activation: Activation, dz: Array, dx: Array) -> None:
    """Compute dz = dy f'(saved) and dx = dz wᵀ, without gradients of w and b."""
    if activation.elementwise:
        _weigh(activation.name, dy, saved, dz, None, None)
    else:
        activations.launcher(activation.name).backward(dy, saved, dz)
    multiply(dz, w.T, dx)


def scratch_size(rows: int, columns: int) -> int:
    """Return the number of partial sums in the bias gradient of (rows, columns); 0 if there are none."""
    count = chunks_of(rows, columns)
    return count * columns if count > 1 else 0


def multiply(a: Array, b: Array, out: Array) -> None:
    """Write a b to out; either factor may be a transposed view."""
    if out.size == 0:
        return
    if a.shape[1] == 0:
        refuse("a product of nothing")
        out.fill(0)
        return
    products.multiply(a, b, out)


def _weigh(
    name: str,
    dy: Array,
    saved: Array,
    dz: Array,
    db: Array | None,
    scratch: Array | None,
    dropout: Draw | None = None,
) -> None:
    rows, columns = dz.shape
    there = name == "linear" and dropout is None and dz is dy  # dz needs no write: it is dy
    if columns == 0 or (there and db is None):
        return
    source = activations.source(name, dz.dtype.name)
    along, down = block_of(columns, dz.itemsize)
    chunks = blocks(rows, ROWS_OF_THREAD * down) if db is None else chunks_of(rows, columns)
    parts = db
    if db is not None and chunks > 1:
        parts = empty(chunks * columns, dz.dtype.name) if scratch is None else scratch
    arguments: dict[str, Any] = {"dy": contiguous(dy), "saved": contiguous(saved), "parts": parts}
    arguments |= {"dz": None if there else dz, "dropped": dropout is not None, **random_zeros.numbers(dropout)}
    sizes = {"rows": rows, "columns": counted(columns), "chunk": -(-rows // chunks)}
    grid = (strips_of(columns, dz.itemsize), chunks)
    launch(source, "dense_backward", grid, (along, down), {**arguments, **sizes})
    if db is not None and chunks > 1:
        add_chunks(parts, chunks, columns, db, dz.dtype.name)
