"""The stand-in's array: a NumPy array that is never accessed implicitly, on memory that is counted."""

import ctypes
import math
from typing import Any

import numpy as np

from tests.cuda_on_cpu.cupy_stand_in.addresses import settle
from tests.cuda_on_cpu.cupy_stand_in.device import (
    Block,
    Device,
    counts,
    current_device,
    get_current_stream,
    memory,
    use,
)

REFUSED = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)


class _Pointer:
    """`array.data`: the address of its elements."""

    def __init__(self, ptr: int, device: int) -> None:
        self.ptr, self.device_id = ptr, device


class ndarray:  # noqa: N801 - CuPy's name
    """An array on a device. `_host` holds its numbers, `_block` the memory it counts for."""

    __slots__ = ("__weakref__", "_block", "_host", "_owner", "base")
    __module__ = "cupy"

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"):
        raise TypeError("the stand-in's arrays are made by its functions")

    # -- conversions: never implicit ---------------------------------------------------------------------------------

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError(REFUSED)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        raise TypeError(f"NumPy's {function.__name__} was called with an array of the GPU")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        scalar = any(isinstance(value, np.generic) for value in inputs)  # np.float64(2) * array comes here
        if not scalar or method != "__call__" or options:
            raise TypeError(f"NumPy's {ufunc.__name__} was called with an array of the GPU")
        return wrap(ufunc(*(host(value) for value in inputs)))

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        _on_device(self)
        get_current_stream().synchronize()
        return np.array(self._host)

    def item(self) -> Any:
        return self.get().item()

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __repr__(self) -> str:
        return f"stand-in for a GPU's {self._host!r}"

    def set(self, arr: Any, stream: Any = None) -> None:
        assert isinstance(arr, np.ndarray), "set() takes a NumPy array"
        if arr.shape != self.shape or arr.dtype != self.dtype:
            raise ValueError(f"set(): {arr.shape} {arr.dtype} does not fit {self.shape} {self.dtype}")
        assert arr.flags.c_contiguous, "set() takes contiguous memory"
        assert self._host.flags.c_contiguous, "set() writes contiguous memory"
        counts.uploads.append(arr.nbytes)
        if stream is None or stream == get_current_stream():
            host(self)[...] = arr
            return
        memory = (ctypes.c_char * arr.nbytes).from_address(arr.ctypes.data)  # a copy keeps no other memory alive
        source = np.frombuffer(memory, arr.dtype).reshape(arr.shape)

        def copy() -> None:
            self._host[...] = source

        stream._send(self._block, source, copy)

    # -- attributes --------------------------------------------------------------------------------------------------

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    device = property(lambda self: Device(self._block.device))
    data = property(lambda self: _Pointer(self._host.ctypes.data, self._block.device))
    T = property(lambda self: wrap(self._host.T, self))

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (self[index] for index in range(len(self)))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self._host.ctypes.data, False),
            "strides": None if self._host.flags.c_contiguous else self.strides,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._block.device

    def __dlpack__(self, **options: Any) -> Any:
        return self._host.__dlpack__()

    # -- derived arrays ----------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> "ndarray":
        return wrap(_seen(self).reshape(*shape), self)

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        return wrap(host(self).astype(dtype))

    def copy(self, order: str = "C") -> "ndarray":
        return wrap(self._host.copy(order), peer=True)

    def ravel(self, order: str = "C") -> "ndarray":
        return wrap(_seen(self).ravel(order), self)

    def fill(self, value: Any) -> None:
        host(self).fill(value)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> "ndarray":
        assert out is None
        return wrap(host(self).sum(axis=axis, dtype=dtype, keepdims=keepdims))

    def view(self, dtype: Any = None) -> "ndarray":
        return wrap(_seen(self).view(dtype), self)

    def __getitem__(self, key: Any) -> "ndarray":
        return wrap(_seen(self)[_key(key)], self)

    def __setitem__(self, key: Any, value: Any) -> None:
        counts.functions["__setitem__"] += 1
        host(self)[_key(key)] = host(value)


def host(value: Any) -> Any:
    """Return what NumPy computes with: an array's numbers, or a single number; nothing else is an operand."""
    if isinstance(value, ndarray):
        use(value._block)
        return _seen(value)
    if value is None or isinstance(value, bool | int | float | np.generic):
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def _seen(array: ndarray) -> np.ndarray:
    """Return its numbers, to make a view of."""
    _on_device(array)
    return array._host


def wrap(value: Any, *sources: ndarray, peer: bool = False) -> Any:
    """Return NumPy's result as an array of the current device; a view counts for no memory of its own."""
    if not isinstance(value, np.ndarray | np.generic):
        return value
    value = np.asarray(value)
    array = object.__new__(ndarray)
    array._host, array._owner, array.base = value, None, None
    for source in sources:
        if value.size and np.may_share_memory(value, source._host):
            array._block, array.base = source._block, source if source.base is None else source.base
            return array
    array._block = allocate(value.nbytes)
    settle(array._block, value)
    return array


def allocate(size: int) -> Block:
    """Return memory of the current device."""
    counts.allocations.append(size)
    return memory.allocate(size, current_device())


def borrow(value: np.ndarray, owner: Any) -> ndarray:
    """Return an array on memory that another object owns."""
    array = object.__new__(ndarray)
    array._host, array._owner, array.base, array._block = value, owner, None, memory.allocate(0, current_device())
    settle(array._block, value)
    return array


def _on_device(array: ndarray) -> None:
    if array._block.device != current_device():
        raise ValueError(
            f"Array device must be same as the current device: array device = {array._block.device} "
            f"while current = {current_device()}"
        )


def _key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(_key(part) for part in key)
    if isinstance(key, slice):
        assert all(part is None or isinstance(part, int) for part in (key.start, key.stop, key.step)), key
        return key
    if isinstance(key, ndarray):
        return host(key)
    if key is None or key is Ellipsis or isinstance(key, int | np.integer):
        return key
    raise IndexError(f"an array of the GPU is not indexed by {type(key)}")


def _operator(name: str) -> Any:
    def method(self: ndarray, *others: Any) -> Any:
        counts.functions[name] += 1
        if any(isinstance(other, np.ndarray) for other in others):
            raise TypeError(f"Unsupported type {np.ndarray}: an array of the GPU beside one of NumPy's")
        result = getattr(np.asarray(host(self)), name)(*(host(other) for other in others))
        if result is NotImplemented:
            return result
        if math.prod(np.shape(result)) and np.may_share_memory(result, self._host):
            return self  # in place
        return wrap(result)

    return method


_BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"]
for _name in [
    *(f"{prefix}{name}" for name in _BINARY for prefix in ("", "r", "i")),
    *["lt", "le", "eq", "ne", "gt", "ge", "neg", "pos", "abs", "invert"],
]:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
ndarray.__hash__ = None  # type: ignore[assignment]
