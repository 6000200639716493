"""Every peer is found, begins with the same weights, and does the same work."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnnkit.bench.peers import run_one, samples
from dnnkit.bench.peers.interpreters import FOLDER
from dnnkit.bench.peers.registry import choose_peers, find_peers, not_installed
from dnnkit.bench.peers.works import NEURON_WEIGHTS, Work
from tests.dnnkit.bench.peers.made_up import PLAIN, SMALL


def test_peers_are_found_by_their_files() -> None:
    peers = find_peers()
    assert {"dnnkit", "dnnkit-uint8", "torch", "torch-compile", "jax", "keras", "scikit-learn", "numpy"} <= set(peers)
    assert {"tinygrad", "tinygrad-beam", "thinc", "thinc-blas"} <= set(peers)
    assert (peers["torch-compile"].family, peers["torch-compile"].variant) == ("torch", "compile")
    assert [peer.name for peer in choose_peers("numpy,dnnkit-uint8")] == ["numpy", "dnnkit-uint8"]
    with pytest.raises(SystemExit, match=r"unknown peers pytorch: did you mean 'torch'\? choose from dnnkit"):
        choose_peers("numpy,pytorch")


def test_general_peers_and_their_packages_are_read_from_files() -> None:
    peers = find_peers()
    general = {name for name, peer in peers.items() if peer.is_general and not peer.needs_gpu}
    assert general == {"dnnkit", "jax", "torch", "torch-compile", "numpy"}
    assert {"dnnkit-cupy", "jax-gpu", "torch-cuda"} <= {name for name, peer in peers.items() if peer.needs_gpu}
    assert not any(peer.needs_gpu for peer in choose_peers(None))  # which are measured only by name
    assert [peers[name].distribution for name in ("scikit-learn", "torch-compile")] == ["scikit-learn", "torch"]
    assert not_installed(peers["jax"], {"missing": "jax"}) == "jax is not installed; to install it: pip install jax"
    with pytest.raises(SystemExit, match="unknown peers keras: choose from dnnkit, "):
        choose_peers("keras", general=True)


def test_no_file_hides_a_library() -> None:
    assert not {file.stem for file in FOLDER.glob("*.py")} & {peer.family for peer in PLAIN}


def test_every_peer_names_its_packages() -> None:
    cures = {name: not_installed(peer, {"missing": "it"}) for name, peer in find_peers().items()}
    assert cures["keras"] == "it is not installed; to install it: pip install keras"
    assert all("pip install " in cure for cure in cures.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    samples.write(folder, samples.random_digits(SMALL.samples, 1_000), SMALL.samples)
    return folder


def installed(peer: Any) -> tuple[Any, dict[str, Any]]:
    about = run_one.probe(peer)
    if "missing" in about:
        pytest.skip(f"{about['missing']} is not installed")
    return peer.load(), about


@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
def test_every_peer_learns_the_same(peer: Any, folder: Path) -> None:
    module, about = installed(peer)
    assert about["versions"]
    assert about["setting"]
    assert about["threads"]
    for work in (SMALL, replace(SMALL, activation="sigmoid", optimizer="sgd", learning_rate=1.0, batch_size=100)):
        result = run_one.train(module, peer, work, folder)
        own = run_one.train(find_peers()["numpy"].load(), find_peers()["numpy"], work, folder)
        assert (len(result["seconds"]), result["counted"]) == (1, work.counted)
        assert result["memory"] > 0
        assert result["loss"] == pytest.approx(own["loss"], rel=0.15)
        assert result["accuracy"] == pytest.approx(own["accuracy"], abs=0.1)


GENERAL = [peer for peer in PLAIN if peer.is_general and peer.name != "numpy"]
KINDS = [
    ("relu", "sgd", "mean_squared_error", "float64"),
    ("tanh", "momentum", "binary_crossentropy", "float64"),
    ("sigmoid", "adam", "sparse_categorical_crossentropy", "float64"),
    ("gelu", "adamw", "mean_squared_error", "float64"),
    ("silu", "adamw", "binary_crossentropy", "float64"),
    ("gelu", "momentum", "sparse_categorical_crossentropy", "float32"),
]


@pytest.mark.parametrize("peer", GENERAL, ids=lambda peer: peer.name)
@pytest.mark.parametrize(("activation", "optimizer", "loss", "dtype"), KINDS)
def test_general_peers_take_the_same_steps_as_the_loop_in_numpy(
    peer: Any, activation: str, optimizer: str, loss: str, dtype: Any
) -> None:
    """The last batch is smaller, and the decay and momentum are large enough to be seen."""
    module, _ = installed(peer)
    work = replace(SMALL, activation=activation, optimizer=optimizer, loss=loss, dtype=dtype, learning_rate=0.05)
    work = replace(work, widths=(20, 30, 16, 7), samples=150)
    x, y = samples.drawn(work)
    network, own = (peers.network(work, x, y, "") for peers in (module, find_peers()["numpy"].load()))
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    first, second = own.train(1), own.train(2)
    assert first > 1.01 * second
    assert network.train(1) == pytest.approx(first, rel=tolerance)
    assert network.train(2) == pytest.approx(second, rel=tolerance)
    np.testing.assert_allclose(network.predict(x), own.predict(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
@pytest.mark.parametrize("size", [1, 250])
def test_every_peer_predicts_the_same(peer: Any, size: int, folder: Path) -> None:
    module, _ = installed(peer)
    work = replace(SMALL, kind="predict", size=size)
    result = run_one.predict(module, peer, work, folder)
    own = run_one.predict(find_peers()["numpy"].load(), find_peers()["numpy"], work, folder)
    assert result["check"] == pytest.approx(own["check"], rel=1e-5)


@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
def test_every_neuron_is_the_notes_neuron(peer: Any, folder: Path) -> None:
    module, about = installed(peer)
    if "neuron" not in about["kinds"]:
        pytest.skip(f"{peer.name} trains no neuron")
    weights = NEURON_WEIGHTS.copy()
    run = module.neuron(run_one.NEURON_X, run_one.NEURON_Y, weights, 5_000, peer.variant)
    run()
    np.testing.assert_allclose(np.ravel(run()), (9.67299303, -0.20784350, -4.62963669), rtol=1e-7)


@pytest.mark.parametrize(("kind", "dtype"), [("gemm", "float32"), ("gemm", "float64"), ("copy", "float32")])
@pytest.mark.parametrize("peer", PLAIN, ids=lambda peer: peer.name)
def test_the_rates_of_the_machine(peer: Any, kind: str, dtype: Any, folder: Path) -> None:
    module, about = installed(peer)
    if kind not in about["kinds"]:
        pytest.skip(f"{peer.name} has none")
    result = run_one.KINDS[kind](module, peer, Work(kind, kind, kind, size=65, counted=2, dtype=dtype), folder)
    assert len(result["seconds"]) == 2


def test_samples_are_the_same_as_bytes_and_as_numbers(folder: Path) -> None:
    numbers, as_bytes = samples.read(folder, 100, False), samples.read(folder, 100, True)
    assert numbers.x.shape == (100, 784)
    assert numbers.x.dtype == np.float32
    assert as_bytes.x.dtype == np.uint8
    assert numbers.x.ctypes.data % samples.ALIGNMENT == 0
    np.testing.assert_array_equal(numbers.x, as_bytes.x / np.float32(255))
    assert numbers.x.max() == 1


def test_standardized_samples_have_no_zeros(folder: Path) -> None:
    plain, other = samples.read(folder, 100, False), samples.read(folder, 100, False, standardized=True)
    assert (plain.x == 0).mean() > 0.5
    assert (other.x != 0).all()
    assert (other.x.mean(), other.x.std()) == pytest.approx((0, 1), abs=1e-4)
    assert other.x.ctypes.data % samples.ALIGNMENT == 0
    back = other.x_test * plain.x.std() + plain.x.mean()
    np.testing.assert_allclose(back, plain.x_test, atol=1e-5)


def test_many_repetitions_are_stored_as_quartiles() -> None:
    few, many = (run_one.Clock(lambda: None, count).to_json() for count in (3, 500))
    assert (len(few["seconds"]), few["counted"]) == (3, 3)
    assert (len(many["seconds"]), many["counted"]) == (3, 500)
    assert many["seconds"] == sorted(many["seconds"])
