"""`python -m dnnkit.bench.peers`, or `python dnnkit/bench/peers` with any interpreter that has NumPy."""

import importlib
import importlib.util
import os
import sys

ALONE = "dnnkit_bench_peers"
"""Name of the package when it is run as a folder, where its full name, which needs dnnkit, is not available."""
CHILDREN = {"run-one": "run_one", "stay": "stay"}


def package() -> str:
    """Return the name of this file's package; when run as a folder, the package is created from the folder."""
    if __package__:
        return __package__
    folder = os.path.dirname(os.path.abspath(__file__))
    # Python puts the folder on the path, where `machine.py` or `plots.py` could shadow libraries.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != folder]
    initial = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(ALONE, initial, submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[ALONE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return ALONE


def main() -> int:
    """Run as a child (`run-one`, `stay`) or as the parent; only the parent needs more than NumPy."""
    arguments = sys.argv[1:]
    child = CHILDREN.get(arguments[0]) if arguments else None
    module = importlib.import_module(f"{package()}.{child or 'parent'}")
    status: int = module.main(arguments[1:] if child else arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
