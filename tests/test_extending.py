"""docs/extending.md is true: a new part of each kind, planted as its row says, trains on every backend."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.cuda_on_cpu.compiling import cache_folder
from tests.kernels.checkouts import copy_checkout, environment, keep_archive
from tests.planted_parts import PARTS, plant

DOCUMENT = Path(__file__).parents[1] / "docs" / "extending.md"
WORKED = DOCUMENT.parent / "write-a-kernel.md"
AT_MOST = 2

PROGRAM = '''
import contextlib, io, json, logging, sys, tempfile, traceback
from pathlib import Path

import numpy as np

import dnnkit as dk
from dnnkit.backends import registry
from tests.cuda_on_cpu import cupy_stand_in

PARTS = json.loads(sys.argv[1])
sys.modules["matplotlib"] = None  # pictures of runs, which take longer than training
rng = np.random.default_rng(0)
x, y = rng.normal(size=(20, 3)), rng.uniform(0.1, 0.9, size=(20, 2))
expected, folder = {}, Path(tempfile.mkdtemp())


def train(net, optimizer="sgd", loss="mean_squared_error", metrics=(), **options):
    """Check that it trains, gives correct results, and continues from a save."""
    net.compile(optimizer, loss, metrics)
    history = net.fit(x, y, epochs=3, batch_size=8, verbose=0, **options)
    measured = [history[name] for name in sorted(history.history)]
    reference = expected.setdefault(part, measured)
    np.testing.assert_allclose(measured, reference, rtol=1e-4)
    exact = dk.Sequential(net.layers, seed=0, dtype="float64", backend="numpy")
    exact.compile(optimizer, loss, metrics)
    assert dk.check_gradients(exact, x, y, samples=5).passed
    net.save(folder / "save")
    again = dk.load(folder / "save", backend=net.backend.name)
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    again.fit(x, y, epochs=1, verbose=0)
    said[part] = history.plan.reason


def command(*arguments):
    """What the command line prints."""
    from dnnkit.cli import main

    with contextlib.redirect_stdout(io.StringIO()) as out, tempfile.TemporaryDirectory() as run:
        sys.argv = ["dnnkit", *arguments, "--out", f"{run}/run"]
        try:
            main()
        except SystemExit as end:
            assert not end.code, out.getvalue()
    return out.getvalue()


@contextlib.contextmanager
def on(name):
    with contextlib.ExitStack() as stack:
        if name == "cupy":
            stack.enter_context(cupy_stand_in.in_place_of_cupy())
        stack.enter_context(dk.use_backend(name))
        yield


found, said = {}, {}
registry.BACKENDS._things["strict"] = registry.Lazy("tests.strict_backend:StrictBackend")
for name in sys.argv[2].split(","):
    with on(name):
        for part, use in PARTS.items():
            said.pop(part, None)
            try:
                exec(use, globals())
                found[f"{name}: {part}"] = ["ok", said.get(part)]
            except Exception:
                found[f"{name}: {part}"] = [traceback.format_exc(), None]
print(json.dumps(found))
'''


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A copy of the package with the parts and the worked example, and the environment of its processes."""
    root = copy_checkout(tmp_path_factory.mktemp("extended"))
    plant(PARTS, root)
    for name, text in titled(WORKED).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in ("tests", "benchmarks", "docs", "tools", "pyproject.toml"):
        (root / name).symlink_to(Path(__file__).parents[1] / name)
    keep_archive(root)
    cache = tmp_path_factory.mktemp("cache")
    (cache / "dnnkit").mkdir()
    (cache / "dnnkit" / "cuda_on_cpu").symlink_to(cache_folder())  # for the kernels that are unchanged
    return root, environment(root, cache)


@pytest.fixture(scope="module")
def planted(extended: tuple[Path, dict[str, str]]) -> dict[str, list[str]]:
    """The result of each part on each backend."""
    root, variables = extended
    parts = json.dumps({part.kind: part.use for part in PARTS})
    command = [sys.executable, "-c", PROGRAM, parts, "numpy,numba,strict,cupy"]
    done = processes.run(command, cwd=root, env=variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("backend", ["numpy", "numba", "strict", "cupy"])
@pytest.mark.parametrize("part", [part.kind for part in PARTS])
def test_it_trains_on_every_backend(planted: dict[str, list[str]], part: str, backend: str) -> None:
    result, _ = planted[f"{backend}: {part}"]
    assert result == "ok", result


@pytest.mark.parametrize(
    "part", ["activation", "activation across a row", "loss", "metric", "metric of several sums", "optimizer"]
)
def test_where_a_part_is_not_compiled_the_plan_says_so(planted: dict[str, list[str]], part: str) -> None:
    for backend in ("numba", "cupy"):
        assert planted[f"{backend}: {part}"][1], backend


def rows() -> dict[str, list[str]]:
    """Kind -> files, according to the first table of the document."""
    table = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    return {kind.strip(): re.findall(r"`([^`]+)`", files) for kind, files in table}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
def test_the_document_names_the_files_that_were_touched(part) -> None:
    said = rows()[part.kind]
    assert 1 <= len(said) <= AT_MOST
    for file in part.files:
        assert any(re.fullmatch(re.escape(name).replace("<name>", r"\w+"), file) for name in said), (file, said)


def titled(document: Path) -> dict[str, str]:
    """The blocks of a document that are files: path -> text."""
    found = re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', document.read_text(), re.MULTILINE | re.DOTALL)
    return dict(found)


def test_the_kernel_of_the_worked_example_is_right_in_every_version(extended: tuple[Path, dict[str, str]]) -> None:
    """Reference, NumPy, Numba and CUDA on the CPU are asked what every kernel is asked; then it trains."""
    root, variables = extended
    assert len(titled(WORKED)) == 5
    commands = re.findall(r"^```sh\n(.*?)^```", WORKED.read_text(), re.MULTILINE | re.DOTALL)
    asked = [sys.executable, *commands[0].split()[1:], "-v", "-p", "no:cacheprovider"]
    said = ""
    for command in (asked, [sys.executable, "-W", "error", "use.py"]):
        done = processes.run(command, cwd=root, env=variables)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        said += done.stdout
    for version in ("numpy", "numba", "CUDA on the CPU"):
        assert f"[{version}-activation-values-squareplus] PASSED" in said
