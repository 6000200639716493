"""`python -m dnnkit.testing NAME`: check a backend and print what it supports."""

import argparse
import sys

from dnnkit.errors import DnnkitError
from dnnkit.testing import check_backend


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 0 if everything passed, 1 if not, 2 if there is no such backend."""
    parser = argparse.ArgumentParser(prog="python -m dnnkit.testing", description="Check a backend.")
    parser.add_argument("name", help="numpy, numba, cupy, cupy:1, or the backend of an installed package")
    try:
        check_backend(parser.parse_args(arguments).name)
    except AssertionError:
        return 1  # the printed table names each failure
    except DnnkitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
