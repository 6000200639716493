"""`dnnkit backends`: which backends work here, which is chosen, and why."""

import typer


def backends() -> None:
    """List the backends, and say which one a network gets here, and why."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from dnnkit.backends import available, choice, get_backend
    from dnnkit.backends.registry import AUTO

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
    chosen = choice()
    backend = get_backend()
    why = f"{chosen.origin}: {chosen.name}"
    if chosen.name == "auto":
        why += f", the first of {', '.join(AUTO)} that works"
    typer.echo(f"chosen: {backend.name} ({why})")
