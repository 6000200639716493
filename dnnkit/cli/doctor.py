"""`dnnkit doctor`: what works here, what does not, and what to do about it."""

import typer


def doctor() -> None:
    """Check versions, backends, BLAS and its threads, compiled kernels, data folder and GPU.

    Exit status 0 if nothing needs to be done, 1 if something asked for cannot work.
    """
    from rich.console import Console
    from rich.table import Table

    from dnnkit.doctor import examine

    marks = {"good": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "problem": "[red]problem[/red]"}
    findings = examine()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        text = finding.message + (f"\n→ {finding.advice}" if finding.advice else "")
        table.add_row(marks[finding.state], finding.subject, text)
    Console(highlight=False).print(table)
    problems = sum(finding.state == "problem" for finding in findings)
    typer.echo(f"\n{problems} problem{'s' * (problems != 1)}" if problems else "\nnothing to mend")
    if problems:
        raise typer.Exit(1)
