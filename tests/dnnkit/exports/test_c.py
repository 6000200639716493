"""Networks as C headers: compiled without a warning, with the predictions of the network."""

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError
from dnnkit.exports.c_header import identifier, source
from tests.dnnkit.exports.networks import all_networks, graphs
from tests.requirements import gnu_compiler, miss

C = ("gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
"""Relative to the largest number of an output."""


def compile_c(folder: Path, headers: dict[str, str], *options: str) -> Any:
    """Build a library with `run_NAME` for each header of that name."""
    if gnu_compiler() is None:
        miss("gcc")
    lines = list[str]()
    for name, text in headers.items():
        (folder / f"{name}.h").write_text(text)
        declared = re.search(rf"static inline int {name}_predict\((.*)\)", text)
        assert declared is not None
        given = ", ".join(re.findall(r"\*(\w+)", declared[1]))
        head = f"int run_{name}({declared[1]})"
        lines += [f'#include "{name}.h"', f"{head};", f"{head} {{ return {name}_predict({given}); }}"]
    (folder / "all.c").write_text("\n".join(lines) + "\n")
    command = [*C, *options, "-shared", "-fPIC", "-o", str(folder / "all.so"), str(folder / "all.c"), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "all.so"))


def listed(given: Any) -> list[np.ndarray]:
    """Inputs of one or several arrays, with a row per sample."""
    parts = given.values() if isinstance(given, dict) else given if isinstance(given, list) else [given]
    return [np.asarray(part).reshape(len(part), -1) for part in parts]


class Arrays:
    """Memory between guards, which must not be written."""

    def __init__(self, dtype: str, *sizes: int) -> None:
        self.whole = [np.full(size + 2, 12345.5, dtype) for size in sizes]

    def pointers(self) -> list[ctypes.c_void_p]:
        return [ctypes.c_void_p(array[1:].ctypes.data) for array in self.whole]

    def check(self) -> None:
        assert all(array[0] == array[-1] == 12345.5 for array in self.whole)


def predicted(
    library: Any, name: str, text: str, dtype: str, x: Any, widths: list[int]
) -> tuple[int, list[np.ndarray]]:
    """Return the function's last status, and its results per sample."""
    xs, results = [np.ascontiguousarray(part, dtype) for part in listed(x)], []
    declared = re.search(rf"#define {name.upper()}_SCRATCH (\d+)", text)
    assert declared is not None
    for row in range(len(xs[0])):
        arrays = Arrays(dtype, *widths, int(declared[1]))
        inputs = [ctypes.c_void_p(part[row].ctypes.data) for part in xs]
        code = getattr(library, f"run_{name}")(*inputs, *arrays.pointers())
        arrays.check()
        results.append([array[1:-1] for array in arrays.whole[:-1]])
    return code, [np.array(part) for part in zip(*results, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_and_activation_predicts_the_same(dtype: str, tmp_path: Path) -> None:
    networks = {
        identifier(name): each for name, each in (all_networks if dtype == "float32" else graphs)(dtype).items()
    }
    headers = {name: source(net, name, dtype) for name, (net, _) in networks.items()}
    library = compile_c(tmp_path, headers, "-O0")
    for name, (net, x) in networks.items():
        expected = listed(net.predict(x))
        code, found = predicted(library, name, headers[name], dtype, x, [part.shape[1] for part in expected])
        assert code == 0
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one - other).max() <= TOLERANCE[dtype] * np.abs(other).max(), name


def test_invalid_class_indices_are_rejected_and_nan_passes_through(tmp_path: Path) -> None:
    net, x = graphs("float32")["several"]
    plain = dk.Sequential([dk.Dense(6, "relu"), dk.LayerNormalization(), dk.Dense(3, "softmax")], seed=0)
    plain.build(4)
    headers = {"several": source(net, "several"), "plain": source(plain, "plain")}
    library = compile_c(tmp_path, headers)
    for wrong in (-1.0, 0.5, 4.0, 1e30, np.nan):
        given = {"x": x["x"][:1], "classes": np.array([[0, wrong]])}
        assert predicted(library, "several", headers["several"], "float32", given, [3, 4])[0] == 1
    code, (y,) = predicted(library, "plain", headers["plain"], "float32", np.array([[1.0, np.nan, 2.0, 3.0]]), [3])
    assert code == 0
    assert np.isnan(y).all()


def test_the_file_is_c_and_cpp_and_describes_itself(tmp_path: Path) -> None:
    net, _ = graphs("float32")["several"]
    assert net.to_c(tmp_path / "my-net.h") == tmp_path / "my-net.h"
    text = (tmp_path / "my-net.h").read_text()
    assert (
        "int my_net_predict(const float *x, const float *classes, float *kind, float *table, float *scratch);" in text
    )
    assert "malloc" not in text
    assert net.to_c(tmp_path / "twice.h", dtype="float64").read_text().count("float") == 0
    if gnu_compiler() is None:
        miss("g++")
    for language, standard in (("c", "c99"), ("c++", "c++11")):
        (tmp_path / "two.c").write_text('#include "my-net.h"\n#include "my-net.h"\n#include "twice.h"\nint unused;\n')
        command = ["gcc", "-x", language, f"-std={standard}", *C[2:], "-fsyntax-only", str(tmp_path / "two.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_buffers_without_remaining_readers_are_reused() -> None:
    net = dk.Sequential([dk.Dense(10, activation="tanh") for _ in range(20)], seed=0)
    net.build(10)
    assert "#define DEEP_SCRATCH 20" in source(net, "deep")


def test_numbers_that_are_not_finite_or_too_large(tmp_path: Path) -> None:
    net = dk.Sequential([dk.Dense(3)], seed=0, dtype="float64")
    net.build(1)
    net.parameters["dense/kernel"], net.parameters["dense/bias"] = np.zeros((1, 3)), [np.nan, -np.inf, -1e-30]
    library = compile_c(tmp_path, {"odd": source(net, "odd")})
    _, (y,) = predicted(library, "odd", source(net, "odd"), "float32", np.ones((1, 1)), [3])
    np.testing.assert_array_equal(y[0], np.array([np.nan, -np.inf, -1e-30], np.float32))
    net.parameters["dense/bias"] = [0.0, 1e300, 0.0]
    with pytest.raises(ConfigurationError, match=r"1e\+300, .*, is too large for a float.*dtype='float64'"):
        source(net, "large")
    assert "1e+300" in source(net, "large", "float64")


def test_paths_and_dtypes_that_do_not_fit(tmp_path: Path) -> None:
    net, _ = graphs("float32")["chain"]
    with pytest.raises(ConfigurationError, match=r"must end in \.h"):
        net.to_c(tmp_path / "net.c")
    with pytest.raises(ConfigurationError, match=r"ends in \.onnx, \.h \(C\) or \.py"):
        net.export(tmp_path / "net.pt")
    with pytest.raises(ConfigurationError, match="float32"):
        net.to_c(tmp_path / "net.h", dtype="int8")
    assert net.export(tmp_path / "net.h").read_text() == source(net, "net")
    assert net.export(tmp_path / "net.py").exists()


def test_names_that_c_keeps_for_itself_are_not_used() -> None:
    assert [identifier(name) for name in ("net", "2 nets", "int", "h0", "exp", "-")] == [
        "net", "net_2_nets", "net_int", "net_h0", "net_exp", "net",
    ]  # fmt: skip
