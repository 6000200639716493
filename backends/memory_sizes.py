"""Numbers of bytes, for people."""


def in_words(size: int) -> str:
    """1.5 GiB, 20 MiB, 300 KiB, 7 bytes."""
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= one:
            return f"{size / one:.3g} {unit}" if size < 1000 * one else f"{size / one:.0f} {unit}"
    return f"{size} bytes"
