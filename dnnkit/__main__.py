"""The command `dnnkit`, which `python -m dnnkit` is, too."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line; one line where dnnkit was installed without what that needs."""
    if missing := [name for name in ("typer", "rich") if find_spec(name) is None]:
        print(
            f"dnnkit: the command line needs {' and '.join(missing)}: pip install {' '.join(missing)}", file=sys.stderr
        )
        sys.exit(2)
    from dnnkit import cli

    cli.main()


if __name__ == "__main__":
    main()
