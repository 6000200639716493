"""`dnnkit doctor`: check the installation and suggest fixes."""

import typer


def doctor() -> None:
    """Check versions, backends, BLAS and its threads, compiled kernels, data folder and GPU.

    Exit status 0 if nothing needs to be done, 1 if something that was requested cannot work.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dnnkit.doctor import examine

    marks = {"good": Text("ok", "green"), "note": Text("note", "yellow"), "problem": Text("problem", "red")}
    findings = examine()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")  # paths and commands stay whole, to be copied
    for finding in findings:
        text = finding.message + (f"\n→ {finding.advice}" if finding.advice else "")
        table.add_row(marks[finding.state], finding.subject, text)
    Console(highlight=False, markup=False).print(table)  # rich would read the [gpu] of a pip command as markup
    problems = sum(finding.state == "problem" for finding in findings)
    typer.echo(f"\n{problems} problem{'s' * (problems != 1)}" if problems else "\nNo problems found.")
    if problems:
        raise typer.Exit(1)
