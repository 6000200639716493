"""What `dnnkit doctor` says of compiled kernels on disk."""

from dnnkit.backends.diagnosis import Finding, in_words


def kept_kernels() -> list[Finding]:
    """Where they are, how many there are for these sources, and what is left of other versions."""
    from dnnkit.kernels._numba.places import SUFFIX, places

    found = []
    for folder in places():
        files = list(folder.glob(f"*{SUFFIX}"))
        size = in_words(sum(file.stat().st_size for file in files))
        is_own = folder == places()[-1]
        use = "" if is_own else "; can only be read, what is missing is compiled and kept elsewhere"
        if files:
            found.append(Finding("compiled kernels", "good", f"{len(files)} in {folder}, {size}{use}"))
        elif is_own:
            advice = "the first training compiles, once, or `dnnkit compile` now" if len(places()) == 1 else ""
            found.append(
                Finding("compiled kernels", "note", f"{folder}, nothing compiled yet for these sources", advice)
            )
    others = [entry for entry in places()[-1].parent.glob("compiled-*") if entry != places()[-1]]
    if others:
        found.append(
            Finding(
                "older compiled kernels",
                "note",
                f"{len(others)} folders of other versions beside it",
                f"to free the space: rm -r {' '.join(map(str, others[:3]))}{' ...' if len(others) > 3 else ''}",
            )
        )
    return found
