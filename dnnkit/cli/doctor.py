"""`dnnkit doctor`: what works here, what does not, and what to do about it."""

import typer


def doctor() -> None:
    """Check versions, backends, BLAS and its threads, compiled kernels, data folder and GPU.

    Exit status 0 if nothing needs to be done, 1 if something asked for cannot work.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dnnkit.doctor import examine

    marks = {"good": Text("ok", "green"), "note": Text("note", "yellow"), "problem": Text("problem", "red")}
    findings = examine()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")  # whole paths and commands: they are there to be copied
    for finding in findings:
        text = finding.message + (f"\n→ {finding.advice}" if finding.advice else "")
        table.add_row(marks[finding.state], finding.subject, text)
    Console(highlight=False, markup=False).print(table)  # to rich, the [gpu] of a pip command would be markup
    problems = sum(finding.state == "problem" for finding in findings)
    typer.echo(f"\n{problems} problem{'s' * (problems != 1)}" if problems else "\nnothing to mend")
    if problems:
        raise typer.Exit(1)
