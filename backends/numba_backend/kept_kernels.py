"""Findings of `dnnkit doctor` on the cache of compiled kernels."""

from dnnkit.backends.diagnosis import Finding, in_words


def kept_kernels() -> list[Finding]:
    """Report the cache's location, the number of kernels for these sources, and leftovers of other versions."""
    from dnnkit.kernels._native.places import SUFFIX, places

    found = [_archive()]
    for folder in places():
        files = list(folder.glob(f"*{SUFFIX}"))
        size = in_words(sum(file.stat().st_size for file in files))
        is_own = folder == places()[-1]
        use = "" if is_own else "; read-only, so missing kernels are compiled and stored elsewhere"
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
                f"{len(others)} folders of other versions next to it",
                f"to free the space: rm -r {' '.join(map(str, others[:3]))}{' ...' if len(others) > 3 else ''}",
            )
        )
    return found


def _archive() -> Finding:
    """Report whether kernels have to wait for Numba on first use."""
    from dnnkit.kernels._native import archive
    from dnnkit.kernels._native.fingerprint import is_archived
    from dnnkit.kernels._target import processor

    if not archive.is_for_here():
        why = f"none for {processor.LEVEL}, this system and its LLVM: Numba compiles them, about 5 s once"
        return Finding("archive of kernels", "note", why)
    if not is_archived():
        why = "built from other sources, or with other settings of Numba: Numba compiles them"
        return Finding("archive of kernels", "note", why, "python -m dnnkit.kernels._numba.write_archive")
    return Finding("archive of kernels", "good", f"built from these sources, for {processor.LEVEL}")
