"""Options of tables that several commands share, as Typer annotations."""

from typing import Annotated

import typer

TABLES = "Tables"
"""Heading of these options in the help."""

OF_TABLES = ("target", "task", "ignore", "categories", "held_out", "delimiter", "decimal", "encoding", "missing")
"""Names of the options."""

Target = Annotated[
    list[str] | None,
    typer.Option(help="Column to predict; for several numbers, repeat or separate by commas.", rich_help_panel=TABLES),
]
Task = Annotated[
    str | None,
    typer.Option(
        help="What to predict: classes or numbers.",
        show_default="classes for text, booleans, few distinct integers",
        rich_help_panel=TABLES,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(help="Columns to leave out; repeat, or separate by commas.", rich_help_panel=TABLES),
]
Categories = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns to treat as categories whatever their values, such as post codes.", rich_help_panel=TABLES
    ),
]
HeldOut = Annotated[float, typer.Option(help="Share of the rows held out for scoring.", rich_help_panel=TABLES)]
Delimiter = Annotated[
    str | None, typer.Option(help="Separator of cells.", show_default="detected", rich_help_panel=TABLES)
]
Decimal = Annotated[str | None, typer.Option(help="Decimal mark.", show_default="detected", rich_help_panel=TABLES)]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Encoding of a text file, such as latin-1.", show_default="its BOM, or utf-8", rich_help_panel=TABLES
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        help="Text of a missing value, in addition to empty cells, NA, NaN, null, ...; repeat for more.",
        rich_help_panel=TABLES,
    ),
]
