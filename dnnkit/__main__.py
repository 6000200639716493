"""The command `dnnkit`, also run by `python -m dnnkit`."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line, or print one line if its dependencies are not installed."""
    if missing := [name for name in ("typer", "rich") if find_spec(name) is None]:
        print(
            f"dnnkit: the command line needs {' and '.join(missing)}: pip install {' '.join(missing)}", file=sys.stderr
        )
        sys.exit(2)
    from dnnkit import cli

    cli.main()


if __name__ == "__main__":
    main()
