"""`dnnkit compile`: ahead-of-time compilation for containers, CI images and clusters."""

from typing import Annotated

import typer

from dnnkit.cli.output import Speaker


def compile_ahead(
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.", show_default="both")] = None,
    backend: Annotated[
        str | None, typer.Option(help="Backend; see `dnnkit backends`.", show_default="DNNKIT_BACKEND or auto")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only errors.")] = False,
) -> None:
    """Fill the cache of compiled kernels, so that later training on this kind of processor compiles nothing.

    The cache is in `$DNNKIT_CACHE_DIR`, or else in the user's cache folder. It serves processors of the same kind.

    Examples:

        dnnkit compile

        DNNKIT_CACHE_DIR=/opt/dnnkit dnnkit compile --dtype float32
    """
    import logging
    import os

    from dnnkit.backends import get_backend
    from dnnkit.files import cache_folder, check_writable
    from dnnkit.network.checks import check_dtype
    from dnnkit.warming import Compiled, warm_up

    if quiet:
        logging.getLogger("dnnkit").setLevel(logging.ERROR)
    if os.environ.get("DNNKIT_CACHE_DIR"):
        check_writable(cache_folder())  # a fallback folder would not be found by later runs
    say, chosen = Speaker(quiet), get_backend(backend)
    checked = None if dtype is None else check_dtype(dtype)

    def report(part: Compiled) -> None:
        if part.seconds >= 0.1:
            say(f"{part.dtype}: {part.what}, {part.seconds:.1f} s")

    seconds = sum(part.seconds for part in warm_up(checked, backend=chosen, say=report))
    say(f"backend {chosen.name}: everything is compiled, after {seconds:.1f} s")
