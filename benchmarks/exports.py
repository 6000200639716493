"""Exported networks: size, time per row, and difference from `predict`.

    python -m benchmarks.exports                  # needs gcc, and the packages onnx, onnxruntime and emlearn
    python -m benchmarks.exports --out benchmarks/results/exports.json

The same networks with the same weights are compared as C headers of dnnkit and of emlearn, as ONNX models in
onnxruntime (one thread), as NumPy scripts, and in dnnkit. emlearn receives scikit-learn's MLP with the network's
weights. Sizes are those that a program needs: machine code and constants at -Os, or the file of a model.
"""

import argparse
import contextlib
import ctypes
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.bench.machine import describe

SHAPES = {"10-16-3": (10, (16,), 3), "64-32-10": (64, (32,), 10), "784-128-10": (784, (128,), 10),
          "30-64-64-2": (30, (64, 64), 2)}  # fmt: skip
ROWS, TRIES = 256, 15


def network(inputs: int, hidden: tuple[int, ...], outputs: int) -> dk.Sequential:
    """Return a network with ReLU, then softmax."""
    layers = [dk.Dense(units, activation="relu") for units in hidden]
    net = dk.Sequential([*layers, dk.Dense(outputs, activation="softmax")], seed=0, backend="numba", num_threads=1)
    net.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, inputs)).astype(np.float32)
    net.fit(x, np.argmax(x[:, :outputs], axis=1), epochs=20, verbose=0)
    return net


def scikit_learn(net: dk.Sequential, hidden: tuple[int, ...], x: Any) -> Any:
    """Return an MLPClassifier with the network's weights."""
    from sklearn.neural_network import MLPClassifier

    outputs = net.layers[-1].units
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = MLPClassifier(hidden, max_iter=1).fit(x[: 10 * outputs], np.arange(10 * outputs) % outputs)
    values = list(net.parameters.values())
    if outputs > 2:
        found.coefs_, found.intercepts_ = values[::2], values[1::2]
    return found


def best(call: Callable[[], Any], rows: int) -> float:
    """Return nanoseconds of processor time per row, the minimum of several sufficiently long measurements."""
    call()
    count = 1
    while True:
        start = time.process_time_ns()
        for _ in range(count):
            call()
        if time.process_time_ns() - start > 20_000_000:
            break
        count *= 2
    found = []
    for _ in range(TRIES):
        start = time.process_time_ns()
        for _ in range(count):
            call()
        found.append((time.process_time_ns() - start) / count / rows)
    return min(found)


def compiled(folder: Path, code: str, options: list[str]) -> tuple[Any, dict[str, int]]:
    """Compile a C program; return the library, and its sizes at -Os."""
    (folder / "one.c").write_text(code)
    gcc = ["gcc", "-std=c99", *options, str(folder / "one.c")]
    subprocess.run([*gcc, "-O3", "-march=native", "-shared", "-fPIC", "-o", str(folder / "one.so"), "-lm"], check=True)
    subprocess.run([*gcc, "-Os", "-c", "-o", str(folder / "one.o")], check=True)
    said = subprocess.run(
        ["/usr/bin/env", "size", str(folder / "one.o")], check=True, capture_output=True, text=True
    ).stdout
    text, data, bss = map(int, said.splitlines()[1].split()[:3])
    return ctypes.CDLL(str(folder / "one.so")), {"constants and code": text, "memory that is written": data + bss}


def c(net: dk.Sequential, x: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        text = net.to_c(folder / "net.h").read_text()
        code = """#include "net.h"
void run(const float *x, float *y, int rows);
void run(const float *x, float *y, int rows)
{
    float scratch[NET_SCRATCH];
    for (int i = 0; i < rows; i++)
        net_predict(x + i * NET_INPUTS, y + i * NET_OUTPUTS, scratch);
}
"""
        library, sizes = compiled(folder, code, ["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        y = np.zeros_like(net.predict(x))
        nanoseconds = best(lambda: library.run(*map(_pointer, (x, y)), len(x)), len(x))
        scratch = re.search(r"_SCRATCH (\d+)", text)
        assert scratch is not None
        sizes["memory that is written"] += 4 * int(scratch[1])
        return {"bytes": sizes, "ns per row": nanoseconds, "difference": _difference(y, net.predict(x))}


def emlearn(net: dk.Sequential, hidden: tuple[int, ...], x: Any) -> dict[str, Any]:
    import emlearn as library_of_c

    if net.layers[-1].units <= 2:
        return {}  # scikit-learn's network of two classes has one output
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):  # it writes to the working directory
        folder, model = Path(place), library_of_c.convert(scikit_learn(net, hidden, x), method="inline")
        (folder / "their.h").write_text(model.save(name="their"))
        outputs = net.layers[-1].units
        code = f"""#include "their.h"
void run(const float *x, float *y, int rows);
void run(const float *x, float *y, int rows)
{{
    for (int i = 0; i < rows; i++)
        eml_net_predict_proba(&their, x + i * {x.shape[1]}, {x.shape[1]}, y + i * {outputs}, {outputs});
}}
"""
        library, sizes = compiled(folder, code, [f"-I{library_of_c.includedir}"])
        y = np.zeros((len(x), outputs), np.float32)
        nanoseconds = best(lambda: library.run(*map(_pointer, (x, y)), len(x)), len(x))
        return {"bytes": sizes, "ns per row": nanoseconds, "difference": _difference(y, net.predict(x))}


def onnx(net: dk.Sequential, x: Any) -> dict[str, Any]:
    import onnxruntime

    with tempfile.TemporaryDirectory() as place:
        path = net.to_onnx(Path(place) / "net.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(str(path), options)
        name = session.get_inputs()[0].name
        return {
            "bytes": {"file": path.stat().st_size},
            "ns per row": best(lambda: session.run(None, {name: x}), len(x)),
            "ns of a row alone": best(lambda: session.run(None, {name: x[:1]}), 1),
            "difference": _difference(session.run(None, {name: x})[0], net.predict(x)),
        }


def script(net: dk.Sequential, x: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        path = net.to_numpy_source(Path(place) / "net.py")
        spec = importlib.util.spec_from_file_location("net", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return {
            "bytes": {"file": path.stat().st_size + path.with_suffix(".npz").stat().st_size},
            "ns per row": best(lambda: module.predict(x), len(x)),
            "ns of a row alone": best(lambda: module.predict(x[:1]), 1),
            "difference": _difference(module.predict(x), net.predict(x)),
        }


def itself(net: dk.Sequential, x: Any) -> dict[str, Any]:
    return {
        "ns per row": best(lambda: net.predict(x), len(x)),
        "ns of a row alone": best(lambda: net.predict(x[:1]), 1),
    }


def _pointer(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _difference(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    results: dict[str, Any] = {"machine": describe(), "rows": ROWS, "networks": {}}
    for name, (inputs, hidden, outputs) in SHAPES.items():
        net = network(inputs, hidden, outputs)
        x = np.random.default_rng(1).normal(size=(ROWS, inputs)).astype(np.float32)
        found = {"C": c(net, x), "emlearn": emlearn(net, hidden, x), "onnxruntime": onnx(net, x),
                 "NumPy script": script(net, x), "predict": itself(net, x)}  # fmt: skip
        results["networks"][name] = found
        for what, one in found.items():
            print(f"{name:12} {what:13} {json.dumps(one)}")
    if given.out is not None:
        given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
