"""Callbacks: what else happens while a network trains."""

from dnnkit.callbacks.base import Callback, CallbackList
from dnnkit.callbacks.csv_logger import CSVLogger
from dnnkit.callbacks.early_stopping import EarlyStopping
from dnnkit.callbacks.loss_plot import LossPlot
from dnnkit.callbacks.model_checkpoint import ModelCheckpoint
from dnnkit.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "LossPlot",
    "ModelCheckpoint",
    "TerminateOnNaN",
]
