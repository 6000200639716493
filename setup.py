# Only the folder mapping: everything else is in pyproject.toml.
from setuptools import find_packages, setup

MEASURED = "dnnkit.bench.measured.dnnkit.bench.peers"  # `dnnkit bench peers` runs it from there, as a program
setup(
    package_dir={"dnnkit.backends": "backends", "dnnkit.kernels": "kernels", MEASURED: "dnnkit/bench/peers"},
    packages=[*find_packages(include=["dnnkit", "dnnkit.*"]), MEASURED],
)
