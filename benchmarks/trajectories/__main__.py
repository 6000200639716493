"""The command; see the package."""

import argparse
import json
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.trajectories import __doc__ as description
from benchmarks.trajectories.environment import code, differences, environment
from benchmarks.trajectories.networks import Network, networks
from benchmarks.trajectories.training import DTYPES, SETTINGS, Setting, digest, flat, train

FORMAT = 1
DIGITS = 6
"""Hexadecimal digits that are stored of the hash of each part."""

EQUAL, DIFFERENT, NOTHING_COMPARED = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trajectories",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in (("record", "train, and write the hashes"), ("compare", "train, and compare with a record")):
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("file", type=Path, metavar="FILE.json")
        command.add_argument("--only", default="*", metavar="PATTERN", help="only trajectories whose name contains it")
        command.add_argument(
            "--backend", choices=sorted({s.backend for s in SETTINGS}), help="only trajectories of this backend"
        )
    options = parser.parse_args(arguments)
    chosen = {name: job for name, job in trajectories() if matches(name, options)}
    if not chosen:
        return fail(f"no trajectory is called {options.only!r}; names are like {next(iter(trajectories()))[0]!r}")
    return (record if options.command == "record" else compare)(options, chosen)


# -- the two commands ------------------------------------------------------------------------------------------------


def record(options: argparse.Namespace, chosen: "dict[str, Job]") -> int:
    """Record the current results."""
    found = hashes(chosen)
    if failed := [line for name, line in found.items() if line.startswith(FAILED)]:
        return fail(f"nothing is recorded, for {len(failed)} of {len(found)} trajectories {failed[0]}")
    kept = {"format": FORMAT, "code": code(), "environment": environment(), "parts": PARTS, "trajectories": found}
    try:
        options.file.parent.mkdir(parents=True, exist_ok=True)
        options.file.write_text(json.dumps(kept, indent=0) + "\n")
    except OSError as error:
        return fail(f"cannot write {options.file}: {error.strerror}")
    print(f"{len(found)} trajectories recorded in {options.file}")
    return EQUAL


def compare(options: argparse.Namespace, chosen: "dict[str, Job]") -> int:
    """Compare the current results with the recorded ones."""
    try:
        kept = json.loads(options.file.read_text())
        if kept["format"] != FORMAT or kept["parts"] != PARTS:
            return fail(f"{options.file} was recorded by another version of this program: record again")
        there, commit, recorded = kept["environment"], kept["code"]["commit"], kept["trajectories"]
    except OSError as error:
        return fail(f"cannot read {options.file}: {error.strerror}")
    except (ValueError, KeyError, TypeError) as error:
        return fail(f"{options.file} is not a record of trajectories: {error!r}")
    if found := differences(there, environment()):
        return fail(
            f"{options.file} was recorded elsewhere, where other bits are to be expected:\n  "
            + "\n  ".join(found)
            + f"\nGo back to the code of then (commit {commit}), record here, and compare with that"
        )
    recorded = {name: line for name, line in recorded.items() if matches(name, options)}
    now = hashes(chosen)
    names = sorted({*recorded, *now})
    found = [said for name in names if (said := difference(name, recorded.get(name), now.get(name)))]
    if not found:
        print(f"{len(names)} trajectories equal bit for bit")
        return EQUAL
    print("\n".join([*found, f"{len(found)} of {len(names)} trajectories differ or are missing"]))
    return DIFFERENT


def difference(name: str, before: str | None, now: str | None) -> str | None:
    """Describe the difference of a trajectory; None if it is unchanged."""
    if before is None:
        return f"{name}: not in the record"
    if now is None:
        return f"{name}: recorded, but there is no such trajectory now"
    if before == now:
        return None
    if now.startswith(FAILED):
        return f"{name}: {now}"
    pairs = zip(PARTS, before.split()[1:], now.split()[1:], strict=False)
    parts = [part for part, one, other in pairs if one != other]
    return f"{name}: other {', '.join(parts) or 'bits'}"


# -- what is trained -------------------------------------------------------------------------------------------------

Job = tuple[Network, str, Setting]

PARTS = ["initial", "parameters", "state", "history", "predictions", "evaluation", "gradients", "continued"]
FAILED = "training failed: "


def trajectories() -> Iterable[tuple[str, Job]]:
    """Yield every trajectory with its name: network, dtype, backend, threads, and partition."""
    for network in networks():
        for dtype in DTYPES:
            for setting in SETTINGS:
                yield f"{network.name} | {dtype} {setting}", (network, dtype, setting)


def matches(name: str, options: argparse.Namespace) -> bool:
    """Return whether the options select the trajectory."""
    backend = name.rpartition(" | ")[2].split()[1]
    return options.backend in (None, backend) and fnmatchcase(name, f"*{options.only}*")


def hashes(chosen: "dict[str, Job]") -> dict[str, str]:
    """Return for each trajectory the SHA-256 of everything, then the first digits of each part's."""
    found = {}
    for number, (name, job) in enumerate(chosen.items(), 1):
        show(f"{number}/{len(chosen)} {name}")
        found[name] = line(job)
    show("")
    return found


def line(job: Job) -> str:
    """Return a trajectory's hashes, or the error."""
    try:
        parts = train(*job)
    except Exception as error:  # an error is a difference; continue with the others
        return f"{FAILED}{type(error).__name__}: {error}"
    assert list(parts) == PARTS
    return " ".join([digest(flat(parts)), *(digest(parts[part])[:DIGITS] for part in PARTS)])


def show(progress: str) -> None:
    """Show progress on a terminal, replacing the previous line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)


def fail(why: str) -> int:
    print(f"error: {why}", file=sys.stderr)
    return NOTHING_COMPARED


if __name__ == "__main__":
    sys.exit(main())
