# Only the folder mapping: everything else is in pyproject.toml.
from setuptools import find_packages, setup

# A source distribution does not have the links dnnkit/backends and dnnkit/kernels, so those packages are looked for
# where they are.
OUTSIDE = ("backends", "kernels")

setup(
    package_dir={f"dnnkit.{name}": name for name in OUTSIDE},
    packages=[
        *find_packages(include=["dnnkit", "dnnkit.*"], exclude=[f"dnnkit.{name}*" for name in OUTSIDE]),
        *(f"dnnkit.{name}" for name in OUTSIDE),
        *(f"dnnkit.{name}.{package}" for name in OUTSIDE for package in find_packages(name)),
    ],
)
