"""What networks of one layer have in common."""


class Shared:
    """One layer, in whatever networks it stands."""
