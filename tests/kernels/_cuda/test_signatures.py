"""CUDA sources and their launchers cannot drift apart: checked without a GPU or a compiler."""

import ast
import inspect
import re
import sys
import types
from collections import Counter
from functools import cache

import numpy as np
import pytest

from dnnkit.errors import ShapeError
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import activations, losses, metric_sums, metrics, outputs, products
from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, launch
from dnnkit.kernels._cuda.source import ROOT, TYPES, Source, dtype_of, shipped, signatures
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.kernels.stages import Context, Example
from dnnkit.kernels.stages import kind as kind_of_stage
from dnnkit.testing.stages import arrays
from tests import processes
from tests.cuda_on_cpu.compiling import SHARED_BYTES
from tests.kernels._numba.test_signatures import FOLDERS, functions_with_arrays, module, parameters

DTYPES = ["float32", "float64"]
BY_CUBLAS = ["matmul"]
NEVER = ["compressed_rows", "nonzero_columns"]
"""A GPU multiplies every column."""
IN_OTHERS = ["philox"]
"""Drawn in the mask of dropout."""
BY_ARRAYS = ["lbfgs", "dense_of_classes"]
"""CuPy runs the reference, operation by operation; `dense_of_classes` exists on the Numba backend only."""
KINDS = [name for name in registry.names("stage") if name not in BY_ARRAYS]
OWN = [name for name in FOLDERS if name not in BY_CUBLAS + NEVER + IN_OTHERS + BY_ARRAYS]
"""Kernels with CUDA code of dnnkit."""
LAUNCHERS = [name for name in FOLDERS if (ROOT / registry.folder(name) / "gpu.py").is_file()]
WRITTEN = {
    ("clip_norm", "clip_norm"): ["out", "scratch"],
    ("clip_norm", "clip_value"): ["out"],
    ("dense", "backward"): ["dz", "dx", "dw", "db", "scratch", "dropout"],
    ("dense", "backward_input"): ["dz", "dx"],
    ("dense", "forward"): ["z", "y", "dropout", "dropped"],
    ("dropout", "apply"): ["out"],
    ("dropout", "mask"): ["out"],
    ("gather", "gather"): ["out"],
    ("interpolate", "interpolate"): ["out"],
    ("norm_bound", "constrain"): ["memory"],
    ("penalty", "gradient"): [],
    ("penalty", "penalty"): ["total", "scratch", "factor", "numbers", "place", "adds"],
    ("softmax", "backward"): ["out"],
    ("softmax", "forward"): ["out", "b"],
    **{("optimizer_step", name): ["numbers"] for name in RULES},
}
"""Return the parameters of a launcher after the reference's: output arrays, and optional ones."""

SIMPLE = """
// extern "C" __global__ void commented(int a) {}
extern "C" __global__ void __cluster_dims__(4, 1, 1) __launch_bounds__(256) first(
    const REAL* __restrict__ x,  // a comment, with a comma
    REAL *y, unsigned long long count, bool const flag /* , int b */
) { if (x[0] > REAL(0)) y[0] = x[0]; }
template <typename T> __device__ void not_a_kernel(T x) {}
extern "C" __global__ void second() {}
"""


@pytest.fixture
def launches(monkeypatch):
    """A CuPy that compiles nothing: (source, kernel, grid, block, arguments, shared bytes) of each launch."""
    found = []

    class RawModule:
        def __init__(self, code, options, backend, enable_cooperative_groups):
            assert backend == "nvrtc"
            assert not enable_cooperative_groups
            self.code, self.options = code, options

        def get_function(self, name):
            def call(grid, block, args, shared_mem=0):
                found.append((self, name, grid, block, args, shared_mem))

            return call

    def multiply(a, b, out):
        assert out.shape == (a.shape[0], b.shape[1])

    cupy = types.ModuleType("cupy")
    vars(cupy).update({"RawModule": RawModule, "empty": np.empty, "ascontiguousarray": np.ascontiguousarray})
    monkeypatch.setattr(products, "multiply", multiply)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return found


