"""Return every reader by its name."""

from tests.fuzz import commands, data, estimators, formulas, saves, tables

OF = (saves, estimators, formulas, data, tables, commands)
READERS = {reader.name: reader for module in OF for reader in module.READERS}
