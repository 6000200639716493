"""Signatures of native functions, from text."""

from typing import Any

from numba import types


def signature(text: str, dtype: str) -> Any:
    """Return the signature of a void function of these arguments: "number*" is the address of numbers of this dtype."""
    return types.void(*(_kind(word, dtype) for word in text.split()))


def _kind(word: str, dtype: str) -> Any:
    name = word.removesuffix("*")
    name = dtype if name == "number" else name
    kind = types.boolean if name == "bool" else getattr(types, name)
    return types.CPointer(kind) if word.endswith("*") else kind
