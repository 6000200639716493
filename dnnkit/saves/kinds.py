"""Schemas of the JSON files of a save. What they leave open, such as the fields of a layer, its class checks."""

import re
from math import prod
from typing import Any

from dnnkit.saves.schema import ANYTHING, COUNT, MEASURED, Wrong, by_name, list_of, one_of, record, text
from dnnkit.settings import FINITE, FLAG, Expected, or_none, whole

MOST_LAYERS = 5000
MOST_WORKERS = 256
"""Maximum number of workers in a recorded partition: each costs a thread and memory when training resumes."""
WORDS = text(most=10_000)

# -- manifest.json ---------------------------------------------------------------------------------------------------

_VERSION = {
    "version": text("[0-9]{6,12}", "digits, such as '000001'"),
    "files": by_name(
        record({"bytes": whole(0, 1 << 60), "sha256": text("[0-9a-f]{64}", "64 hexadecimal digits")}),
        text(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", "the name of a file in the same folder"),
    ),
}
MANIFEST = record({"format": whole(1), **_VERSION}, {"older": list_of(record(_VERSION))})

# -- architecture.json -----------------------------------------------------------------------------------------------


def _check_sizes(architecture: dict[str, Any]) -> None:
    shapes = [architecture["input_shape"], *(each["shape"] for each in architecture.get("graph", {}).get("inputs", ()))]
    for shape in shapes:
        if prod(shape) > 1 << 40:
            raise Wrong(".input_shape", shape, "a sample of at most 2**40 numbers")


GRAPH = record(
    {
        "inputs": list_of(record({"name": text(most=100), "shape": list_of(whole(1, 1 << 40), 32)}), MOST_LAYERS),
        "calls": list_of(
            record(
                {"layer": whole(0, MOST_LAYERS), "reads": list_of(COUNT, MOST_LAYERS), "gives": whole(1, MOST_LAYERS)}
            ),
            MOST_LAYERS,
        ),
        "outputs": list_of(COUNT, MOST_LAYERS),
        "output_names": list_of(text(most=200), MOST_LAYERS),
        "input_form": one_of("one", "several", "named"),
        "output_form": one_of("one", "several", "named"),
    },
)
GOAL = record({"loss": ANYTHING, "metrics": list_of(ANYTHING, 1000), "weight": FINITE})

ARCHITECTURE = record(
    {
        "layers": list_of(ANYTHING, MOST_LAYERS),
        "input_shape": list_of(whole(1, 1 << 40), 32),
        "dtype": one_of("float32", "float64"),
        "seed": whole(0, (1 << 32) - 1),
        "num_threads": or_none(whole(1)),
        "loss": ANYTHING,
        "optimizer": ANYTHING,
        "metrics": list_of(ANYTHING, 1000),
    },
    {
        "name": or_none(text(most=200)),
        "graph": GRAPH,
        "goals": list_of(GOAL, MOST_LAYERS),
        "gradient_accumulation_steps": whole(1, 1 << 40),
    },
    agrees=_check_sizes,
)

# -- state.json and history.json -------------------------------------------------------------------------------------


def _execution(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError
    if value.startswith(("units/", "rows/")):
        found = re.fullmatch(r"(?:units|rows)/([0-9]{1,4})@[0-9]{1,18}", value)
        if found is None or not 1 <= int(found[1]) <= MOST_WORKERS:
            raise ValueError
    return value


def _check_position(state: dict[str, Any]) -> None:
    position, steps, sums = state["position"], state["steps"], state.get("sums")
    if position > steps:
        raise Wrong(".position", position, f"at most the epoch's {steps} steps")
    if sums is not None and sums["first"] > position:
        raise Wrong(".sums.first", sums["first"], f"at most the position, {position}")


def _check_rows(sums: dict[str, Any]) -> None:
    if len({len(row) for row in sums["sums"]}) != 1:
        raise Wrong(".sums", sums["sums"], "rows of one length, at least one")


SUMS = record(
    {
        "first": COUNT,
        "weight": MEASURED,
        "sums": list_of(list_of(MEASURED), MOST_WORKERS),
        "nan_step": whole(-1, 1 << 53),
    },
    agrees=_check_rows,
)
PLAN = record(
    {"backend": WORDS, "version": WORDS, "device": WORDS, "execution": WORDS, "reason": or_none(WORDS)},
    {"details": by_name(ANYTHING)},
)
STATE = record(
    {
        "step": COUNT,
        "epoch": COUNT,
        "position": COUNT,
        "steps": COUNT,
        "execution": Expected(
            f"text, and of a partition such as 'rows/2@32', at most {MOST_WORKERS} workers", _execution
        ),
    },
    {
        "schedule": WORDS,
        "data": WORDS,
        "sums": or_none(SUMS),
        "evaluations": COUNT,
        "backend": or_none(text(most=200)),
    },  # not in format 1
    agrees=_check_position,
)


def _check_lengths(history: dict[str, Any]) -> None:
    epochs = len(history["epoch"])
    for name, series in {**history["history"], "seconds": history["seconds"]}.items():
        if len(series) != epochs:
            raise Wrong(f".{name}", series, f"one number per epoch, {epochs} in all")


HISTORY = record(
    {
        "seed": whole(0, (1 << 32) - 1),
        "plan": PLAN,
        "epoch": list_of(COUNT),
        "history": by_name(list_of(MEASURED), WORDS),
        "seconds": list_of(MEASURED),
    },
    {"ended": WORDS},
    agrees=_check_lengths,
)

# -- fit.json --------------------------------------------------------------------------------------------------------

FIT = record(
    {
        "run": by_name(ANYTHING),
        "epoch": COUNT,
        "first_step": COUNT,
        "history": HISTORY,
        "was_stopped": FLAG,
        "callbacks": list_of(record({"type": WORDS, "state": ANYTHING})),
    }
)