def every_launcher_once(dtype, rows=5000):
    """Call each function of each launcher, on arrays of several kinds."""
    x, y, z, w = (np.zeros(shape, dtype) for shape in [(rows, 5), (rows, 5), (rows, 3), (5, 3)])
    b, loss, labels, keep = np.zeros(3, dtype), np.zeros(1), np.zeros(rows, np.int64), np.zeros((rows, 5), bool)
    for name in registry.names("activation"):
        activation = registry.activation(name)
        activations.forward(activation, x, y)
        activations.backward(activation, x, x, y)
        dense = module("dense", "gpu")
        dense.forward(x, w, b, activation, z, z.copy())
        dense.backward(z, x, w, z, activation, True, z, y, w.copy(), b)
        dense.backward_input(z, w, z, activation, z, y)
    clock, two = np.zeros(4, np.int64), np.zeros(2)
    for scores in (x, *(np.zeros((rows, columns), dtype) for columns in (64, 2048))):  # every layout of rows
        for name in registry.names("loss"):
            kernel = registry.loss(name)
            for targets in [scores, labels][: 1 + kernel.takes_labels]:
                losses.loss_and_gradient(kernel, scores, targets, None, 0.5, scores, loss)
                losses.loss_and_gradient(kernel, scores, targets, x[:, 0].copy(), 0.5, scores, loss)
        for name, metric in losses.with_metric():
            for targets in [scores, labels][: 1 + registry.loss(name).takes_labels]:
                losses.end_step(registry.loss(name), (metric, 0.5), scores, targets, None, scores, x[0], clock, two)
        for targets in (scores, labels):
            for name in metrics.names():
                metrics.total(name, scores, targets, None, 0.5, loss)
            for name in metric_sums.names():
                sums = np.zeros(registry.metric(name).number_of_sums(scores.shape[1]))
                metric_sums.totals(name, scores, targets, None, 0.5, sums)
                metric_sums.totals(name, scores, targets, x[:, 0].copy(), 0.5, sums)
        activations.forward(registry.activation("softmax"), scores, scores)
        activations.backward(registry.activation("softmax"), scores, scores, scores)
    for name, rule in RULES.items():
        slots = [x.copy() for _ in rule.slots]
        getattr(module("optimizer_step", "gpu"), name)(3, x, y, *slots, 0.1, *(0.5 for _ in rule.hyperparameters))
    for source in TYPES.values():
        gather, whole = module("gather", "gpu"), np.zeros((7, 5), source)
        gather.gather(whole, labels, 1.0, 0.0, y)
        pairs = [(array, array.copy()) for array in (labels, x[:, 0].copy())]
        gather.gather_batch(whole, labels, 1.0, 0.0, y, *pairs, x, x[0], clock, rows, 3)
    for name in KINDS:
        for example in [*kind_of_stage(name).examples, *wide_examples(name)]:
            every_stage_launcher(name, example, min(rows, 300) if max(example.inputs) > 100 else rows, dtype)
    held, l1 = np.zeros((5 * rows,), dtype), np.zeros((5 * rows,), dtype)
    module("penalty", "gpu").penalty(held, l1, l1, loss, np.zeros(PARTIALS))
    module("penalty", "gpu").gradient(held, held.copy(), l1, l1)
    for not_negative in (False, True):
        module("norm_bound", "gpu").constrain(x, 0.0, 1.0, 1.0, not_negative, memory_of(dtype))
    outputs.labels_of(x, 2, labels)
    outputs.join_losses(loss, loss, np.zeros(1, np.int32), two, clock, dtype)
    module("clip_norm", "gpu").clip_norm(x, 1.0, y)
    module("interpolate", "gpu").interpolate(x, y, 0.5, x)
    module("clip_norm", "gpu").clip_value(x, 1.0, y)
    module("dropout", "gpu").mask(0, keep.size, 0.5, 1, 2, 2**64 - 1, keep)
    module("dropout", "gpu").apply(x, keep, 0.5, y)
    module("dropout", "gpu").draw(x, Draw(0.5, 1, 2, 2**64 - 1), y)


def memory_of(dtype):
    """What a launcher of a stage requests memory from."""
    return lambda name, shape, kind=None, fill=None: np.empty(shape, kind or dtype) if fill is None else fill


