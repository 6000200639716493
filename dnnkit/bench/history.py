"""Results of many runs in chronological order: changes from one to the next, and the machines."""

import json
from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any

from dnnkit.bench import compare, peer_results
from dnnkit.bench.cells import Cell, Table, text
from dnnkit.bench.random_networks.summary import geometric_mean
from dnnkit.bench.results import SCHEMA, Results, read
from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.files import largest, read_regular
from dnnkit.saves.schema import LARGEST_JSON

MACHINE = ("processor", "processors")
"""Properties that identify a machine; they are compared if both files have them."""
LARGEST = 3
"""Number of changes listed for each pair of runs."""


@dataclass(frozen=True)
class Run:
    """A results file."""

    name: str
    results: Results


@dataclass(frozen=True)
class Change:
    """A run compared with the latest earlier run of the same measurement."""

    run: Run
    before: Run | None
    """None for the first of its kind."""
    found: tuple[compare.Comparison, ...] = ()
    noise: float = 0.0

    @property
    def is_same_machine(self) -> bool:
        """Whether the processor and the number of processors are those of the earlier run."""
        if self.before is None:
            return True
        a, b = self.before.results.machine, self.run.results.machine
        return all(a.get(name) == b.get(name) for name in MACHINE) and _width(a) == _width(b)

    @property
    def ratio(self) -> float | None:
        """Geometric mean of dnnkit's times divided by those of the earlier run."""
        return _mean([item for item in self.found if _is_own(item)])

    @property
    def others(self) -> float | None:
        """The same for other libraries, whose changes come from the machine and from their versions."""
        return _mean([item for item in self.found if not _is_own(item)])

    def count(self, verdict: str) -> int:
        """Return the number of rows with a verdict."""
        return sum(item.verdict == verdict for item in self.found)

    @property
    def versions(self) -> list[str]:
        """Packages whose versions differ, as text."""
        if self.before is None:
            return []
        a, b = (run.results.machine.get("versions") or {} for run in (self.before, self.run))
        return [f"{name} {a[name]} → {b[name]}" for name in a if name in b and a[name] != b[name]]


def _is_own(item: compare.Comparison) -> bool:
    return str(item.row.case.get("peer", "dnnkit")).startswith("dnnkit")


def _mean(items: Sequence[compare.Comparison]) -> float | None:
    return geometric_mean([item.ratio.value for item in items]) if items else None


