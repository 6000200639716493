"""Accesses of 16 bytes stay whole: a compiler may split a pack, and nothing but the speed would show it."""

import ctypes
import re
from functools import cache

import pytest

from dnnkit.kernels._cuda import activations, losses, metrics
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels.activations.softmax import gpu as softmax
from dnnkit.kernels.gather import gpu as gather
from tests.cuda_compile import nvrtc
from tests.kernels._numba.test_signatures import elementwise

pytestmark = pytest.mark.cuda_compile
KERNELS = {
    "dense/gpu.cu": ["activation_forward", "activation_backward", "dense_forward", "dense_backward"],
    "dropout/gpu.cu": ["dropout_apply"],
    "gather/gpu.cu": ["gather"],
    "optimizer_step/gpu.cu": ["sgd", "momentum", "nesterov", "rmsprop", "adam"],
}
VECTORS = {"float32": "v4.f32", "float64": "v2.f64"}


@cache
def instructions(source: Source) -> dict[str, str]:
    """NVRTC's PTX for an H100, by kernel."""
    library, program = nvrtc._library(), ctypes.c_void_p()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.text().encode(), b"", 0, None, None) == 0
    try:
        options = [*source.options(), *nvrtc.CUPY_ADDS, "--gpu-architecture=compute_90"]
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        assert library.nvrtcCompileProgram(program, len(given), given) == 0
        text = nvrtc._bytes(library, "PTX", program).decode()
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    return {part.partition("(")[0]: part for part in re.split(r"\.visible \.entry ", text)[1:]}


def check(source: Source, dtype: str) -> None:
    found = instructions(source)
    for kernel in KERNELS[source.file]:
        assert f"st.global.{VECTORS[dtype]}" in found[kernel], kernel
        assert re.search(r"ld\.global(\.nc)?\.v[24]\.", found[kernel]), kernel


@pytest.mark.parametrize("dtype", VECTORS)
@pytest.mark.parametrize("file", ["dropout/gpu.cu", "optimizer_step/gpu.cu"])
def test_packs_are_moved_by_one_instruction(file, dtype):
    check(Source.of(file, dtype), dtype)


@pytest.mark.parametrize("dtype", VECTORS)
@pytest.mark.parametrize("data", ["uint8", "float32", "float64", "bool"])
def test_packs_of_data_are_moved_by_one_instruction(data, dtype):
    check(gather.source(dtype, data), dtype)


@pytest.mark.parametrize("dtype", VECTORS)
@pytest.mark.parametrize("name", ["relu", "linear", "gelu", "mish"])
def test_packs_of_activations_are_moved_by_one_instruction(name, dtype):
    found = instructions(activations.source(name, dtype))
    for kernel in KERNELS["dense/gpu.cu"]:
        assert f"st.global.{VECTORS[dtype]}" in found[kernel], kernel


def test_four_elements_of_a_mask_are_stored_at_once():
    found = instructions(Source.of("dropout/mask.cu"))["dropout_mask"]
    assert re.search(r"st\.global\.(v4\.u8|[bu]32)", found)


@pytest.mark.parametrize(
    "source",
    [
        activations.source("relu", "float32"),
        losses.source("mean_squared_error", "float32").having(ROWS="AS_STREAMS"),
        metrics.source("categorical_accuracy", "float32").having(ROWS="IN_TILES"),
        *(Source.of(file, "float32") for file in ("optimizer_step/gpu.cu", "clip_norm/gpu.cu", "dropout/gpu.cu")),
    ],
    ids=str,
)
def test_no_kernel_begins_with_a_64_bit_division(source):
    """For the trip count of a loop unrolled with an unknown stride: 100 ns of a small launch."""
    for kernel, text in instructions(source).items():
        assert not re.search(r"\b(div|rem)\.[su]64", text), kernel


@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_nothing_spills_into_local_memory(name):
    for source in (activations.source(name, "float64"), Source.of("optimizer_step/gpu.cu", "float64")):
        for kernel, text in instructions(source).items():
            assert not re.search(r"\b(ld|st)\.local\b", text), kernel


@pytest.mark.parametrize("name", elementwise())
def test_float32_is_computed_in_float32(name):
    """A constant without REAL(...) would make it double: correct, and many times slower."""
    for kernel, text in instructions(activations.source(name, "float32")).items():
        assert ".f64" not in text, kernel


@pytest.mark.parametrize(
    "source",
    [*softmax.sources(), *(Source.of(file, "float32") for file in ("optimizer_step/gpu.cu", "dropout/gpu.cu"))],
)
def test_float32_stays_float32_except_in_sums_over_a_batch(source):
    if dict(source.macros)["REAL"] == "float":
        for kernel, text in instructions(source).items():
            assert ".f64" not in text, kernel