def wide_examples(name):
    """Rows of other widths, which have other layouts."""
    settings = kind_of_stage("layer_normalization").examples[0].settings
    widths = (64, 2048) if name == "layer_normalization" else ()
    names = "gamma", "beta"
    return [Example((n,), n, dict.fromkeys(names, (n,)), {**settings, "channels": n}) for n in widths]


def every_stage_launcher(name, example, rows, dtype):
    xs, parameters = arrays(example, rows, dtype, np.random.default_rng(0))
    launcher, memory = module(name, "gpu"), memory_of(dtype)
    y, saved = launcher.forward(xs, parameters, example.settings, Context(True, 1, 2, 3), memory)
    needed = [True] * len(xs)
    dxs, gradients = launcher.backward(y.copy(), saved, parameters, example.settings, needed, memory)
    assert [dx.shape for dx in dxs] == [x.shape for x in xs]
    trained = [shape for key, shape in example.parameters.items() if key not in example.statistics]
    assert [gradient.shape for gradient in gradients if gradient is not None] == trained


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 5000])
def test_arguments_are_of_the_types_that_the_kernel_declares(launches, dtype, rows):
    every_launcher_once(dtype, rows)
    for compiled, name, grid, block, arguments, shared in launches:
        macros = dict(option[2:].split("=") for option in compiled.options if option.startswith("-D"))
        declared = signatures(compiled.code, macros)[name]
        assert len(arguments) == len(declared)
        for (kind, parameter), value in zip(declared, arguments, strict=True):
            if kind.endswith("*") and not isinstance(value, np.ndarray):
                assert type(value) is np.uintp, parameter
                assert value == 0
            else:
                assert value.dtype == dtype_of(kind), (name, parameter)
        assert len(grid) == len(block) == 3
        assert min(*grid, *block) >= 1
        assert grid[1] < 2**16
        assert block[0] * block[1] * block[2] == THREADS
        assert (shared > 0) == (macros.get("ROWS") == "IN_TILES" and name != "sum_parts")
        assert shared <= SHARED_BYTES


def test_every_kernel_that_ships_is_launched(launches):
    for dtype in DTYPES:
        every_launcher_once(dtype)
    launched = {(compiled.code, compiled.options, name) for compiled, name, *_ in launches}
    assert launched == {(source.text(), source.options(), name) for source in shipped() for name in source.signatures()}


def test_every_reference_has_a_cuda_source_and_every_source_ships():
    for kernel in OWN:
        assert registry.has_gpu_version(kernel), kernel
    inlined = "".join(source.text() for source in shipped())
    for path in ROOT.rglob("*.cu"):
        assert f'#line 1 "{path.relative_to(ROOT).as_posix()}"' in inlined, path
    assert not registry.has_gpu_version("a_users_own")


def test_no_variant_ships_twice_and_each_has_a_separate_kernel():
    for source, count in Counter(shipped()).items():
        assert count == 1
        assert source.signatures()
    for dtype in DTYPES:
        for name in registry.names("activation"):
            if registry.activation(name).elementwise:
                assert activations.source(name, dtype) in shipped()


def test_the_table_of_launchers_is_complete():
    assert set(WRITTEN) == set(functions_with_arrays(OWN))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_stage_has_launchers_as_its_reference(name):
    """Memory in place of a namespace, and where gradients go."""
    launcher, reference = module(name, "gpu"), module(name, "reference")
    taken = [[*parameters(getattr(reference, way))[:-1], "memory"] for way in ("forward", "backward")]
    assert parameters(launcher.forward) == taken[0]
    assert parameters(launcher.backward) == [*taken[1], "outs"]


@pytest.mark.parametrize(("kernel", "name"), sorted(WRITTEN))
def test_parameters_are_those_of_the_reference_and_then_the_outputs(kernel, name):
    left_out = ("xp", "dtype", "axis")
    taken = [old for old in parameters(getattr(module(kernel, "reference"), name)) if old not in left_out]
    launcher = getattr(module(kernel, "gpu"), name)
    assert parameters(launcher) == taken + WRITTEN[kernel, name]
    assert inspect.getdoc(launcher)


