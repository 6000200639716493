"""Evaluation of a run's results. Medians are over rounds, of each process's median."""

from statistics import median
from typing import Any, NamedTuple

import numpy as np

from .works import BEST, FLOAT_BYTES, FLOOR, OWN, Target, Work, arithmetic_floor

SCHEMA = 1
ACCURACY_TOLERANCE = 0.01
CHECK_TOLERANCE = 1e-3
"""Relative tolerance of quantities that do not depend on the order of samples: a neuron's loss, mean predictions."""
MEASURED = "train", "predict", "neuron"


class Summary(NamedTuple):
    """A peer's records of a workload."""

    peer: str
    family: str
    rounds: dict[int, float]
    records: list[dict[str, Any]]

    @property
    def seconds(self) -> float:
        """Median over the rounds."""
        return median(self.rounds.values())

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile."""
        low, high = np.quantile(list(self.rounds.values()), (0.25, 0.75))
        return float(low), float(high)

    def middle(self, name: str) -> float | None:
        """Return the median of another quantity; None if it was not measured."""
        values = [record[name] for record in self.records if record.get(name) is not None]
        return median(values) if values else None


class Verdict(NamedTuple):
    """A target and the result: how many times as fast as a peer, or as slow as the floor."""

    target: Target
    reached: float | None
    """None if it was not measured."""
    than: str

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        if self.reached is None:
            return False
        floor = self.target.against == FLOOR
        return self.reached <= self.target.factor if floor else self.reached >= self.target.factor

    def __str__(self) -> str:
        if self.target.against == FLOOR:
            asked = f"at most {self.target.factor:g}× the floor"
        else:
            asked = f"at least {self.target.factor:g}× as fast as {self.than}"
        if self.reached is None:
            return f"{asked}: not measured"
        return f"{asked}: {self.reached:.2f}×, {'reached' if self.holds else 'missed'}"


class Results:
    """The results of a run, with the quantities that the report shows."""

    def __init__(self, results: dict[str, Any]) -> None:
        if results.get("schema") != SCHEMA:
            raise SystemExit(f"these results have schema {results.get('schema')!r}; this report reads {SCHEMA}")
        self.raw = results
        self.works = [Work.from_json(work) for work in results["works"]]
        self.growth = results["kind"] == "growth"

    def summaries(self, work: Work) -> list[Summary]:
        """Return the peers that did a workload, fastest first."""
        found = []
        for name, peer in self.raw["peers"].items():
            records = [r for r in self.raw["records"] if (r["work"], r["peer"]) == (work.name, name)]
            if records:
                rounds = {record["round"]: seconds_of(record) for record in records}
                found.append(Summary(name, peer["family"], rounds, records))
        return sorted(found, key=lambda summary: summary.seconds)

    def rates(self, kind: str) -> list[tuple[float, str]]:
        """Return (FLOPs or bytes per second, peer) for products or copies, fastest first, from the best repetition."""
        rates: dict[str, float] = {}
        for work in self.works:
            amount = 2 * work.size**3 if kind == "gemm" else 2 * FLOAT_BYTES * work.size
            for record in self.raw["records"]:
                if work.kind == kind and record["work"] == work.name:
                    rate = amount / min(record["seconds"])
                    rates[record["peer"]] = max(rate, rates.get(record["peer"], 0.0))
        return sorted(((rate, peer) for peer, rate in rates.items()), reverse=True)

    def floor(self, work: Work) -> float | None:
        """Return the arithmetic lower bound of an epoch."""
        rates = self.rates("gemm")
        return arithmetic_floor(work, rates[0][0]) if rates and work.kind == "train" else None

    def verdicts(self, work: Work) -> list[Verdict]:
        """Return each target with the fastest of the peers that it refers to."""
        summaries = self.summaries(work)
        own = next((summary for summary in summaries if summary.peer == OWN), None)
        verdicts = []
        for target in work.targets:
            if target.against == FLOOR:
                floor = self.floor(work)
                reached = own.seconds / floor if own and floor else None
                verdicts.append(Verdict(target, reached, FLOOR))
                continue
            others = [s for s in summaries if s.family != OWN and target.against in (s.family, BEST)]
            reached = others[0].seconds / own.seconds if own and others else None
            than = others[0].peer if others else target.against
            verdicts.append(Verdict(target, reached, f"the {BEST}, {than}" if target.against == BEST else than))
        return verdicts

    def disagreements(self, work: Work) -> dict[str, str]:
        """Return peers whose accuracy, loss or predictions differ, and how."""
        summaries = self.summaries(work)
        reference = next((s for s in summaries if s.peer == OWN), summaries[0] if summaries else None)
        name, tolerance = {
            "train": ("accuracy", ACCURACY_TOLERANCE),
            "neuron": ("loss", CHECK_TOLERANCE),
            "predict": ("check", CHECK_TOLERANCE),
        }.get(work.kind, ("", 0.0))
        found = {}
        for summary in summaries:
            assert reference is not None
            value, expected = summary.middle(name), reference.middle(name)
            if value is None or expected is None:
                continue
            scale = 1.0 if work.kind == "train" else abs(expected)
            if not abs(value - expected) <= tolerance * scale:
                found[summary.peer] = f"{name} {value:.4g}, {reference.peer}'s is {expected:.4g}"
        return found


def seconds_of(record: dict[str, Any]) -> float:
    """Return the time that a process measured: the median of its repetitions."""
    return float(median(record["seconds"]))


def duration(seconds: float) -> str:
    """Format seconds with three digits and a suitable unit."""
    value, unit = with_unit(seconds)
    digits = 2 - int(np.floor(np.log10(max(float(f"{value:.3g}"), 1e-9))))
    return f"{value:.{max(0, digits)}f} {unit}"


def with_unit(seconds: float) -> tuple[float, str]:
    """Return the number and a suitable unit."""
    if seconds >= 0.9995:
        return seconds, "s"
    return (seconds * 1e3, "ms") if seconds >= 0.9995e-3 else (seconds * 1e6, "µs")
