"""Methods that write a network for other programs."""

from pathlib import Path
from typing import Any

from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path


class Exportable:
    """Export methods. They use the parameters that predictions use at the time of the call."""

    def export(self, path: str | Path) -> Path:
        """Write the network in the format given by the path's suffix: .onnx, .h or .py.

        Calls `to_onnx`, `to_c` or `to_numpy_source`, which have options.

        Arguments:
            path: the file; a script's parameters go to an `.npz` file next to it.

        Returns:
            The path.

        Raises:
            ConfigurationError: the suffix is a different one; or as in those methods.
        """
        writers = {".onnx": self.to_onnx, ".h": self.to_c, ".py": self.to_numpy_source}
        found = writers.get(as_path(path).suffix)
        if found is None:
            raise ConfigurationError(
                f"cannot export a network to {str(path)!r}: expected a path that ends in .onnx, .h (C) or .py (NumPy); "
                "net.save(folder) saves it for dnnkit"
            )
        return found(path)

    def to_onnx(self, path: str | Path, *, opset: int | None = None) -> Path:
        """Write the network as an ONNX model, for onnxruntime and other runtimes.

        Inputs and outputs have the network's names and dtype; their shapes are those of its samples after a dynamic
        axis "N". The model includes preprocessing layers, formulas, and custom layers that are written with functions
        of `xp`. It is validated by onnx's checker. A number that is not a class raises an error in the runtime, as it
        does in dnnkit.

        Arguments:
            path: the file, which ends in `.onnx`.
            opset: version of ONNX's operators, 18 or later; default: the newest that dnnkit and the installed onnx
                support.

        Returns:
            The path.

        Raises:
            ConfigurationError: onnx is not installed, or a layer or an activation, which the error names, cannot be
                written.
        """
        from dnnkit.exports import onnx_graph  # imported here: rarely needed

        return onnx_graph.write(self, path, opset)  # type: ignore[arg-type] # every network is one

    def to_c(self, path: str | Path, *, dtype: Any = "float32") -> Path:
        """Write the network as a single C99 header, for a microcontroller or any other program.

        `#include` it and call `NAME_predict(x, y, scratch)`, where NAME is the file's name: x is one sample, y its
        output, and scratch an array of `NAME_SCRATCH` numbers, all provided by the caller. Nothing is allocated;
        weights are constants. The header documents its arguments, and is also valid C++.

        Arguments:
            path: the file, which ends in `.h`.
            dtype: "float32" (default) for float, "float64" for double.

        Returns:
            The path.

        Raises:
            ConfigurationError: a layer or an activation, which the error names, cannot be written.
        """
        from dnnkit.exports import c_header  # imported here: rarely needed

        return c_header.write(self, path, dtype)  # type: ignore[arg-type]

    def to_numpy_source(self, path: str | Path) -> Path:
        """Write the network as a script of at most 40 lines that needs only NumPy.

        The script defines `predict(x)`; run as a command, it prints the predictions for the samples in a `.npy` file.
        With several inputs, x is a dictionary by their names, or an `.npz` file. Several outputs are returned as by
        `predict`.

        Arguments:
            path: the file, which ends in `.py`; the parameters go to an `.npz` file of the same name next to it.

        Returns:
            The path.

        Raises:
            ConfigurationError: a layer, which the error names, is custom or has no NumPy source.
        """
        from dnnkit.exports import numpy_source  # imported here: rarely needed

        return numpy_source.write(self, path)  # type: ignore[arg-type]
