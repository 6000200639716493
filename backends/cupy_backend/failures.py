"""Errors of CUDA, cuBLAS and NVRTC, translated to dnnkit's errors that say what to do."""

from dnnkit.errors import BackendUnavailable, DeviceMemoryError, DnnkitError

NO_MEMORY = {("CUDARuntimeError", 2), ("CUDADriverError", 2), ("CUBLASError", 3)}
"""CuPy's exception classes and status codes for lack of memory on the GPU or the host."""

NO_START = {
    ("CUBLASError", 1): "cuBLAS cannot start, usually for lack of memory: it needs about 32 MiB",
    ("CUBLASError", 8): "cuBLAS does not support this GPU",
    ("NVRTCError", None): "the CUDA compiler does not work",
    ("CompileException", None): "the CUDA compiler rejects a kernel",
}
MISFIT = "a compiled kernel does not fit this GPU or its driver"
"""200, 209, 218 and 222: an image that is damaged, for another GPU, or in a language newer than the driver."""
BUSY = "another process has exclusive use of the GPU, or its compute mode prohibits computing"
LOST = "a kernel failed, and all GPU memory of this process is lost with it: restart the process"
"""Illegal addresses, launch timeouts, assertions and hardware failures; CUDA reports them again for every later call.
"""

STATUS = {
    **dict.fromkeys((200, 209, 218, 222), MISFIT),
    46: BUSY,
    **dict.fromkeys((214, 700, 702, 710, 714, 715, 716, 717, 718, 719), LOST),
}
CURE = {
    MISFIT: "`dnnkit doctor` shows the CUDA versions of both",
    BUSY: "`nvidia-smi` lists the processes; CUDA_VISIBLE_DEVICES selects another GPU",
    LOST: "if it happens again, please report it with the output of `python -m benchmarks.gpu_check` in a checkout",
}
DOCTOR = "`dnnkit doctor` shows which versions do not match"


def translated(error: Exception, device: str) -> DnnkitError | None:
    """Return the error to raise instead of a CUDA error; None if it is not one, or unknown."""
    for kind in type(error).__mro__:  # by class name: importing CuPy's classes would load libraries
        if not kind.__module__.startswith("cupy"):
            continue
        key = kind.__name__, getattr(error, "status", None)
        said = f"({str(error).strip().partition(chr(10))[0]})"
        if key in NO_MEMORY:
            return DeviceMemoryError(
                f"{device}, or the host for it, has too little memory {said}. Use smaller batches, or end other "
                "processes"
            )
        if (reason := NO_START.get(key) or NO_START.get((kind.__name__, None))) is not None:
            return BackendUnavailable(f"{device}: {reason} {said}. {DOCTOR}")
        if kind.__name__ in ("CUDARuntimeError", "CUDADriverError") and (reason := STATUS.get(key[1] or 0)):
            return BackendUnavailable(f"{device}: {reason} {said}. {CURE[reason][0].upper()}{CURE[reason][1:]}")
    return None
