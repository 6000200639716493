"""The part of a network that writes it for other programs."""

from pathlib import Path
from typing import Any

from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path


class Exportable:
    """What a network can be written as, with its parameters as they are now: those that predictions are made with."""

    def export(self, path: str | Path) -> Path:
        """Write the network in the language that the path's ending says: .onnx, .h or .py; return the path.

        It calls `to_onnx`, `to_c` or `to_numpy_source`, which have options.

        Arguments:
            path: the file; a script's parameters go to an `.npz` beside it.

        Raises:
            ConfigurationError: the ending is another one; or as those methods.
        """
        writers = {".onnx": self.to_onnx, ".h": self.to_c, ".py": self.to_numpy_source}
        found = writers.get(as_path(path).suffix)
        if found is None:
            raise ConfigurationError(
                f"a network is not exported to {str(path)!r}: expected a path that ends in .onnx, .h (C) or .py "
                "(NumPy); net.save(folder) keeps it for dnnkit"
            )
        return found(path)

    def to_onnx(self, path: str | Path, *, opset: int | None = None) -> Path:
        """Write the network as an ONNX model, which `onnxruntime` and others run; return its path.

        Inputs and outputs have the network's names, the shapes of its samples after an axis "N" of any length, and its
        dtype. Preprocessing layers, formulas, and layers of your own that are written with functions of `xp` are part
        of it; onnx's checker has looked at it. A number that is no class is an error of the runtime, as it is one here.

        Arguments:
            path: the file, which ends in `.onnx`.
            opset: the version of ONNX's operators, 18 or later; by default the newest that dnnkit and the installed
                onnx know.

        Raises:
            ConfigurationError: onnx is not installed, or a layer or an activation cannot be written; it is named.
        """
        from dnnkit.exports import onnx_graph  # imported here: few networks are exported

        return onnx_graph.write(self, path, opset)  # type: ignore[arg-type] # every network is one

    def to_c(self, path: str | Path, *, dtype: Any = "float32") -> Path:
        """Write the network as one header in C99, for a microcontroller or any other program; return its path.

        `#include` it and call `NAME_predict(x, y, scratch)`, where NAME is the file's name: x is one sample, y its
        output, and scratch `NAME_SCRATCH` numbers, all of them arrays of the caller. Nothing is allocated; weights are
        constants. The header says what its arguments are. It is C++, too.

        Arguments:
            path: the file, which ends in `.h`.
            dtype: "float32" for float, "float64" for double.

        Raises:
            ConfigurationError: a layer or an activation cannot be written; it is named.
        """
        from dnnkit.exports import c_header  # imported here: few networks are exported

        return c_header.write(self, path, dtype)  # type: ignore[arg-type]

    def to_numpy_source(self, path: str | Path) -> Path:
        """Write the network as a script of at most 40 lines that needs NumPy alone; return its path.

        `path` ends in `.py`; the parameters go to the `.npz` of that name beside it. The script has `predict(x)`, and
        as a command prints the predictions for samples in a `.npy` file; of several inputs x is a dictionary by their
        names, or an `.npz` file. It gives several outputs as `predict` does.

        Raises:
            ConfigurationError: a layer is your own.
        """
        from dnnkit.exports import numpy_source  # imported here: few networks are exported

        return numpy_source.write(self, path)  # type: ignore[arg-type]
