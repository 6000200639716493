"""CuPy on an NVIDIA GPU: kernels in CUDA C++, data that may be larger than the GPU's memory."""

from dnnkit.backends.cupy_backend.backend import CupyBackend

__all__ = ["CupyBackend"]
