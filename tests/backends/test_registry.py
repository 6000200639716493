"""The choice of the backend, and errors that say what to do."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import dnnkit as dk
from dnnkit.backends import available, choice, get_backend, registry
from dnnkit.backends.numpy_backend import NumpyBackend
from dnnkit.errors import BackendUnavailable
from tests import processes

PLUGIN = Path(__file__).parent / "example_plugin"


def test_argument_comes_before_context_before_process_before_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choice().origin == "default"
    assert choice().name == "auto"
    monkeypatch.setenv("DNNKIT_BACKEND", "numpy")
    assert choice().origin == "environment variable DNNKIT_BACKEND"
    dk.set_backend("numpy")
    assert choice().origin == "set_backend"
    with dk.use_backend("numpy"):
        assert choice().origin == "use_backend"
        assert choice("numpy").origin == "argument"
    assert choice().origin == "set_backend"


def test_use_backend_is_of_its_own_thread() -> None:
    seen = []
    with dk.use_backend("numpy"):
        thread = threading.Thread(target=lambda: seen.append(choice().origin))
        thread.start()
        thread.join()
    assert seen == ["default"]


def test_use_backend_ends_with_an_exception() -> None:
    with pytest.raises(RuntimeError, match="inside"), dk.use_backend("numpy"):
        raise RuntimeError("inside")
    assert choice().origin == "default"


def test_an_empty_variable_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNNKIT_BACKEND", "")
    assert choice().origin == "default"


def test_a_backend_is_made_once() -> None:
    assert get_backend("numpy") is get_backend("numpy")
    assert isinstance(get_backend("numpy"), NumpyBackend)


@pytest.mark.parametrize("name", ["nonsense", "numpyy", "Numpy", ":1"])
def test_an_unknown_name_lists_what_works(name: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"there is no backend .* What works here: .*numpy"):
        get_backend(name)
    with pytest.raises(BackendUnavailable):
        dk.set_backend(name)
    assert choice().origin == "default"


def test_the_error_names_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNNKIT_BACKEND", "nonsense")
    with pytest.raises(BackendUnavailable, match="environment variable DNNKIT_BACKEND"):
        get_backend()


def test_a_device_of_a_backend_without_devices_is_an_error() -> None:
    with pytest.raises(BackendUnavailable, match="no devices to choose from"):
        get_backend("numpy:1")


def test_unusable_backends_are_listed_with_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BACKENDS._things, "broken", BrokenBackend)
    with pytest.raises(BackendUnavailable, match=r"cannot work here: its library is missing.*pip install broken"):
        get_backend("broken")
    with pytest.raises(BackendUnavailable, match=r"broken does not: its library is missing.*pip install broken"):
        get_backend("nonsense")
    info = {info.name: info for info in available()}["broken"]
    assert not info.available
    assert info.reason == "its library is missing"
    assert get_backend("auto").name != "broken"


class BrokenBackend(NumpyBackend):
    name = "broken"
    install = "pip install broken"

    @classmethod
    def unavailable_reason(cls) -> str | None:
        return "its library is missing"


# -- plugins: a package that pip really installs ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example plugin installed."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for file in PLUGIN.iterdir():
        (source / file.name).write_text(file.read_text())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    processes.run([*command, "--target", str(target), str(source)], check=True)
    return target


def run(code: str, site: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    import os

    root = str(Path(dk.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), root]), **variables}
    return processes.run([sys.executable, "-c", code], env=environment)


def test_an_installed_plugin_trains_from_base_alone(plugins: Path) -> None:
    code = """
import sys
import dnnkit as dk
assert "example_backend" not in sys.modules
import numpy as np
net = dk.Sequential([dk.Dense(8, activation="tanh"), dk.Dense(3, activation="softmax")], seed=0)
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
rng = np.random.default_rng(0)
x, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
losses = net.fit(x, y, epochs=5, verbose=0)["loss"]
assert losses[-1] < losses[0]
print(net.backend.name, net.history.plan.execution)
"""
    result = run(code, plugins, DNNKIT_BACKEND="example")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["example", "stage", "by", "stage"]


def test_a_plugin_is_not_imported_unless_requested(plugins: Path) -> None:
    code = "import sys, dnnkit as dk; dk.get_backend('numpy'); print('example_backend' in sys.modules)"
    assert run(code, plugins).stdout.strip() == "False"


def test_a_plugin_is_listed(plugins: Path) -> None:
    code = "import dnnkit as dk; print([i.name for i in dk.backends.available() if i.available])"
    assert "'example'" in run(code, plugins).stdout


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("numpy = example_backend:ExampleBackend", "a name of dnnkit"),
        ("other = example_backend:ExampleBackend", "has name = 'example'"),
        ("other = example_backend:np", "expected a subclass"),
        ("other = example_backend:missing", "could not be imported"),
        ("other = no_such_module:Backend", "could not be imported"),
    ],
)
def test_a_plugin_that_breaks_the_rules_is_named(plugins: Path, tmp_path: Path, entry: str, message: str) -> None:
    info = tmp_path / "rogue-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rogue\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[dnnkit.backends]\n{entry}\n")
    name = entry.split()[0]
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import dnnkit as dk
try:
    dk.get_backend({name!r})
except dk.errors.BackendUnavailable as error:
    print(error)
"""
    result = run(code, plugins)
    assert message in result.stdout, result.stderr
    assert "rogue" in result.stdout
