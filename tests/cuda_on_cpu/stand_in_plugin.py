"""A pytest plugin (`-p tests.cuda_on_cpu.stand_in_plugin`): all tests of the process see the stand-in as CuPy."""

from dnnkit.backends import gpu_state
from tests.cuda_on_cpu import cupy_stand_in

STATE = gpu_state.GpuState(cupy="14.0.0", driver=13000, devices=2, cuda=13000)
"""What such a machine has: no driver was asked."""


def use_stand_in() -> None:
    """From here on `import cupy` gives the stand-in, and the backend believes in a GPU."""
    cupy_stand_in.install()
    gpu_state.look = lambda: STATE  # type: ignore[assignment]


def pytest_configure() -> None:
    use_stand_in()
