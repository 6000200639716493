"""Networks as ONNX models: onnx's checker accepts them, and onnxruntime predicts the same."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError
from tests.dnnkit.exports.networks import all_networks, graphs, random_graphs

real = pytest.mark.extras


def session(model: bytes) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model, options)


def run(made: Any, x: Any) -> list[np.ndarray]:
    dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}[made.get_inputs()[0].type]
    given = x if isinstance(x, dict) else {made.get_inputs()[0].name: x}
    return made.run(None, {name: np.asarray(value, dtype) for name, value in given.items()})


@real
@pytest.mark.parametrize("opset", [18, None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_and_activation_predicts_the_same(dtype: str, opset: int | None, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    networks: dict[str, tuple[Any, Any]] = all_networks(dtype) | (random_graphs(15) if dtype == "float64" else {})
    for name, (net, x) in networks.items():
        path = net.to_onnx(tmp_path / f"{name}.onnx", opset=opset)
        onnx.checker.check_model(str(path), full_check=True)
        made = session(path.read_bytes())
        expected = net.predict(x)
        parts = list(expected.values()) if isinstance(expected, dict) else expected
        parts = parts if isinstance(parts, list) else [parts]
        names = [each.name for each in made.get_outputs()]
        assert all(one == other or other in net.input_names for one, other in zip(names, net.output_names, strict=True))
        for one, other in zip(run(made, x), parts, strict=True):
            assert one.dtype == other.dtype
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= 1e-5 * max(1, np.abs(other).max()), name


@real
def test_batches_of_any_size_and_images(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    net = dk.Sequential([dk.Rescaling(1 / 255), dk.Flatten(), dk.Dense(5, "gelu"), dk.Dense(3, "softmax")], seed=0)
    net.build((4, 6))
    made = session(net.export(tmp_path / "net.onnx").read_bytes())
    assert made.get_inputs()[0].shape == ["N", 4, 6]
    assert made.get_outputs()[0].shape == ["N", 3]
    for rows in (1, 2, 1000):
        x = np.random.default_rng(rows).integers(0, 256, (rows, 4, 6))
        np.testing.assert_allclose(run(made, x)[0], net.predict(x), rtol=1e-5, atol=1e-6)


@real
def test_a_number_that_is_no_class_is_an_error_of_the_runtime(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    net, x = graphs("float32")["several"]
    made = session(net.to_onnx(tmp_path / "net.onnx").read_bytes())
    run(made, x)
    for wrong in (-1, 0.5, 4, np.nan):
        with pytest.raises(Exception, match="indices element out of data bounds"):
            run(made, {"x": x["x"][:1], "classes": np.array([[0, wrong]])})


@real
def test_parameters_and_activations_are_found_again(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    net = dk.Sequential([dk.Dense(4, "relu", name="hidden"), dk.Dense(2)], seed=0)
    net.build(3)
    model = onnx.load(net.to_onnx(tmp_path / "net.onnx"))
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "Gemm", "Identity"]
    numbers = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    assert {*net.parameters} == {*numbers}
    np.testing.assert_array_equal(numbers["hidden/kernel"], net.parameters["hidden/kernel"])
    assert model.producer_name == "dnnkit"
    for opset in (17, 1000, True, "18"):
        with pytest.raises(ConfigurationError, match="expected 18"):
            net.to_onnx(tmp_path / "net.onnx", opset=opset)


def test_without_onnx_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = dk.Sequential([dk.Dense(2)], seed=0)
    net.build(3)
    with pytest.raises(ConfigurationError, match=r"must end in \.onnx"):
        net.to_onnx(tmp_path / "net.pb")
    importing = builtins.__import__

    def without(name: str, *more: Any, **others: Any) -> Any:
        if name == "onnx":
            raise ImportError("No module named 'onnx'")
        return importing(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'dnnkit\[onnx\]'"):
        net.to_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
