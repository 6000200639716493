"""Checks of the arguments of `dk.TabularEncoder`."""

from collections.abc import Mapping
from typing import Any

from dnnkit.saves.schema import one_of
from dnnkit.settings import Expected, plain, whole
from dnnkit.tables.columns import Options
from dnnkit.tables.scaling import SCALINGS

EMBEDS_ABOVE = 8
"""Number of categories above which a column becomes codes with embeddings="auto", as in RealMLP."""


def _auto_or(kind: Expected, *others: Any) -> Expected:
    """Accept one of `others`, or what `kind` accepts."""

    def take(value: Any) -> Any:
        if any(value is other or (isinstance(value, str) and value == other) for other in others):
            return value
        return kind.take(value)

    return Expected(f"{' or '.join(map(repr, others))}, or {kind.words}", take)


def _places(value: Any) -> list[str | int]:
    if isinstance(value, str | bytes | Mapping):
        raise TypeError
    return [str(each) if isinstance(each, str) else whole(0).take(plain(each)) for each in value]


EXPECTED: dict[str, Expected] = {
    "numbers": one_of(*SCALINGS),
    "categories": _auto_or(Expected("a list of names of columns", _places), "auto"),
    "rare": _auto_or(whole(1), "auto"),
    "missing": one_of("indicator", "zero", "error"),
    "dates": one_of("parts", "error"),
    "embeddings": _auto_or(whole(1), False, "auto"),
    "max_categories": whole(2),
    "dtype": one_of("float32", "float64"),
}
"""Checks by argument name."""


def options_of(given: Mapping[str, Any], rows: int) -> Options:
    """Return the encoding options for a table with `rows` rows; raise `ConfigurationError` for bad arguments."""
    values = {name: EXPECTED[name].of(name, value) for name, value in given.items()}
    rare = min(max(2, rows // 1000), 10) if values["rare"] == "auto" else values["rare"]
    embeds = {False: None, "auto": EMBEDS_ABOVE}.get(values["embeddings"], values["embeddings"])
    return Options(values["numbers"], rare, values["missing"] == "indicator", embeds, values["max_categories"])
