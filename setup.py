# Only the folder mapping: everything else is in pyproject.toml.
from setuptools import find_packages, setup

MEASURED = "dnnkit.laboratory.measured.benchmarks.peers"  # `dnnkit bench peers` runs it from there, as a program
setup(
    package_dir={"dnnkit.backends": "backends", "dnnkit.kernels": "kernels", MEASURED: "benchmarks/peers"},
    packages=[*find_packages(include=["dnnkit", "dnnkit.*"]), MEASURED],
)
