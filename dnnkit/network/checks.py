"""Checks of user input: samples, targets and weights, each with one clear error.

Arrays that the backend can read in place (such as on a GPU) stay there and are checked in their own namespace.
"""

import os
from math import prod
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.backends.diagnosis import in_words
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.graph.graph import Graph
from dnnkit.graph.names import layer_names
from dnnkit.initializers import Shape
from dnnkit.kernels.array import Array, namespace
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.layers import Input, Layer
from dnnkit.layers.places import description
from dnnkit.settings import counted, is_masked, several, shown, whole

Dtype: TypeAlias = Literal["float32", "float64"]

LARGEST_ORDER = 1 << 27
"""Maximum samples per epoch of counted steps, unless twice the data set is more: their order takes 1 GiB."""

WEIGHT_BITS = 40
"""Margin, in powers of two, that weights keep from the least and largest number of a dtype, so that losses and
gradients times a weight, or divided by a sum of weights, neither underflow nor overflow."""


# -- network arguments -----------------------------------------------------------------------------------------------


def check_layers(layers: Any) -> tuple[tuple[Layer, ...], Shape | None]:
    """Return the layer descriptions, and the sample shape if `Input` or the first layer declares it."""
    if isinstance(layers, Layer | Input):
        raise ConfigurationError(f"layers is the single layer {layers}: expected a list; write Sequential([{layers}])")
    given = several("layers", layers, "a list of layers, such as [Dense(10)]")
    shape = None
    if given and isinstance(given[0], Input):
        shape, given = given[0].sample_shape, given[1:]
    given = tuple(layer.as_layer() if hasattr(layer, "as_layer") else layer for layer in given)
    for layer in given:
        if isinstance(layer, Input):
            raise ConfigurationError(f"{layer} comes after other layers: expected it first, if at all")
        if not isinstance(layer, Layer):
            raise ConfigurationError(f"layers must be objects of class Layer, such as Dense(10); got {shown(layer)}")
    described = tuple(map(description, given))
    layer_names(described)
    first = described[0].sample_shape if described else None
    if first is not None and shape not in (None, first):
        raise ConfigurationError(f"Input declares samples of shape {shape}, but the first layer {first}")
    return described, shape or first


def check_dtype(dtype: Any) -> Dtype:
    """Return the name of the dtype, which may also be given as a NumPy type."""
    name = dtype
    if isinstance(dtype, type | np.dtype):
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = None
    if not isinstance(name, str) or name not in get_args(Dtype):
        raise ConfigurationError(f"dtype is {shown(dtype)}: expected 'float32' or 'float64'")
    return name  # type: ignore[return-value]


def check_input_shape(given: Any) -> Shape:
    """Return the shape of one sample; a leading None stands for the batch and is dropped."""
    shape = tuple(np.atleast_1d(np.asarray(given, object)).tolist())
    if len(shape) > 1 and shape[0] is None:
        shape = shape[1:]
    if not shape:
        raise ConfigurationError(f"input_shape is {shown(given)}: expected at least one size, such as (28, 28)")
    return tuple(check_count("a size in input_shape", size) for size in shape)


def check_size(graph: Graph, dtype: str) -> None:
    """Raise `ConfigurationError` if the parameters do not fit into this machine's memory."""
    count = sum(prod(size) for size, _ in graph.parameters().values())
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not available on this system
        memory = 1 << 44
    needed = count * np.dtype(dtype).itemsize
    if needed > memory:
        raise ConfigurationError(
            f"the network would have {counted(count)} parameters of {counted(needed >> 30)} GiB, but this machine has "
            f"{in_words(memory)} of memory: use fewer units, or samples with fewer features"
        )


# -- data ------------------------------------------------------------------------------------------------------------


