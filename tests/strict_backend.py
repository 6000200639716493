"""A backend that provides only its namespace: array-api-strict, with assignment to elements forbidden.

What passes on it needs nothing from NumPy beyond the array-API standard and writes into no array.
"""

import sys
from typing import Any

import array_api_strict
import numpy as np

from dnnkit.backends.base import Backend


class StrictBackend(Backend):
    name = "strict"

    @property
    def xp(self) -> Any:
        return array_api_strict

    def thread_limit(self, program: Any, rows: int) -> Any:
        return np.errstate(all="ignore")  # array-api-strict computes with NumPy


def _immutable(self: Any, key: Any, value: Any) -> None:
    raise TypeError("base.py wrote into an array")


_array = type(array_api_strict.asarray(0))
_array.__setitem__ = _immutable

# The same checks in less time: operations look up dtypes in tuples by comparison (a set needs hashes, and identical
# objects need no comparison), and indices by the attributes of a protocol.
_module = sys.modules[_array.__module__]
_module._all_dtypes = frozenset(_module._all_dtypes)
_module._dtype_categories = {name: frozenset(dtypes) for name, dtypes in _module._dtype_categories.items()}
_known, _new_dtype = {dtype._np_dtype: dtype for dtype in _module._all_dtypes}, _module.DType
_module.DType = lambda dtype: _known.get(dtype) or _new_dtype(dtype)
_module.SupportsIndex = (int, np.integer, _array)
