"""Executors: train stretches of networks in other processes or on other machines."""

from dnnkit.many.executors.base import EXECUTORS, Executor, Shared, make_executor
from dnnkit.many.executors.dask_executor import DaskExecutor
from dnnkit.many.executors.joblib_executor import JoblibExecutor

__all__ = ["EXECUTORS", "DaskExecutor", "Executor", "JoblibExecutor", "Shared", "make_executor"]
