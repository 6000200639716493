"""Each layer that is a kind of stage, in a network: trained, evaluated, saved, copied, frozen and resumed."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.layers.base import LAYERS
from dnnkit.layers.of_kind import KindLayer

rng = np.random.default_rng(0)
X, CLASSES = rng.normal(size=(23, 4)), rng.integers(0, 3, (23, 4))
X[:, 3] = 2.0  # a feature without variance
Y, WEIGHTS = rng.normal(size=(23, 2)), rng.uniform(0.5, 2, 23)

NETWORKS: dict[str, list[dk.Layer]] = {
    "BatchNormalization": [
        dk.Dense(5, use_bias=False),
        dk.BatchNormalization(momentum=0.7),
        dk.Activation("tanh"),
        dk.Dense(2),
    ],
    "BatchNormalization, first": [dk.BatchNormalization(center=False, momentum=0.5), dk.Dense(2)],
    "BatchNormalization, of axes": [dk.Reshape((2, 2)), dk.BatchNormalization(scale=False), dk.Flatten(), dk.Dense(2)],
    "LayerNormalization": [dk.Dense(5, "tanh"), dk.LayerNormalization(), dk.Dense(2)],
    "RMSNormalization": [dk.Reshape((2, -1)), dk.RMSNormalization(), dk.Flatten(), dk.Dense(2)],
    "Normalization": [dk.Normalization(mean=[0.5, 0, 0, 2], variance=[2, 1, 0.5, 0]), dk.Dense(2)],
    "Scale": [dk.Scale(), dk.Dense(5, "tanh", parametrization="ntk"), dk.Scale(), dk.Dense(2, parametrization="ntk")],
    "PReLU": [dk.Dense(6), dk.PReLU(alpha_initializer="random_normal"), dk.Dense(2)],
    "GaussianNoise": [dk.GaussianNoise(0.3), dk.Dense(5, "tanh"), dk.GaussianNoise(0.1), dk.Dense(2)],
    "Embedding": [dk.Embedding(3, 2), dk.Flatten(), dk.Dense(5, "tanh"), dk.Dense(2)],
    "OneHot": [dk.OneHot([3, 3, 4, 3]), dk.Dense(5, "tanh"), dk.Dense(2)],
    "CategoryEncoding": [dk.CategoryEncoding(3, "count"), dk.Dense(2)],
    "PeriodicEmbedding": [dk.PeriodicEmbedding(2, 3, 1.0), dk.Flatten(), dk.Dense(2)],
}
OF_CLASSES = {"Embedding", "OneHot", "CategoryEncoding"}


def samples(name: str) -> np.ndarray:
    return CLASSES if name in OF_CLASSES else X


def network(name: str, dtype: str = "float32", **options) -> dk.Sequential:
    net = dk.Sequential(NETWORKS[name], seed=1, dtype=dtype, **options)
    net.compile(dk.Adam(0.02), "mean_squared_error")
    return net


def numbers(net: dk.Sequential) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in net.parameters.items()}


def fit(net: dk.Sequential, name: str, epochs: int = 3, **options) -> dk.History:
    return net.fit(samples(name), Y, batch_size=6, epochs=epochs, sample_weight=WEIGHTS, verbose=0, **options)


def test_every_layer_of_a_kind_is_here() -> None:
    used = {type(layer) for layers in NETWORKS.values() for layer in layers}
    assert {kind for kind in LAYERS.values() if issubclass(kind, KindLayer)} - used <= elsewhere()


def elsewhere() -> set[type]:
    """Layers that read several values, which a Sequential network does not have."""
    return {kind for kind in LAYERS.values() if kind.__module__ == "dnnkit.layers.merging"}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_follows_numpy(backend: Backend, name: str) -> None:
    """The last batch has 5 rows; the same bits twice."""
    wanted, nets = network(name, "float64", backend="numpy"), [network(name, "float64") for _ in range(2)]
    expected = fit(wanted, name)
    for net in nets:
        np.testing.assert_allclose(fit(net, name)["loss"], expected["loss"], rtol=1e-9)
        for key, value in numbers(net).items():
            np.testing.assert_allclose(value, wanted.parameters[key], rtol=1e-7, atol=1e-9)
    for key, value in numbers(nets[0]).items():
        np.testing.assert_array_equal(value, nets[1].parameters[key])
    x = samples(name)
    np.testing.assert_allclose(nets[0].predict(x), wanted.predict(x), atol=1e-7)
    np.testing.assert_allclose(nets[0].predict(x[:1]), wanted.predict(x[:1]), atol=1e-7)
    assert nets[0].evaluate(x, Y)["loss"] == pytest.approx(wanted.evaluate(x, Y)["loss"], rel=1e-7)


@pytest.mark.parametrize("name", NETWORKS)
def test_its_gradients_are_differences(backend: Backend, name: str) -> None:
    net = network(name, "float64")
    net.build((4,))
    assert dk.check_gradients(net, samples(name)[:7], Y[:7], samples=8).passed


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_saved_copied_and_resumed(backend: Backend, name: str, tmp_path: Path) -> None:
    """Four epochs at once equal two, a save, and two more, bit for bit."""
    whole, first = network(name), network(name)
    fit(whole, name, 4)
    fit(first, name, 2)
    first.save(tmp_path / "save")
    for other in (
        dk.load(tmp_path / "save", backend=backend.name),
        copy.deepcopy(first),
        pickle.loads(pickle.dumps(first)),
    ):
        assert [repr(layer) for layer in other.layers] == [repr(layer) for layer in first.layers]
        fit(other, name, 2)
        for key, value in numbers(whole).items():
            np.testing.assert_array_equal(value, other.parameters[key])


@pytest.mark.parametrize("name", NETWORKS)
def test_one_row_and_frozen(backend: Backend, name: str) -> None:
    net = network(name)
    assert np.isfinite(net.train_step(samples(name)[:1], Y[:1]))
    for layer in net.layers:
        if isinstance(layer, KindLayer) and layer.count_params():
            net.freeze(layer.name)
    before = numbers(net)
    fit(net, name, 1)
    after, frozen = numbers(net), {layer.name for layer in net.layers if isinstance(layer, KindLayer)}
    assert all(np.isfinite(value).all() for value in after.values())
    for key, value in before.items():
        if key.partition("/")[0] in frozen:
            np.testing.assert_array_equal(value, after[key])


def test_batch_normalization_follows_its_definition(backend: Backend) -> None:
    net = dk.Sequential([dk.BatchNormalization(momentum=0.9, epsilon=1e-5)], seed=0, dtype="float64")
    net.compile(dk.SGD(0.0), "mean_squared_error")
    large = 1e4 + X  # a variance that is small compared with the mean
    loss = net.train_step(large, 0 * X)
    normal = (large - large.mean(0)) / np.sqrt(large.var(0) + 1e-5)
    assert loss == pytest.approx((normal**2).mean(), rel=1e-9)
    layer = net.layers[0]
    np.testing.assert_allclose(layer.moving_mean, 0.1 * large.mean(0), rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * large.var(0), rtol=1e-9)
    expected = (large - 0.1 * large.mean(0)) / np.sqrt(0.9 + 0.1 * large.var(0) + 1e-5)
    np.testing.assert_allclose(net.predict(large), expected, rtol=1e-9)


def test_a_normalization_adapts(backend: Backend, tmp_path: Path) -> None:
    layer = dk.Normalization()
    layer.adapt(X)
    for net in (dk.Sequential([layer]), dk.Sequential([dk.Normalization()])):
        net.build((4,))
        net.layers[0].adapt(X)
        spread = np.where(X.std(0) > 0, X.std(0), 1)
        np.testing.assert_allclose(net.predict(X), (X - X.mean(0)) / spread, atol=1e-5)
        net.save(tmp_path / "save")
        np.testing.assert_array_equal(dk.load(tmp_path / "save").predict(X), net.predict(X))
    with pytest.raises(dk.errors.ShapeError, match="moments of 4 features, but samples of shape"):
        dk.Sequential([layer]).build((3,))


def test_the_first_fit_adapts_unadapted_layers(backend: Backend) -> None:
    net = dk.Sequential([dk.Rescaling(2.0), dk.Normalization(), dk.Dense(2)], seed=0)
    net.compile("sgd", "mean_squared_error")
    net.fit(X, Y, verbose=0)
    np.testing.assert_allclose(net.parameters["normalization/mean"], 2 * X.mean(0), rtol=1e-5)
    net.fit(X + 1, Y, verbose=0)
    np.testing.assert_allclose(net.parameters["normalization/mean"], 2 * X.mean(0), rtol=1e-5)


@pytest.mark.parametrize("wrong", [3, -1, 0.5])
@pytest.mark.parametrize("name", sorted(OF_CLASSES))
def test_invalid_class_indices_are_rejected(backend: Backend, name: str, wrong: float) -> None:
    net, x = network(name), CLASSES.astype(np.float64)
    x[5, 1] = wrong
    for ask in (net.predict, lambda x: net.fit(x, Y, verbose=0), lambda x: net.evaluate(x, Y)):
        with pytest.raises(dk.errors.DataError, match=r"row 5 .* column 1"):
            ask(x)
    with pytest.raises(dk.errors.DataError, match=r"row 0 .* column 1"):
        net.predict(x[5:6])


def test_class_numbers_come_from_the_data() -> None:
    net = dk.Sequential([dk.Dense(4), dk.Embedding(3, 2)])
    with pytest.raises(dk.errors.ConfigurationError, match="class numbers from the data"):
        net.build((4,))


def test_ntk_is_a_dense_layer_of_scaled_kernels(backend: Backend) -> None:
    net = dk.Sequential([dk.Dense(3, "tanh", parametrization="ntk")], seed=0)
    net.build((4,))
    kernel, bias = net.get_weights()
    np.testing.assert_allclose(net.predict(X), np.tanh(X @ kernel / 2 + bias), rtol=1e-4, atol=1e-5)
    large = dk.Sequential([dk.Dense(100, parametrization="ntk")], seed=0)
    large.build((50,))
    assert large.get_weights()[0].std() == pytest.approx(1, rel=0.1)


def test_noise_is_normal_and_only_while_training(backend: Backend) -> None:
    net = dk.Sequential([dk.GaussianNoise(2.0)], seed=3, dtype="float64")
    net.compile("sgd", "mean_squared_error")
    x = np.zeros((60, 51))
    assert net.evaluate(x, x)["loss"] == 0
    assert net.train_step(x, x) == pytest.approx(4, rel=0.1)


def test_a_share_that_is_scheduled_follows_the_batches(backend, tmp_path):
    """As with the rate set by hand in each batch, in `fit`, batch by batch, resumed, and on two workers."""
    shares = dk.schedules.PiecewiseConstantDecay((2, 5, 9), (0.5, 0.1, 0.7, 0.0))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 6)), rng.normal(size=(48, 2))

    def made(rate) -> dk.Sequential:
        layers = [dk.Dense(24, "tanh"), dk.Dropout(rate), dk.Dense(2)]
        net = dk.Sequential(layers, seed=3, dtype="float64", backend=backend)
        net.compile("adam", "mse")
        net.build(6)
        return net

    whole, stepped, by_hand = made(shares), made(shares), made(0.5)
    whole.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    whole.save(tmp_path / "run")
    whole = dk.load(tmp_path / "run", backend=backend)
    assert whole.layers[1].rate == shares
    whole.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    for step in range(12):
        rows = slice(step % 3 * 16, step % 3 * 16 + 16)
        stepped.train_step(x[rows], y[rows])
        fixed = made(float(shares(step)))
        fixed.executable.restore(by_hand.executable.snapshot())
        fixed.train_step(x[rows], y[rows])
        by_hand = fixed
    for name, value in by_hand.parameters.items():
        np.testing.assert_allclose(stepped.parameters[name], value, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(whole.parameters[name], value, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(whole.predict(x), whole.copy().predict(x))


def test_a_schedule_that_gives_no_share_is_an_error(backend):
    net = dk.Sequential([dk.Dense(4), dk.Dropout(dk.schedules.CosineDecay(1.5, 10)), dk.Dense(1)], backend=backend)
    net.compile("sgd", "mse")
    with pytest.raises(dk.DnnkitError, match=r"the schedule CosineDecay\(.*gives 1.5 for step 0: expected a number"):
        net.fit(np.ones((8, 3)), np.ones(8), verbose=0)
    with pytest.raises(dk.DnnkitError, match="or a schedule, such as"):
        dk.Dropout("half")
