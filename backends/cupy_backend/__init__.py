"""CuPy backend for NVIDIA GPUs: kernels in CUDA C++, and data that may exceed the GPU's memory."""

from dnnkit.backends.cupy_backend.backend import CupyBackend

__all__ = ["CupyBackend"]
