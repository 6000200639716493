"""Callbacks: code that runs during training, evaluation and prediction."""

from dnnkit.callbacks.base import CALLBACKS, Callback
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.callbacks.csv_logger import CSVLogger
from dnnkit.callbacks.early_stopping import EarlyStopping
from dnnkit.callbacks.lambda_callback import LambdaCallback
from dnnkit.callbacks.learning_rates import LearningRateScheduler, ReduceLROnPlateau
from dnnkit.callbacks.loss_plot import LossPlot
from dnnkit.callbacks.model_checkpoint import ModelCheckpoint
from dnnkit.callbacks.tensor_board import TensorBoard
from dnnkit.callbacks.terminate_on_nan import TerminateOnNaN
from dnnkit.namespaces import open_namespace

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "LossPlot",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]


open_namespace(__name__, CALLBACKS)