def as_samples(x: Any, input_shape: Shape | None, backend: Backend, name: str = "x") -> Array:
    """Return x as numbers of shape (N, *input_shape), N at least 1; errors refer to it as `name`.

    Finiteness is checked by the executable, which reads all samples anyway when it loads them.
    """
    if x is None:
        raise DataError("x is missing: samples are an array of numbers with one row per sample")
    x = as_numbers(name, x, backend)
    if x.ndim == 1:
        raise ShapeError(
            f"{name} has shape {shape_of(x)}: expected (samples, features). For one feature use {name}[:, None], "
            f"for one sample {name}[None, :]"
        )
    if input_shape is not None and shape_of(x)[1:] != input_shape:
        hint = ""
        if shape_of(x) == input_shape:
            hint = f"; for a single sample use {name}[None]"
        elif np.prod(shape_of(x)[1:]) == np.prod(input_shape):
            hint = f"; use {name}.reshape{(-1, *input_shape)}"
        raise ShapeError(f"{name} has shape {shape_of(x)}: expected (samples, {_join(input_shape)}){hint}")
    return x


def as_weights(
    weights: Any, samples: int, program: Program, backend: Backend, name: str = "sample_weight"
) -> Array | None:
    """Return row weights (N,), finite and not negative; None stays None."""
    if weights is None:
        return None
    weights = as_numbers(name, weights, backend)
    check_length(name, weights, samples)
    if weights.ndim != 1:
        raise ShapeError(f"{name} has shape {shape_of(weights)}: expected ({samples},), one number per sample")
    require_finite(name, weights, program.dtype)
    xp = namespace(weights)
    if float(xp.min(weights)) < 0:
        raise DataError(f"{name} has negative numbers: expected 0 or more")
    if float(xp.max(weights)) == 0:
        raise DataError(f"{name} is 0 for every sample: nothing would be trained or measured")
    limits, wide = np.finfo(program.dtype), xp.astype(weights, xp.float64)
    least, most = float(limits.tiny) * 2.0**WEIGHT_BITS, float(limits.max) * 2.0**-WEIGHT_BITS
    found = float(xp.min(xp.where(wide > 0, wide, xp.ones_like(wide)))), float(xp.max(wide))
    if found[0] < least or found[1] > most:
        raise DataError(
            f"{name} has {found[0 if found[0] < least else 1]:.3g}: in {program.dtype}, weights need to be 0 or from "
            f"{least:.0e} to {most:.0e}. Only their ratios count in a mean: multiply all by one number"
        )
    return weights


