"""`dnnkit predict`: predictions of a trained network or estimator."""

from pathlib import Path
from typing import Annotated

import typer

from dnnkit.cli.output import json_output


def predict(
    run: Annotated[
        Path, typer.Argument(help="A run folder, as `dnnkit train` or `net.save` writes it.", metavar="RUN")
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="Samples: .npy, .npz with one array, or .csv of numbers, one sample per line. For a run on a table: a "
            "table, whose columns are matched by name.",
            metavar="FILE",
        ),
    ],
    backend: Annotated[str | None, typer.Option(help="Backend; see `dnnkit backends`.")] = None,
    json: Annotated[
        str | None, typer.Option(help="Write predictions as JSON to this file; - is standard output.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write predictions to this .csv or .npz file.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Separator of cells in a table.", show_default="detected")
    ] = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal mark in a table.", show_default="detected")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Text encoding of a table, such as latin-1.", show_default="its BOM, or utf-8")
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(help="Text of a missing value in a table, in addition to empty cells, NA, ...; repeat for more."),
    ] = None,
) -> None:
    """Print the prediction for each sample of a file: class and probability, or the outputs.

    Examples:

        dnnkit predict runs/digits samples.npy

        dnnkit predict runs/digits samples.csv --json predictions.json

        dnnkit predict runs/houses houses.csv --out prices.csv
    """
    from dnnkit.cli.predict_samples import predictions_of_samples
    from dnnkit.cli.predict_table import is_run_on_table, predictions_of_table
    from dnnkit.cli.predictions import check_out, report
    from dnnkit.tables.reading import TextOptions

    check_out(out)
    with json_output(json) as result:
        if is_run_on_table(run):
            text = TextOptions(delimiter, decimal, encoding, tuple(missing or ()))
            predicted = predictions_of_table(run, file, backend, text)
        else:
            predicted = predictions_of_samples(run, file, backend)
        report(predicted, result, out)