@pytest.mark.parametrize("name", registry.names("activation"))
def test_an_activation_has_the_functions_that_the_passes_call(name):
    activation, text = registry.activation(name), (ROOT / registry.folder(name) / "gpu.cu").read_text()
    if activation.elementwise:
        slope = "derivative_from_output" if activation.saves == "output" else "derivative"
        assert f"namespace activation::{name} {{" in text
        assert "REAL forward(REAL" in text
        assert f"REAL {slope}(REAL" in text
    else:
        assert parameters(module(name, "gpu").forward) == ["x", "out", "b"]
        assert parameters(module(name, "gpu").backward)[::2] == ["dy", "out"]


@pytest.mark.parametrize("name", registry.names("loss"))
def test_a_loss_has_the_row_that_the_pass_calls(name):
    text = (ROOT / registry.folder(name) / "gpu.cu").read_text()
    assert f"namespace loss::{name} {{" in text
    assert "REAL row_loss(" in text
    loss = registry.loss(name)
    taken = parameters(loss.loss_and_gradient)[1 : -1 - len(loss.parameters)]
    assert parameters(losses.loss_and_gradient) == ["loss", "scores", *taken, "out", "total", "scratch", "numbers"]


@pytest.mark.parametrize("name", registry.names("loss"))
def test_labels_are_taken_by_the_losses_that_declare_them(launches, name):
    loss, scores = registry.loss(name), np.zeros((7, 5))
    assert ("loss_of_labels" in losses.source(name, "float64").signatures()) == loss.takes_labels
    for targets in (np.zeros((7, 4)), np.zeros((6, 5)), np.zeros(6 if loss.takes_labels else 7, np.int64)):
        with pytest.raises(ShapeError, match=f"{name}: targets of shape"):
            losses.loss_and_gradient(loss, scores, targets, None, 0.5, scores, np.zeros(1))
    assert not launches


# Planted drift


def moved(*arguments, **named):
    """Launch sgd as its launcher does, except for the given arguments."""
    p, g = np.zeros(8, np.float32), np.zeros(8, np.float32)
    usual = {"p": p, "g": g, "learning_rate": 0.1, "numbers": None, "weight_decay": 0.0, "count": 8}
    launch(Source.of("optimizer_step/gpu.cu", "float32"), "sgd", 1, 256, {**usual, **named})


def test_numbers_become_the_kernels_types(launches):
    moved(count=np.int32(8), learning_rate=1)
    *_, rate, _, decay, count = launches[0][4]
    assert (type(rate), type(decay), type(count)) == (np.float32, np.float32, np.int64)
    moved(weight_decay=np.float64(0.25))
    assert type(launches[1][4][4]) is np.float32


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"velocity": np.zeros(8, np.float32)},
            "kernel sgd takes p, g, learning_rate, numbers, weight_decay, count;",
        ),
        ({"p": np.zeros(8)}, "p of kernel sgd is an array of float32; given: float64"),
        ({"g": 0.5}, "g of kernel sgd is an array of float32; given: float"),
        ({"g": np.float32(0.5)}, "g of kernel sgd is an array of float32; given: float32"),
        ({"g": np.zeros(16, np.float32)[::2]}, r"g of kernel sgd is not contiguous: strides \(8,\)"),
        ({"count": 8.0}, "count of kernel sgd is a long long; given: float 8.0"),
        ({"learning_rate": None}, "learning_rate of kernel sgd is a float; given: NoneType None"),
        ({"learning_rate": np.zeros(8, np.float32)}, "learning_rate of kernel sgd is a float; given: ndarray"),
    ],
)
def test_a_launcher_that_drifts_from_its_kernel_is_an_error(launches, changed, message):
    with pytest.raises(TypeError, match=message):
        moved(**changed)
    assert not launches


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("REAL learning_rate, const REAL* numbers", "int learning_rate, const REAL* numbers"),
        ("const REAL* g, REAL learning_rate", "const double* g, REAL learning_rate"),
        (
            "REAL learning_rate, const REAL* numbers, REAL weight_decay",
            "REAL rate, const REAL* numbers, REAL decay",
        ),
        ("REAL weight_decay, long long count", "REAL weight_decay, long long count, int added"),
        ("REAL weight_decay, long long count", "long long count"),
        ("void sgd(", "void gradient_descent("),
    ],
)
def test_a_kernel_that_drifts_from_its_launcher_is_an_error(launches, monkeypatch, old, new):
    source = Source.of("optimizer_step/gpu.cu", "float32")
    text = source.text()
    assert old in text
    monkeypatch.setattr(Source, "signatures", lambda self: signatures(text.replace(old, new), dict(self.macros)))
    with pytest.raises((TypeError, KeyError), match="sgd"):
        moved()
    assert not launches


