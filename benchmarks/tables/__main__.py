"""The command; see the package."""

import argparse
import sys
from pathlib import Path

from benchmarks.tables import __doc__ as description
from benchmarks.tables import records, report, timing
from benchmarks.tables.catalogue import CATALOGUE
from benchmarks.tables.loading import REPEATS, load
from benchmarks.tables.measuring import jobs
from benchmarks.tables.methods import METHODS, get
from benchmarks.tables.running import run
from benchmarks.tables.tuning import TUNING
from dnnkit.errors import DataError, DnnkitError

RECORDS, TIMES = Path("runs/tables/records.jsonl"), Path("runs/tables/times.jsonl")
OUT = Path("benchmarks/results")


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        return int(options.command(options))
    except DnnkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers()
    every = commands.add_parser("all", help="run, time and report; the default")
    every.set_defaults(command=do_all)
    listed = commands.add_parser("list", help="list the data sets with their sources and licenses")
    listed.set_defaults(command=show_list)
    fits = commands.add_parser("run", help="run the missing fits")
    fits.set_defaults(command=make_fits)
    timed = commands.add_parser("time", help="measure seconds to fit and µs per row; needs an idle machine")
    timed.set_defaults(command=time_fits)
    reporting = commands.add_parser("report", help="write the report of what has been measured")
    reporting.set_defaults(command=write_report)
    forget = commands.add_parser("forget", help="delete the records of methods, to measure them again")
    forget.set_defaults(command=forget_methods)
    forget.add_argument("methods", nargs="+", metavar="METHOD")
    for command in (every, fits, forget, reporting):
        command.add_argument("--records", type=Path, default=RECORDS, metavar="FILE", help=f"default: {RECORDS}")
    for command in (every, timed, reporting):
        command.add_argument("--times", type=Path, default=TIMES, metavar="FILE", help=f"default: {TIMES}")
    for command in (every, reporting):
        command.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=f"default: {OUT}")
    for command in (every, fits, timed):
        command.add_argument(
            "--method", action="append", metavar="NAME", help=f"one of {', '.join(METHODS)}; default: all"
        )
    for command in (every, fits):
        command.add_argument("--set", action="append", metavar="NAME", help="data set; default: all")
        command.add_argument("--repeats", type=int, default=REPEATS, help=f"default: {REPEATS}")
        command.add_argument("--processes", type=int, default=1, help="processes of one thread each; default: 1")
    words = sys.argv[1:] if arguments is None else arguments
    return parser.parse_args(words or ["all"])


def show_list(options: argparse.Namespace) -> int:
    """Print a line for each data set."""
    for name in CATALOGUE:
        facts = load(name).facts()
        kind = f"{facts['classes']} classes" if facts["classes"] else "regression"
        print(
            f"{name:18} {facts['rows']:6} rows {facts['columns']:4} columns ({facts['categorical']} categorical, "
            f"{facts['rows with missing values']} rows with missing values) {kind:11} {facts['source']} "
            f"[{facts['licence']}]{' tuning' if name in TUNING else ''}"
        )
    return 0


def do_all(options: argparse.Namespace) -> int:
    """Run, time and report; stop at the first of them that fails."""
    return make_fits(options) or time_fits(options) or write_report(options)


def methods(options: argparse.Namespace) -> list[str]:
    """Return the names of the selected methods."""
    chosen = [get(name) for name in options.method] if options.method else list(METHODS.values())
    for method in chosen:
        if not method.installed:
            raise DataError(f"{method.label} needs a package: pip install {method.package}, or see --method")
    return [method.name for method in chosen]


def make_fits(options: argparse.Namespace) -> int:
    """Run missing fits; the status is 1 if fits failed or remain."""
    known = records.read(options.records)
    wanted = jobs(options.set or CATALOGUE, methods(options), options.repeats)
    todo = [job for job in wanted if job.key not in known]
    print(f"{len(wanted) - len(todo)} of {len(wanted)} fits are already in {options.records}", file=sys.stderr)
    made, failed = run(todo, options.records, options.processes)
    print(f"{made} fits run, {len(failed)} of them failed, {len(todo) - made} remain", file=sys.stderr)
    return int(bool(failed) or made < len(todo))


def time_fits(options: argparse.Namespace) -> int:
    """Time missing fits, one round after the other."""
    left = 0
    for number in range(timing.ROUNDS):
        todo = timing.round_jobs(number, records.read(options.times), methods(options))
        made, failed = run(todo, options.times, 1, timing.time)
        print(
            f"round {number + 1} of {timing.ROUNDS}: {made} fits timed, {len(failed)} of them failed", file=sys.stderr
        )
        left += len(failed) + len(todo) - made
        if made < len(todo):
            break
    return int(left > 0)


def write_report(options: argparse.Namespace) -> int:
    """Write the report and print its headline."""
    found = report.build(list(records.read(options.records).values()), list(records.read(options.times).values()))
    for path in report.write(found, options.out):
        print(path)
    print(report.headline(found))
    return 0


def forget_methods(options: argparse.Namespace) -> int:
    """Delete records of methods from the file."""
    names = [get(name).name for name in options.methods]
    print(f"{records.forget(options.records, names)} records deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
