"""Run the notebooks, so that their outputs are those of the current dnnkit, and make the exercises from them.

    python examples/build.py                        all of them
    python examples/build.py 1_one_neuron           one of them
    python examples/build.py --exercises-only       without running them

Run it with MNIST in `DNNKIT_DATA_DIR`, on an idle machine: the notebooks show times.
"""

import argparse
import time
from pathlib import Path

import nbformat
from exercises import make_exercise
from nbclient import NotebookClient

HERE = Path(__file__).parent


def execute(path: Path) -> float:
    """Run a notebook in place; return its run time in seconds."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        coalesce_streams=True,  # one output per cell, not one per printed line
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    seconds = time.perf_counter() - start
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day, which change with each run
    nbformat.write(notebook, path)
    return seconds


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="Names of notebooks, without suffix (default: all).")
    parser.add_argument("--exercises-only", action="store_true")
    arguments = parser.parse_args()
    for path in sorted(HERE.glob("[0-9]_*.ipynb")):
        if arguments.names and path.stem not in arguments.names:
            continue
        if not arguments.exercises_only:
            print(f"{path.stem}: {execute(path):.1f} s", flush=True)
        exercise = make_exercise(nbformat.read(path, as_version=4))
        nbformat.write(nbformat.from_dict(exercise), HERE / "exercises" / path.name)


if __name__ == "__main__":
    main()
