"""Functions that are called by their address: found on disk, made from the archive, or by Numba, when first needed."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import BackendUnavailable
from dnnkit.kernels._native import archive, blas, kept, machine_code
from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._native.compiling import alone, apart
from dnnkit.kernels._native.fingerprint import is_archived
from dnnkit.kernels._native.telling import told

SHARED = "dnnkit.shared."
"""Begins the symbol of a function that other functions call: its module, its name and its dtype follow."""

shared_symbols: list[str] = []
"""Those that imported modules have declared."""

_addresses: dict[tuple[str, str], int] = {}
_one_at_a_time = threading.RLock()


@dataclass(frozen=True)
class Function:
    """A function of words and numbers, compiled for one dtype.

    `name` is its own in all of dnnkit, and says what it does: two functions of one name do the same. `make` makes its
    bitcode, under the symbol that it is given; it is called if the archive has none, and imports Numba.
    """

    name: str
    dtype: str
    make: Callable[[str], Bitcode]

    @property
    def address(self) -> int:
        """To be called in Numba's convention, as `indirect_calls.py` does; compiled now if it is nowhere yet."""
        if self._key not in _addresses:
            load([self])
        return _addresses[self._key]

    def from_python(self, kinds: str) -> Any:
        """What calls it from Python: see `machine_code.caller`."""
        return machine_code.caller(self.address, kinds)

    @property
    def _key(self) -> tuple[str, str]:
        return self.name, self.dtype

    def _code(self) -> kept.Code:
        """Its machine code; all that this calls is known then."""
        code = kept.read(self._place) or apart(self._compile)
        for symbol in code.needs:
            provide(symbol)
        return code

    def _compile(self) -> kept.Code:
        """Compile it, unless another process just did, and keep it."""
        with alone(kept.lock_of(self._place), self.name, self.dtype):
            code = kept.read(self._place)
            if code is None:
                with told(self.name, self.dtype):
                    made = self.bitcode()
                    code = kept.Code(made.symbol, made.needs, machine_code.compile_bitcode(made.content))
                    kept.keep(self._place, code)
        return code

    def bitcode(self) -> Bitcode:
        """From the archive, or as Numba makes it now."""
        found = archive.find(self.name, self.dtype) if is_archived() else None
        if found is not None:
            return found
        try:
            import_module("numba")
        except ValueError as error:  # of a variable that it reads as it is imported
            raise BackendUnavailable(f"Numba cannot be imported: {error} See its variables, NUMBA_...") from error
        return self.make(self.symbol)

    @property
    def symbol(self) -> str:
        """By which machine code knows it."""
        return f"dnnkit.{self.name}.{self.dtype}"

    @property
    def _place(self) -> str:
        """Its name on disk, for people, and whole."""
        return f"{self.name[:60]}.{self.dtype}-{hashlib.sha256(self.symbol.encode()).hexdigest()[:16]}"


def load(functions: Iterable[Function]) -> None:
    """Load functions that run together into adjacent memory; those that are loaded already stay where they are.

    A function that is loaded alone begins on a page of its own, so all would compete for the same sets of the
    instruction cache: a step of one neuron took 95 ns instead of 88.
    """
    wanted = {function._key: function for function in functions}
    if wanted.keys() <= _addresses.keys():  # no lock: another thread may have had it as this process was forked
        return
    with _one_at_a_time:
        missing = {key: function for key, function in wanted.items() if key not in _addresses}
        codes = {key: function._code() for key, function in missing.items()}
        addresses = machine_code.load([(code.content, code.symbol) for code in codes.values()])
        _addresses.update(zip(codes, addresses, strict=True))


def function_of_symbol(symbol: str) -> Function:
    """A function that `shared.py` has declared."""
    module, name, dtype = symbol.removeprefix(SHARED).rsplit(".", 2)

    def make(symbol: str) -> Bitcode:
        bitcode: Bitcode = getattr(import_module(module), name).bitcode(symbol, dtype)
        return bitcode

    return Function(f"{module.removeprefix('dnnkit.kernels.')}.{name}", dtype, make)


def provide(symbol: str) -> None:
    """Let machine code that is loaded know a symbol of ours."""
    if machine_code.is_known(symbol):
        return
    address = function_of_symbol(symbol).address if symbol.startswith(SHARED) else blas.address(symbol)
    machine_code.make_known(symbol, address)


def provide_all() -> None:
    """The same of all symbols that there are: for code that is not ours, and calls ours."""
    for symbol in (*blas.SYMBOLS, *shared_symbols):
        provide(symbol)
