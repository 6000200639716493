"""`python -m dnnkit.bench.peers`; or `python dnnkit/bench/peers`, with any interpreter that has NumPy."""

import importlib
import importlib.util
import os
import sys

ALONE = "dnnkit_bench_peers"
"""The package's name where it is run as a folder: without dnnkit, it cannot have its full name."""
CHILDREN = {"run-one": "run_one", "stay": "stay"}


def package() -> str:
    """The name of the package that this file is in; run as a folder, it is made from the folder."""
    if __package__:
        return __package__
    folder = os.path.dirname(os.path.abspath(__file__))
    # Python has put the folder on the path, where `machine.py` or `plots.py` could hide a library of that name.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != folder]
    initial = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(ALONE, initial, submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[ALONE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return ALONE


def main() -> int:
    """Be a child (`run-one`, `stay`) or the parent; only the parent needs more than NumPy."""
    arguments = sys.argv[1:]
    child = CHILDREN.get(arguments[0]) if arguments else None
    module = importlib.import_module(f"{package()}.{child or 'parent'}")
    status: int = module.main(arguments[1:] if child else arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
