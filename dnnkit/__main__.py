"""`python -m dnnkit`: the same command line as `dnnkit`."""

from dnnkit.cli import main

main()
