"""The file format of all benchmarks, JSON or CSV: the machine, the command, and rows of samples."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dnnkit.bench.machine import command, describe
from dnnkit.bench.statistics import NOISY, Summary, noise_of, summarize
from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.files import largest, read_regular
from dnnkit.saves.schema import LARGEST_JSON
from dnnkit.saves.serialization import without_nan

SCHEMA = 1
FORMER = {" a second": " per second", " a round": " per round", " a call": " per call"}
"""Old suffixes of units, limits and settings, and the current ones."""


@dataclass(frozen=True)
class Row:
    """Samples of one quantity of one case, identified by `table` and `case`; `facts` has additional values."""

    table: str
    case: dict[str, str | int]
    unit: str
    samples: tuple[float, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        """Identifies the row's case across files."""
        return (self.table, *sorted((name, str(value)) for name, value in self.case.items()))

    @property
    def summary(self) -> Summary:
        """Summary of the samples."""
        return summarize(self.samples)

    @property
    def title(self) -> str:
        """The case as text."""
        return " ".join(str(value) for value in self.case.values())


@dataclass
class Results:
    """Results of a benchmark."""

    kind: str
    settings: dict[str, Any]
    machine: dict[str, Any] = field(default_factory=describe)
    command: str = field(default_factory=command)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    rows: list[Row] = field(default_factory=list)
    identical: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = field(default_factory=list)
    """Name and two sets of samples of code that was measured twice."""
    curves: list[dict[str, Any]] = field(default_factory=list)
    """Data for plots: accuracy by epoch and seconds; values and derivatives of functions."""
    controls: dict[str, float] = field(default_factory=dict)
    """Seconds of work outside dnnkit: if they change from run to run, the machine has changed."""
    limits: dict[str, float] = field(default_factory=dict)
    """Rates that the machine reached in this run: bytes and FLOPs per second."""
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def noise(self) -> float:
        """Largest relative difference between runs of identical code."""
        return noise_of((a, b) for _, a, b in self.identical)

    def judge(self, load: float | None) -> None:
        """Add warnings about noise and other load, after everything is measured."""
        self.machine["load after"] = load
        if self.noise > NOISY:
            name, _, _ = max(self.identical, key=lambda pair: noise_of([pair[1:]]))
            self.warnings.append(
                f"the machine was noisy: identical code differed by {self.noise:.0%} ({name}). "
                "Smaller differences cannot be resolved; measure again on an idle machine"
            )
        before, processors = self.machine["load before"], self.machine["processors"]
        if before is not None and before > processors / 2:
            self.warnings.append(f"other work was running: the load was {before} on {processors} processors")

    def of(self, table: str) -> list[Row]:
        """Return the rows of a table."""
        return [row for row in self.rows if row.table == table]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; null for values never reached."""
        rows = [
            {
                "table": row.table,
                "case": row.case,
                "unit": row.unit,
                **row.summary.to_json(),
                "facts": row.facts,
                "samples": list(row.samples),
            }
            for row in self.rows
        ]
        return dict(
            without_nan(
                {
                    "schema": SCHEMA,
                    "kind": self.kind,
                    "date": self.date,
                    "command": self.command,
                    "seconds": self.seconds,
                    "settings": self.settings,
                    "machine": self.machine,
                    "limits": self.limits,
                    "controls": self.controls,
                    "noise": self.noise,
                    "warnings": self.warnings,
                    "identical": [{"name": name, "a": list(a), "b": list(b)} for name, a, b in self.identical],
                    "rows": rows,
                    "curves": self.curves,
                }
            )
        )

    def to_csv(self) -> str:
        """Return CSV, one line per row, with the columns of all rows."""
        lines = [_flat(row) for row in self.rows]
        columns = list(dict.fromkeys(name for line in lines for name in line))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        return text.getvalue()


def _flat(row: Row) -> dict[str, Any]:
    facts = {name: value for name, value in row.facts.items() if isinstance(value, str | int | float)}
    return {"table": row.table, **row.case, "unit": row.unit, **row.summary.to_json(), **facts}


def read(path: Path) -> Results:
    """Read a file written by `--json`; raise `DataError` for anything else."""
    try:
        raw = json.loads(read_regular(path, largest(LARGEST_JSON)))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: expected a file written by `dnnkit bench ... --json`") from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA or "rows" not in raw:
        raise DataError(f"{path} has no results of schema {SCHEMA}: write it with `dnnkit bench ... --json`")
    try:
        return Results(
            kind=str(raw["kind"]),
            settings=_renamed(raw["settings"]),
            machine=dict(raw["machine"]),
            command=str(raw["command"]),
            date=str(raw["date"]),
            rows=list(_rows(raw["rows"])),
            identical=[(str(pair["name"]), tuple(pair["a"]), tuple(pair["b"])) for pair in raw["identical"]],
            curves=list(raw["curves"]),
            limits=_renamed(raw["limits"]),
            controls=dict(raw["controls"]),
            warnings=list(raw["warnings"]),
            seconds=float(raw["seconds"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error!r}): measure again") from error


def _rows(raw: list[dict[str, Any]]) -> Iterator[Row]:
    for row in raw:
        samples = tuple(float("inf") if sample is None else float(sample) for sample in row["samples"])
        if not samples:
            raise ValueError("a row without samples")
        yield Row(str(row["table"]), dict(row["case"]), _current(str(row["unit"])), samples, dict(row["facts"]))


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    return {_current(name): value for name, value in values.items()}


def _current(name: str) -> str:
    """Return the current name for a name in older files."""
    return next((name.removesuffix(old) + new for old, new in FORMER.items() if name.endswith(old)), name)
