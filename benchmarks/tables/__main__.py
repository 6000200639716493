"""The command; see the package."""

import argparse
import sys

from benchmarks.tables import __doc__ as description
from benchmarks.tables.catalogue import CATALOGUE
from benchmarks.tables.loading import load
from benchmarks.tables.tuning import TUNING
from dnnkit.errors import DnnkitError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("list", help="the data sets, where they come from, their licences")
    options = parser.parse_args(arguments)
    try:
        return {"list": show_list}[options.command or "list"](options)
    except DnnkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def show_list(options: argparse.Namespace) -> int:
    """Print a line for each data set."""
    for name in CATALOGUE:
        facts = load(name).facts()
        kind = f"{facts['classes']} classes" if facts["classes"] else "regression"
        print(
            f"{name:18} {facts['rows']:6} rows {facts['columns']:4} columns ({facts['categorical']} categorical, "
            f"{facts['rows with missing values']} rows with missing values) {kind:11} {facts['source']} "
            f"[{facts['licence']}]{' tuning' if name in TUNING else ''}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
