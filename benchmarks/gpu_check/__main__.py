"""The command; see the package."""

import argparse
import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.gpu_check import bandwidth, correctness, training
from dnnkit.backends import get_backend
from dnnkit.bench.peers.machine import describe
from dnnkit.errors import BackendUnavailable

PACKAGES = ("numpy", "numba", "scipy")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    parser.add_argument("--device", default="cupy", help="cupy, or cupy:1 and so on")
    parser.add_argument("--megabytes", type=float, default=256, help="size of an array whose traffic is timed")
    parser.add_argument("--samples", type=int, default=60000, help="images to train on")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args(arguments)
    try:
        backend = get_backend(options.device)
    except BackendUnavailable as error:
        print(f"no GPU to check: {error}", file=sys.stderr)
        return 2
    found: dict[str, Any] = {"machine": {**describe(), **gpu(backend)}, "packages": packages()}
    print(f"{backend.device}; CuPy {backend.version}", flush=True)

    checks = [*correctness.operations(backend), *correctness.trainings(backend, samples=min(1437, options.samples))]
    wrong = [check for check in checks if not check["passed"]]
    worst = sorted(checks, key=lambda check: -check["error"] / (check["bound"] or 1.0))[:10]
    found["correctness"] = {"checks": len(checks), "wrong": wrong, "closest_to_their_bound": worst}
    write(options.out, found)
    print(f"{len(checks)} checks, {len(wrong)} wrong", flush=True)
    for check in wrong:
        print(f"  {check['check']}, {check['dtype']}: {check['error']:.3g}, at most {check['bound']:.3g}")
    if wrong:
        return 1

    found["kernels"] = []
    for record in bandwidth.measure(backend, int(options.megabytes * 2**20) // 1024 * 1024):
        found["kernels"].append(record)
        speed = f"{record['bytes_per_second'] / 1e9:8.1f} GB/s {record['share']:6.1%}"
        print(f"{speed}  {record['kernel']}, {record['dtype']}", flush=True)
    write(options.out, found)
    found["training"] = training.train(backend, options.samples, options.epochs)
    write(options.out, found)
    seconds = ", ".join(f"{value:.3f}" for value in found["training"]["seconds_an_epoch"])
    print(f"784-128-10: {seconds} s an epoch, test accuracy {found['training']['test_accuracy']:.4f}")
    return 0


def gpu(backend: Any) -> dict[str, Any]:
    """What the numbers are of."""
    cupy = backend.xp
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(backend.number)
    free, total = backend.memory()
    return {
        "gpu": backend.device,
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "multiprocessors": properties["multiProcessorCount"],
        "memory": total,
        "memory_free": free,
        "driver_cuda": runtime.driverGetVersion(),
        "driver": driver(),
        "cuda": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
    }


def driver() -> str | None:
    """The driver's own version, as its kernel module tells it."""
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0].strip() if path.exists() else None


def packages() -> dict[str, str | None]:
    """Versions of what computed the reference; None for what is not here."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
