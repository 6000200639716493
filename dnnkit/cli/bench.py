"""`dnnkit bench`: benchmarks of activations, kernels, training steps, other libraries and random networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnnkit.cli.measuring import console, listed, measuring
from dnnkit.cli.output import json_output

if TYPE_CHECKING:
    from dnnkit.bench.selection import Selection

app = typer.Typer(
    help="Benchmark activations, kernels, training steps and other libraries; compare results.", no_args_is_help=True
)

Names = Annotated[list[str] | None, typer.Option(help="Names; repeat, or separate by commas.", show_default="all")]
Backends = Annotated[
    list[str] | None,
    typer.Option("--backend", help="Backends; repeat, or separate by commas.", show_default="all available"),
]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer rounds and shorter training: under a minute.")]
Json = Annotated[str | None, typer.Option(help="Write the results as JSON to this file; - is standard output.")]
Csv = Annotated[str | None, typer.Option(help="Write the rows as CSV to this file; - is standard output.")]
Report = Annotated[
    Path | None, typer.Option(help="Write an HTML report to this file: sortable tables, plots, machine description.")
]
Full = Annotated[bool, typer.Option("--full", help="Print every table, not only the most important.")]
Rounds = Annotated[int | None, typer.Option(help="Measurement rounds per case.", show_default="15, quick 7")]


@app.command()
def activations(
    activation: Names = None,
    add: Annotated[
        list[str] | None, typer.Option(help='A custom activation, "swish=x/(1+exp(-x))"; repeat for more.')
    ] = None,
    backend: Backends = None,
    seeds: Annotated[int, typer.Option(help="Training runs per activation, to measure the spread.")] = 5,
    width: Annotated[int, typer.Option(help="Units per hidden layer of the digits network.")] = 128,
    depth: Annotated[int, typer.Option(help="Hidden layers of the digits network.")] = 1,
    epochs: Annotated[int | None, typer.Option(help="Epochs on the digits.", show_default="60, quick 25")] = None,
    rounds: Rounds = None,
    quick: Quick = False,
    json: Json = None,
    csv: Csv = None,
    report: Report = None,
    full: Full = False,
) -> None:
    """Measure activations on every backend: time per element, time per training step, and time to learn a task.

    Examples:

        dnnkit bench activations --report report.html

        dnnkit bench activations --quick --activation relu,gelu --backend numba --json -

        dnnkit bench activations --add "mish=x*tanh(log(1+exp(x)))"
    """
    from dataclasses import replace

    from dnnkit.bench import activations as speed
    from dnnkit.bench import learning
    from dnnkit.bench.selection import activations_from_text, select_activations
    from dnnkit.network.checks import check_count

    added = activations_from_text(add or [])
    selection = replace(
        _selection(backend, quick, rounds),
        activations=(*select_activations(listed(activation)), *added),
        added=added,
        seeds=check_count("--seeds", seeds),
        width=check_count("--width", width),
        depth=check_count("--depth", depth),
        iterations=500 if quick else 2000,
        epochs=check_count("--epochs", epochs if epochs is not None else (25 if quick else 60)),
    )
    settings = {
        "activations": selection.activations,
        "seeds": seeds,
        "width": width,
        "depth": depth,
        "epochs": selection.epochs,
        "iterations": selection.iterations,
    }
    with measuring("activations", selection, settings, json, csv, report, full=full) as (results, stage):
        speed.measure(selection, results, stage)
        learning.measure(selection, results, stage)


@app.command()
def kernels(
    kernel: Names = None,
    dtype: Names = None,
    backend: Backends = None,
    rounds: Rounds = None,
    quick: Quick = False,
    json: Json = None,
    csv: Csv = None,
    report: Report = None,
    full: Full = False,
) -> None:
    """Measure kernels as fractions of the memory bandwidth and FLOP rate measured in the same run."""
    from dnnkit.bench import kernels as measured
    from dnnkit.errors import ConfigurationError

    dtypes = tuple(listed(dtype) or (["float32"] if quick else ["float32", "float64"]))
    if not set(dtypes) <= {"float32", "float64"}:
        raise ConfigurationError(f"--dtype {','.join(dtypes)}: expected float32 or float64")
    chosen, selection = tuple(listed(kernel) or ()), _selection(backend, quick, rounds)
    with measuring(
        "kernels", selection, {"kernels": chosen or "all", "dtypes": dtypes}, json, csv, report, full=full
    ) as (
        results,
        stage,
    ):
        measured.measure(selection, chosen, dtypes, results, stage)


@app.command()
def step(
    network: Annotated[
        list[str] | None, typer.Option(help='Network-name prefix, "784-128"; repeat for more.', show_default="all")
    ] = None,
    backend: Backends = None,
    rounds: Rounds = None,
    quick: Quick = False,
    json: Json = None,
    csv: Csv = None,
    report: Report = None,
    full: Full = False,
) -> None:
    """Measure training steps of several networks on every backend, compared with their arithmetic lower bounds."""
    from dnnkit.bench import steps

    names, selection = steps.names(network), _selection(backend, quick, rounds)
    with measuring("step", selection, {"networks": names}, json, csv, report, full=full) as (results, stage):
        steps.measure(selection, names, results, stage)


@app.command()
def peers(
    peer: Names = None,
    work: Annotated[list[str] | None, typer.Option(help="Workloads, such as 1 or 7a; see docs/speed.md.")] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Processes per peer and workload.", show_default="5, quick 1")
    ] = None,
    data: Annotated[str, typer.Option(help="Training data: mnist or random.")] = "random",
    quick: Annotated[
        bool, typer.Option("--quick", help="One process each, few samples, no variants: 1 to 2 minutes.")
    ] = False,
    json: Json = None,
    csv: Csv = None,
    report: Report = None,
    full: Full = False,
) -> None:
    """Measure dnnkit and other installed libraries: PyTorch, JAX, Keras, tinygrad, Thinc, ..."""
    from dnnkit.bench import peer_results as measured
    from dnnkit.network.checks import check_count

    count = check_count("--rounds", rounds if rounds is not None else (1 if quick else 5))
    chosen = listed(peer) or []
    options = ["--rounds", str(count), "--data", data, "--twins", (chosen or [measured.OWN])[0]]
    options += ["--samples", "3000", "--epochs", "1", "--product", "512"] if quick else []
    if quick or work:
        options += ["--works", ",".join(listed(work) or ["1", "6"])]
    if chosen:
        options += ["--peers", ",".join(chosen)]
    elif quick:
        options += ["--plain"]
    measured.check(options)
    with measuring("peers", None, {"options": options}, json, csv, report, full=full) as (results, _):
        measured.measure(options, results)


@app.command()
def random(
    count: Annotated[int, typer.Option(help="Number of networks.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the networks: the same seed draws the same ones.")] = 0,
    peer: Annotated[
        list[str] | None,
        typer.Option(help="Libraries to compare with; repeat, or separate by commas.", show_default="jax,torch"),
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Measurement rounds.", show_default="3, quick 1")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One round of shorter training.")] = False,
    json: Json = None,
    csv: Csv = None,
    report: Report = None,
    full: Full = False,
    markdown: Annotated[
        str | None, typer.Option(help="Write Markdown with every column to this file, and a plot next to it.")
    ] = None,
) -> None:
    """Measure random dense networks in dnnkit, JAX and PyTorch, where installed; all run the same training steps.

    Examples:

        dnnkit bench random --count 20 --seed 0 --markdown random.md

        dnnkit bench random --count 5 --seed 7 --quick --peer jax
    """
    from dnnkit.bench.peers.works import PRODUCT
    from dnnkit.bench.random_networks import draw, measure
    from dnnkit.network.checks import check_count

    peers = measure.choose(",".join(listed(peer) or []) or None)
    chosen = check_count("--rounds", rounds if rounds is not None else (1 if quick else 3))
    seconds, size = (0.02, 512) if quick else (0.15, PRODUCT.size)
    works = draw.networks(check_count("--count", count), check_count("--seed", seed, 0), seconds)
    settings = {"count": count, "seed": seed, "peers": [peer.name for peer in peers], "rounds": chosen}
    settings |= {"seconds per round, guessed": seconds, "width of the product": size}
    with measuring("random", None, settings, json, csv, report, markdown, full=full) as (results, stage):
        measure.Run(peers, results).measure(works, chosen, size, stage)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Results written by `--json`.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="Later results of the same benchmark.", metavar="B")],
    json: Json = None,
    full: Full = False,
) -> None:
    """Compare two result files row by row: is B faster than A, slower, or within noise?"""
    from dnnkit.bench import compare, results
    from dnnkit.bench.terminal import show_table

    found, notices, noise = compare.compare(results.read(a), results.read(b))
    with json_output(json) as written:
        written |= compare.to_json(found, notices, noise)
        typer.echo(compare.words(found, noise))
        shown = compare.table(found, noise, full)
        if shown.lines:
            show_table(shown, console())
        for notice in notices:
            typer.echo(f"note: {notice}")


@app.command()
def history(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files written by `--json`, or folders of them.",
            metavar="FILE|FOLDER",
            show_default="benchmarks/results",
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Show changes from run to run: each result, the previous one, and whether the machine is the same.

    Examples:

        dnnkit bench history

        dnnkit bench history before.json after.json
    """
    from dnnkit.bench import history as runs
    from dnnkit.bench.terminal import show_table

    found, others = runs.find(paths or [Path("benchmarks/results")])
    changes = runs.changes(found)
    with json_output(json) as written:
        written |= {"runs": runs.to_json(changes), "other_files": others}
        screen = console()
        show_table(runs.table(changes), screen)
        for line in runs.lines(changes):
            screen.print(line, highlight=False)
        if others:
            typer.echo(f"{len(others)} JSON files are not results of `dnnkit bench` and were skipped")


def _selection(backend: list[str] | None, quick: bool, rounds: int | None) -> "Selection":
    from dataclasses import replace

    from dnnkit.bench.selection import QUICK, USUAL, Selection, select_backends
    from dnnkit.network.checks import check_count

    effort = QUICK if quick else USUAL
    if rounds is not None:
        effort = replace(effort, rounds=check_count("--rounds", rounds))
    return Selection(select_backends(listed(backend)), effort=effort)
