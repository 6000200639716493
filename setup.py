# Only the folder mapping: everything else is in pyproject.toml.
from setuptools import find_packages, setup

setup(
    package_dir={"dnnkit.backends": "backends", "dnnkit.kernels": "kernels"},
    packages=find_packages(include=["dnnkit", "dnnkit.*"]),
)