def find(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Return the results in files and folders, oldest first, and the names of JSON files that are not results.

    Arguments:
        paths: files, or folders whose JSON files are read.

    Raises:
        DataError: a path does not exist, a named file is not a result, or there are no results.
    """
    runs, others = [], []
    for path in paths:
        if not path.exists():
            raise DataError(f"no such path {path}: expected files written by `dnnkit bench ... --json`, or a folder")
        is_folder = path.is_dir()
        for file in sorted(path.glob("*.json")) if is_folder else [path]:
            results = _results(file, is_folder)
            if results is None:
                others.append(file.name)
            else:
                runs.append(Run(file.stem, results))
    if not runs:
        raise DataError(
            f"no results in {', '.join(map(str, paths))}: expected files written by `dnnkit bench ... --json`"
        )
    return sorted(runs, key=lambda run: run.results.date), others


def _results(file: Path, may_be_other: bool) -> Results | None:
    """Read results of `dnnkit bench` or `python -m dnnkit.bench.peers`; None for other files if they may occur."""
    try:
        raw = json.loads(read_regular(file, largest(LARGEST_JSON)))
    except (OSError, ValueError, RecursionError):
        raw = None
    if isinstance(raw, dict) and raw.get("schema") == SCHEMA:
        if "records" in raw:
            return _of_peers(raw, file)
        if "rows" in raw:
            return read(file)
    return None if may_be_other else read(file)  # raises the right error


def _of_peers(raw: dict[str, Any], file: Path) -> Results:
    try:
        return Results(
            kind="peers" if raw["kind"] == "works" else str(raw["kind"]),
            settings=dict(raw["options"]),
            machine=dict(raw["machine"]),
            command="python -m dnnkit.bench.peers",
            date=str(raw["date"]),
            rows=peer_results.rows(raw),
            identical=peer_results.identical(raw),
            limits=peer_results.limits(raw),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{file} is damaged ({error!r}): measure again") from error


def changes(runs: Sequence[Run]) -> list[Change]:
    """Compare each run with the latest earlier run of its kind that has rows in common.

    An earlier run on the same machine is preferred to a later one on another.

    Arguments:
        runs: the runs, oldest first.
    """
    found = []
    for number, run in enumerate(runs):
        candidates = [Change(run, before) for before in reversed(runs[:number]) if _have_common(before, run)]
        chosen = next(iter(sorted(candidates, key=lambda change: not change.is_same_machine)), None)
        if chosen is None or chosen.before is None:
            found.append(Change(run, None))
            continue
        items, _, noise = compare.compare(chosen.before.results, run.results)
        found.append(Change(run, chosen.before, tuple(items), noise))
    return found


def _have_common(a: Run, b: Run) -> bool:
    if a.results.kind != b.results.kind:
        return False
    times = {row.key for row in a.results.rows if row.unit in compare.TIMES}
    return any(row.key in times for row in b.results.rows)


def table(found: Sequence[Change]) -> Table:
    """Return a table with a line for each run."""
    lines = []
    for change in found:
        machine = "first" if change.before is None else "same" if change.is_same_machine else "another"
        counts = [change.count(verdict) if change.found else None for verdict in ("faster", "slower")]
        lines.append(
            (
                text(change.run.results.kind),
                text(change.run.results.date[:10]),
                text(change.run.name),
                text(machine),
                *(_cell(value, ".2f") for value in (change.ratio, change.others)),
                *(_cell(value, "d") for value in counts),
            )
        )
    head = ("bench", "date", "file", "machine", "time ÷", "others ÷", "faster", "slower")
    note = (
        "Each run compared with the latest earlier one of the same measurement, on the same machine if possible. "
        "time ÷: dnnkit's times divided by the earlier ones, others ÷: other libraries' (geometric means). faster, "
        "slower: rows that differ beyond chance, noise and changes of the machine."
    )
    return Table("History", note, head, tuple(sorted(lines, key=lambda line: line[0].text)), parts=("bench",))


def _cell(value: float | None, form: str) -> Cell:
    return Cell("–", 0.0) if value is None else Cell(format(value, form), value)


def lines(found: Sequence[Change]) -> Iterator[str]:
    """Yield the largest changes from run to run as text."""
    for change in found:
        if change.before is None:
            continue
        place = (
            "" if change.is_same_machine else f" (another machine: {_machine(change.before)} → {_machine(change.run)})"
        )
        differ = [item for item in change.found if item.verdict != "indistinguishable"]
        differ.sort(key=lambda item: -abs(log(item.ratio.value)))
        differences = [f"{item.row.title} {item.ratio.value:.2f} ×" for item in differ[:LARGEST]]
        words = "; ".join(differences) or f"no difference above {change.noise:.0%}"
        more = f"; {len(differ) - LARGEST} more" if len(differ) > LARGEST else ""
        versions = f"; {', '.join(change.versions)}" if change.versions else ""
        yield f"{change.before.name} → {change.run.name}{place}: {words}{more}{versions}"


def _machine(run: Run) -> str:
    machine = run.results.machine
    return ", ".join(
        filter(
            None, (str(machine.get("processor", "?")), f"{machine.get('processors', '?')} processors", _width(machine))
        )
    )


def _width(machine: dict[str, Any]) -> str:
    """Return the kernels that the BLAS chose, which distinguish processors with the same name."""
    blas = machine.get("BLAS") or ()
    return str(blas[0]).split(", ")[1] if blas and str(blas[0]).count(", ") >= 2 else ""


def to_json(found: Sequence[Change]) -> list[dict[str, Any]]:
    """Return JSON values."""
    return [
        {
            "file": change.run.name,
            "date": change.run.results.date,
            "kind": change.run.results.kind,
            "before": None if change.before is None else change.before.name,
            "same_machine": change.is_same_machine,
            "ratio": change.ratio,
            "others": change.others,
            "faster": change.count("faster"),
            "slower": change.count("slower"),
            "rows": len(change.found),
            "versions": change.versions,
        }
        for change in found
    ]
