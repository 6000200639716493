"""`dnnkit backends`: which backends work here, which is chosen, and why."""

import os

import typer


def backends() -> None:
    """List the backends, say which one a network gets here, and why, and where compiled kernels are kept."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from dnnkit.backends import available, choice, get_backend
    from dnnkit.backends.registry import AUTO
    from dnnkit.files import cache_folder

    console = Console(markup=False)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("backend", "works", "version", "device", "why not"):
        table.add_column(column, overflow="fold")
    for info in available():
        table.add_row(
            info.name,
            "yes" if info.available else "no",
            info.version or "",
            info.device or "",
            info.reason or "",
        )
    console.print(table)
    typer.echo(f"cache: {cache_folder()} ({'DNNKIT_CACHE_DIR' if os.environ.get('DNNKIT_CACHE_DIR') else 'default'})")
    chosen = choice()
    backend = get_backend()
    why = f"{chosen.origin}: {chosen.name}"
    if chosen.name == "auto":
        why += f", the first of {', '.join(AUTO)} that works"
    typer.echo(f"chosen: {backend.name} ({why})")
