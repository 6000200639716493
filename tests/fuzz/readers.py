"""Every reader by its name."""

from tests.fuzz import saves

READERS = {reader.name: reader for reader in (*saves.READERS,)}