def test_integers_that_do_not_fit_are_an_error(launches):
    mask, keep = module("dropout", "gpu").mask, np.zeros(1, bool)
    for step in (2**64, -1):
        with pytest.raises(OverflowError):
            mask(0, 1, 0.5, 3, 1, step, keep)
    mask(0, 1, 0.5, 3, 1, 2**64 - 1, keep)
    assert launches[0][4][6] == 2**64 - 1


# Sources


def test_signatures_are_read_with_macros_and_without_comments():
    found = signatures(SIMPLE, {"REAL": "double"})
    first = (("double*", "x"), ("double*", "y"), ("unsigned long long", "count"), ("bool", "flag"))
    assert found == {"first": first, "second": ()}


@pytest.mark.parametrize("parameter", ["size_t n", "float4* x", "REAL x", "int"])
def test_a_type_that_no_launcher_could_give_is_an_error(parameter):
    with pytest.raises(TypeError, match="kernel broken: the type of"):
        signatures(f'extern "C" __global__ void broken({parameter}) {{}}')


def test_a_kernel_that_exists_twice_is_an_error():
    with pytest.raises(TypeError, match="kernel second is defined twice"):
        signatures(SIMPLE + SIMPLE[SIMPLE.index('extern "C" __global__ void second') :], {"REAL": "float"})


def test_each_file_is_inlined_once_and_nothing_else_is_included():
    for source in shipped():
        text = source.text()
        assert "#include" not in text
        files = re.findall(r'^#line 1 "(.*)"$', text, re.MULTILINE)
        assert len(set(files)) == len(files)


@cache
def lines_of(file: str) -> list[str]:
    return (ROOT / file).read_text().splitlines()


def test_line_directives_name_the_place_of_every_line():
    for source in shipped():
        file, number = "", 0
        for line in source.text().splitlines():
            if directive := re.fullmatch(r'#line (\d+) "(.*)"', line):
                number, file = int(directive[1]), directive[2]
                continue
            assert lines_of(file)[number - 1] == line
            number += 1


def test_no_fast_math_and_no_sums_in_an_order_of_chance():
    for source in shipped():
        assert not any("fast" in option for option in source.options())
        assert "atomic" not in source.text().replace("No atomics", "")


def test_nothing_imports_cupy_before_a_launch():
    names = [
        "_cuda.activations",
        "_cuda.losses",
        *(f"{registry.folder(name)}/gpu".replace("/", ".") for name in LAUNCHERS),
    ]
    code = "import importlib, sys\n" + "".join(f"importlib.import_module('dnnkit.kernels.{name}')\n" for name in names)
    code += "from dnnkit.kernels._cuda.source import shipped\n[source.text() for source in shipped()]\n"
    code += "print('cupy' in sys.modules)"
    result = processes.run([sys.executable, "-c", code], check=True)
    assert result.stdout.strip() == "False"


def test_launchers_do_not_wait_for_the_device():
    """Launchers read no array: no float(), no .get(), no .item()."""
    shared = "activations", "by_column", "losses", "outputs", "pairwise", "strips"
    for path in [*(ROOT / f"_cuda/{name}.py" for name in shared), *ROOT.glob("**/gpu.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("float", "bool", "print"), path
                assert not called.endswith((".get", ".item", ".synchronize", ".tolist", "asnumpy")), path