def hold_out(share: float, x: Array, y: Array, weights: Array | None, dtype: str) -> tuple[Any, Any]:
    """Split off that share of the samples, targets and weights, from the end."""
    cut = int(x.shape[0] * (1 - share))
    if not 0 < cut < x.shape[0]:
        raise DataError(f"validation_split={share} of {x.shape[0]} samples leaves one side empty")
    require_finite("x", x, dtype)  # before the split, so that the error has the row's number in all of x
    parts = [(part[:cut], part[cut:]) if part is not None else (None, None) for part in (x, y, weights)]
    kept, held_out = zip(*parts, strict=True)
    return kept, held_out


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return the value if it is an integer of at least `least`."""
    if type(value) is int and value >= least:  # fast path: runs before each prediction, which takes a microsecond
        return value
    return int(whole(least).of(name, value))


def check_optional_count(name: str, value: Any) -> int | None:
    """`check_count`, except that None stays None."""
    return None if value is None else check_count(name, value)


def rows_at_a_time(batch_size: int, samples: int, steps_per_epoch: int | None, shuffle: bool | str) -> int:
    """Return the batch size: at most the number of samples, unless rows repeat within an epoch."""
    if steps_per_epoch is None and shuffle != "with_replacement":
        return min(batch_size, samples)
    steps = steps_per_epoch or -(-samples // batch_size)
    rows, most = steps * batch_size, max(LARGEST_ORDER, 2 * samples)
    if rows > most:
        raise ConfigurationError(
            f"an epoch of {counted(steps)} steps of batch_size={counted(batch_size)} is {counted(rows)} samples, whose "
            f"order alone would take {counted(8 * rows >> 30)} GiB: expected at most {counted(most)} samples. Use "
            "smaller batches, or more and shorter epochs; steps= counts all updates"
        )
    return batch_size


def all_rows(batch_size: int | None, samples: int, steps_per_epoch: int | None, shuffle: bool | str) -> int:
    """Return the batch size for a full-batch optimizer; raise if another was given."""
    if batch_size not in (None, samples):
        raise ConfigurationError(
            f"batch_size is {batch_size}, but the optimizer uses all {samples} samples in each step: leave out "
            "batch_size (memory use stays bounded), or train in batches with another optimizer, such as dk.Adam()"
        )
    if steps_per_epoch not in (None, 1):
        raise ConfigurationError(
            f"steps_per_epoch is {steps_per_epoch}, but with this optimizer an epoch is one step on all samples: leave "
            "it out, and give the number of steps as epochs"
        )
    if shuffle == "with_replacement":
        raise ConfigurationError(
            "shuffle is 'with_replacement', but the optimizer uses all samples in each step: leave it out"
        )
    return samples


# -- properties ------------------------------------------------------------------------------------------------------


def shape_of(array: Array) -> tuple[int, ...]:
    """Return the shape as plain integers."""
    return tuple(int(size) for size in array.shape)


def _join(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def as_numbers(name: str, given: Any, backend: Backend) -> Array:
    """Return an array of numbers, not empty, in a form that the backend reads."""
    if type(given) is np.ndarray and given.dtype.kind in "biuf" and given.size and given.ndim:  # fast path
        return backend.as_input(given)
    if isinstance(given, CompressedRows):
        return given
    given = without_mask(name, given)
    try:
        array = backend.as_input(given)
    except ValueError as error:
        raise DataError(f"{name} cannot be converted to an array: {error}. Expected rows of equal length") from error
    except (TypeError, RuntimeError, AttributeError) as error:  # an array of another library that NumPy cannot convert
        raise DataError(f"{name} cannot be converted to an array: {error}. Pass a NumPy array or a list") from error
    xp = namespace(array)
    if isinstance(array, np.ndarray) and array.dtype == object and array.ndim == 0:
        kind = type(given).__name__
        cure = "use toarray()" if hasattr(given, "toarray") else "one array of numbers, with one row per sample"
        raise DataError(f"{name} is of type {kind}, not an array: {cure}")
    if isinstance(array, np.ndarray) and array.dtype.kind not in "biuf":
        raise DataError(f"{name} has dtype {array.dtype}: expected numbers; convert it with astype")
    if not xp.isdtype(array.dtype, ("bool", "integral", "real floating")):
        raise DataError(f"{name} has dtype {array.dtype}: expected real numbers; convert it first")
    if array.ndim == 0:
        raise ShapeError(f"{name} is a single number: expected an array with one row per sample")
    if 0 in array.shape:
        raise DataError(f"{name} is empty, of shape {shape_of(array)}: expected at least one sample")
    return array


def without_mask(name: str, given: Any) -> Any:
    """Return the input unchanged; of a masked array without masked values, its data. Raise if values are masked."""
    parts = given if isinstance(given, list | tuple) else (given,)
    masked = [part for part in parts if is_masked(part)]
    if not masked:
        return given
    if count := sum(int(np.ma.getmaskarray(part).sum()) for part in masked):
        raise DataError(
            f"{name} is a masked array with {count} masked values: fill them, such as {name}.filled(0), or leave out "
            f"their rows"
        )
    return np.ma.getdata(given) if is_masked(given) else [np.ma.getdata(part) for part in parts]


def check_length(name: str, array: Array, samples: int) -> None:
    """Raise `ShapeError` unless there is one row per sample."""
    if array.shape[0] != samples:
        raise ShapeError(f"x has {samples} samples but {name} has {array.shape[0]}: expected one row per sample")
