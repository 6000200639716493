"""Every reader by its name."""

from tests.fuzz import commands, data, formulas, saves, tables

READERS = {
    reader.name: reader
    for reader in (*saves.READERS, *formulas.READERS, *data.READERS, *tables.READERS, *commands.READERS)
}
