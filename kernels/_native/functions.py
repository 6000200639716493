"""Functions called by address: loaded from the disk cache, compiled from the archive, or by Numba, on first use."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import BackendUnavailable
from dnnkit.kernels._native import archive, blas, kept, machine_code
from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._native.compile_progress import in_progress
from dnnkit.kernels._native.compiling import alone, apart
from dnnkit.kernels._native.fingerprint import is_archived

SHARED = "dnnkit.shared."
"""Symbol prefix of functions that other functions call; module, name and dtype follow."""

shared_symbols: list[str] = []
"""Symbols that imported modules have declared."""

_addresses: dict[tuple[str, str], int] = {}
_one_at_a_time = threading.RLock()


@dataclass(frozen=True)
class Function:
    """A function of integers and floats, compiled for one dtype.

    `name` is unique in dnnkit and identifies what the function does. `make` returns its bitcode under a given symbol;
    it is called only if the archive has none, and imports Numba.
    """

    name: str
    dtype: str
    make: Callable[[str], Bitcode]

    @property
    def address(self) -> int:
        """Address for calls in Numba's convention (`indirect_calls.py`); compiled first if necessary."""
        if self._key not in _addresses:
            load([self])
        return _addresses[self._key]

    def from_python(self, kinds: str) -> Any:
        """Return a Python callable for the function: see `machine_code.caller`."""
        return machine_code.caller(self.address, kinds)

    @property
    def _key(self) -> tuple[str, str]:
        return self.name, self.dtype

    def _code(self) -> kept.Code:
        """Return the machine code, after making every symbol it needs known."""
        code = kept.read(self._place) or apart(self._compile)
        for symbol in code.needs:
            provide(symbol)
        return code

    def _compile(self) -> kept.Code:
        """Compile the function, unless another process just has, and cache it."""
        with alone(kept.lock_of(self._place), self.name, self.dtype):
            code = kept.read(self._place)
            if code is None:
                with in_progress(self.name, self.dtype):
                    made = self.bitcode()
                    code = kept.Code(made.symbol, made.needs, machine_code.compile_bitcode(made.content))
                    kept.keep(self._place, code)
        return code

    def bitcode(self) -> Bitcode:
        """Return the bitcode from the archive, or compile it with Numba."""
        found = archive.find(self.name, self.dtype) if is_archived() else None
        if found is not None:
            return found
        try:
            import_module("numba")
        except ValueError as error:  # of an environment variable that Numba reads on import
            raise BackendUnavailable(f"Numba cannot be imported: {error} See its variables, NUMBA_...") from error
        return self.make(self.symbol)

    @property
    def symbol(self) -> str:
        """Symbol of the function in machine code."""
        return f"dnnkit.{self.name}.{self.dtype}"

    @property
    def _place(self) -> str:
        """File name in the cache: readable, and unique by a hash."""
        return f"{self.name[:60]}.{self.dtype}-{hashlib.sha256(self.symbol.encode()).hexdigest()[:16]}"


def load(functions: Iterable[Function]) -> None:
    """Load functions that run together into adjacent memory; functions that are already loaded stay where they are.

    A function loaded alone starts on its own page, so all of them would compete for the same sets of the instruction
    cache: a step of one neuron took 95 ns instead of 88.
    """
    wanted = {function._key: function for function in functions}
    if wanted.keys() <= _addresses.keys():  # without the lock: another thread may have held it during a fork
        return
    with _one_at_a_time:
        missing = {key: function for key, function in wanted.items() if key not in _addresses}
        codes = {key: function._code() for key, function in missing.items()}
        addresses = machine_code.load([(code.content, code.symbol) for code in codes.values()])
        _addresses.update(zip(codes, addresses, strict=True))


def function_of_symbol(symbol: str) -> Function:
    """Return a function that `shared.py` has declared."""
    module, name, dtype = symbol.removeprefix(SHARED).rsplit(".", 2)

    def make(symbol: str) -> Bitcode:
        bitcode: Bitcode = getattr(import_module(module), name).bitcode(symbol, dtype)
        return bitcode

    return Function(f"{module.removeprefix('dnnkit.kernels.')}.{name}", dtype, make)


def provide(symbol: str) -> None:
    """Make a symbol known to machine code that is loaded."""
    if machine_code.is_known(symbol):
        return
    address = function_of_symbol(symbol).address if symbol.startswith(SHARED) else blas.address(symbol)
    machine_code.make_known(symbol, address)


def provide_all() -> None:
    """Make all symbols known, for code outside dnnkit that calls these functions."""
    for symbol in (*blas.SYMBOLS, *shared_symbols):
        provide(symbol)
