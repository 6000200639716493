"""The functions of the stand-in: CuPy's names and arguments, computed by NumPy."""

import ctypes
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.cuda_on_cpu.cupy_stand_in.addresses import settle
from tests.cuda_on_cpu.cupy_stand_in.array import allocate, borrow, host, ndarray, wrap
from tests.cuda_on_cpu.cupy_stand_in.device import counts, current_device, get_default_memory_pool
from tests.cuda_on_cpu.cupy_stand_in.raw import RawKernel, RawModule

FUNCTIONS: dict[str, Any] = {
    "ndarray": ndarray,
    "RawModule": RawModule,
    "RawKernel": RawKernel,
    "get_default_memory_pool": get_default_memory_pool,
    "newaxis": None,
    "pi": math.pi,
    "inf": math.inf,
    "nan": math.nan,
    "dtype": np.dtype,
    "finfo": np.finfo,
    "isdtype": np.isdtype,
    **{name: getattr(np, name) for name in ("float16", "float32", "float64", "bool", "bool_")},
    **{f"{sign}int{bits}": getattr(np, f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""The module that `import cupy` gives."""


def function(own: Callable[..., Any]) -> Callable[..., Any]:
    """Add a function to the namespace under its name; calls are counted, and results belong to the device."""
    name = own.__name__.rstrip("_")

    def counted(*arguments: Any, **options: Any) -> Any:
        counts.functions[name] += 1
        return own(*arguments, **options)

    counted.__name__ = name
    counted.__signature__ = inspect.signature(own)  # type: ignore[attr-defined]
    FUNCTIONS[name] = counted
    return counted


def _store(result: Any, out: ndarray | None, *sources: ndarray) -> ndarray:
    if out is None:
        return wrap(np.asarray(result), *sources)
    target = host(out)
    if target.shape != np.shape(result):
        raise ValueError(f"out has shape {target.shape}, the result {np.shape(result)}")
    np.copyto(target, result, casting="same_kind")
    return out


# -- creation --------------------------------------------------------------------------------------------------------


@function
def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K", *, blocking: bool = False) -> ndarray:
    if isinstance(obj, ndarray):
        return obj.astype(obj.dtype if dtype is None else dtype, copy=copy)
    if hasattr(obj, "__cuda_array_interface__"):
        shared = borrow(_at(obj.__cuda_array_interface__), obj)
        return shared.astype(shared.dtype if dtype is None else dtype, copy=copy)
    values = np.array(obj, dtype)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"Unsupported dtype {values.dtype}")
    counts.uploads.append(values.nbytes)
    counts.pinned.append(values.nbytes)  # it is copied there first
    return wrap(values)


@function
def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    return array(a, dtype, copy=bool(copy))


def _at(interface: dict[str, Any]) -> np.ndarray:
    shape, dtype = interface["shape"], np.dtype(interface["typestr"])
    assert interface.get("strides") is None, "the stand-in borrows contiguous memory only"
    size = math.prod(shape) * dtype.itemsize
    memory = (ctypes.c_char * size).from_address(interface["data"][0])
    return np.frombuffer(memory, dtype).reshape(shape)


@function
def from_dlpack(array: Any, *, device: Any = None, copy: Any = None) -> ndarray:
    kind, place = array.__dlpack_device__()
    assert (kind, place) == (2, current_device()), "memory of another device"

    class OnHost:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

        def __dlpack__(self, **options: Any) -> Any:
            return array.__dlpack__()

    return borrow(np.from_dlpack(OnHost()), array)


@function
def ascontiguousarray(a: ndarray, dtype: Any = None) -> ndarray:
    values = host(a)
    if values.flags.c_contiguous and (dtype is None or values.dtype == dtype):
        return a
    return wrap(np.array(values, dtype, order="C"))


@function
def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


@function
def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    block = allocate(size * np.dtype(dtype).itemsize)  # before NumPy really allocates: it may be far too large
    values = np.empty(shape, dtype)
    values.reshape(-1).view(np.uint8)[...] = 0xFF  # NaN, -1
    result = borrow(values, None)
    result._block = block
    settle(block, values)
    return result


@function
def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    result = empty(shape, dtype)
    result._host[...] = 0
    return result


@function
def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return wrap(np.ones(shape, dtype))


@function
def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    return wrap(np.full(shape, fill_value, dtype))


@function
def empty_like(prototype: ndarray, dtype: Any = None) -> ndarray:
    return empty(prototype.shape, prototype.dtype if dtype is None else dtype)


@function
def zeros_like(a: ndarray, dtype: Any = None) -> ndarray:
    return wrap(np.zeros_like(host(a), dtype, order="C"))


@function
def ones_like(a: ndarray, dtype: Any = None) -> ndarray:
    return wrap(np.ones_like(host(a), dtype, order="C"))


@function
def full_like(a: ndarray, fill_value: Any, dtype: Any = None) -> ndarray:
    return wrap(np.full_like(host(a), host(fill_value), dtype, order="C"))


@function
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    return wrap(np.arange(start, dtype=dtype) if stop is None else np.arange(start, stop, step, dtype))


@function
def eye(N: int, M: Any = None, k: int = 0, dtype: Any = float) -> ndarray:
    return wrap(np.eye(N, M, k, dtype))


# -- shapes and rows -------------------------------------------------------------------------------------------------


@function
def reshape(a: ndarray, newshape: Any, order: str = "C", *, copy: Any = None) -> ndarray:
    return a.reshape(newshape)


@function
def concat(tup: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> ndarray:
    return _store(np.concat([host(part) for part in tup], axis=axis, dtype=dtype), out)


@function
def stack(tup: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> ndarray:
    return _store(np.stack([host(part) for part in tup], axis=axis), out)


@function
def moveaxis(a: ndarray, source: Any, destination: Any) -> ndarray:
    return wrap(np.moveaxis(host(a), source, destination), a)


@function
def take(a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    return _store(np.take(host(a), host(indices), axis=axis), out)


@function
def astype(x: ndarray, dtype: Any, /, *, copy: bool = True) -> ndarray:
    return x.astype(dtype, copy=copy)


@function
def where(condition: ndarray, x: Any = None, y: Any = None) -> ndarray:
    return wrap(np.where(host(condition), host(x), host(y)))


@function
def copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    np.copyto(host(dst), host(src), casting=casting)


# -- numbers ---------------------------------------------------------------------------------------------------------


@function
def clip(a: ndarray, a_min: Any, a_max: Any, out: Any = None) -> ndarray:
    return _store(np.clip(host(a), host(a_min), host(a_max)), out)


@function
def matmul(*args: ndarray, out: ndarray | None = None) -> ndarray:
    a, b = map(host, args)
    assert a.dtype == b.dtype, "one dtype a product"
    assert out is None or (host(out).dtype == a.dtype and host(out).flags.c_contiguous)
    return _store(a @ b, out)


def _reduction(name: str, dtyped: bool) -> None:
    if dtyped:

        def reduce(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
            return _store(getattr(np, name)(host(a), axis=axis, dtype=dtype, keepdims=keepdims), out)

    else:

        def reduce(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
            return _store(getattr(np, name)(host(a), axis=axis, keepdims=keepdims), out)

    reduce.__name__ = name
    function(reduce)


def _position(name: str) -> None:
    def find(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _store(getattr(np, name)(host(a), axis=axis, keepdims=keepdims), out)

    find.__name__ = name
    function(find)


def _ufunc(name: str) -> None:
    def apply(*inputs: Any, out: Any = None, dtype: Any = None) -> ndarray:
        assert any(isinstance(value, ndarray) for value in inputs), f"{name} of no array of the GPU"
        return _store(getattr(np, name)(*map(host, inputs), dtype=dtype), out)

    apply.__name__ = name
    function(apply)


for _name in ("sum", "mean", "prod"):
    _reduction(_name, dtyped=True)
for _name in ("min", "max", "all", "any"):
    _reduction(_name, dtyped=False)
for _name in ("argmin", "argmax"):
    _position(_name)
UFUNCS = """abs add cos divide equal exp expm1 floor greater isfinite isnan less log log1p logical_and logical_not
    logical_or maximum minimum multiply negative power sign sin sqrt square subtract tanh"""
for _name in UFUNCS.split():
    _ufunc(_name)


def erfc(x: ndarray) -> ndarray:
    from scipy.special import erfc as scipy_erfc

    return wrap(scipy_erfc(host(x)))


SPECIAL = {"erfc": erfc}
