"""The public names of `dnnkit`, one per line, for type checkers, editors, and the lazy imports in `__init__.py`."""

from dnnkit import activations as activations
from dnnkit import backends as backends
from dnnkit import callbacks as callbacks
from dnnkit import constraints as constraints
from dnnkit import datasets as datasets
from dnnkit import errors as errors
from dnnkit import initializers as initializers
from dnnkit import layers as layers
from dnnkit import losses as losses
from dnnkit import metrics as metrics
from dnnkit import models as models
from dnnkit import ops as ops
from dnnkit import optimizers as optimizers
from dnnkit import plots as plots
from dnnkit import regularizers as regularizers
from dnnkit import schedules as schedules
from dnnkit import streams as streams
from dnnkit import utils as utils
from dnnkit._version import __version__ as __version__
from dnnkit.backends import get_backend as get_backend
from dnnkit.backends import set_backend as set_backend
from dnnkit.backends import use_backend as use_backend
from dnnkit.callbacks import Callback as Callback
from dnnkit.callbacks import CSVLogger as CSVLogger
from dnnkit.callbacks import EarlyStopping as EarlyStopping
from dnnkit.callbacks import LambdaCallback as LambdaCallback
from dnnkit.callbacks import LearningRateScheduler as LearningRateScheduler
from dnnkit.callbacks import LossPlot as LossPlot
from dnnkit.callbacks import ModelCheckpoint as ModelCheckpoint
from dnnkit.callbacks import ReduceLROnPlateau as ReduceLROnPlateau
from dnnkit.callbacks import TensorBoard as TensorBoard
from dnnkit.callbacks import TerminateOnNaN as TerminateOnNaN
from dnnkit.confidence import iterations_to_confidence as iterations_to_confidence
from dnnkit.distributed.data_parallel import DataParallel as DataParallel
from dnnkit.errors import DnnkitError as DnnkitError
from dnnkit.estimators.classifier import DNNClassifier as DNNClassifier
from dnnkit.estimators.regressor import DNNRegressor as DNNRegressor
from dnnkit.estimators.saving import load_estimator as load_estimator
from dnnkit.formula import activation as activation
from dnnkit.formula import loss as loss
from dnnkit.kinds import register as register
from dnnkit.layers.activation import *
from dnnkit.layers.base import *
from dnnkit.layers.categorical import *
from dnnkit.layers.core import *
from dnnkit.layers.elementwise import *
from dnnkit.layers.merging import *
from dnnkit.layers.normalization import *
from dnnkit.layers.numerical import *
from dnnkit.lbfgs import LBFGS as LBFGS
from dnnkit.many.cross_validation import CrossValidation as CrossValidation
from dnnkit.many.cross_validation import cross_validate as cross_validate
from dnnkit.many.fitting import fit_many as fit_many
from dnnkit.many.halving import SuccessiveHalving as SuccessiveHalving
from dnnkit.many.history import ManyHistory as ManyHistory
from dnnkit.models import Model as Model
from dnnkit.models import Sequential as Sequential
from dnnkit.models import clone_model as clone_model
from dnnkit.models import load as load
from dnnkit.models import load_model as load_model
from dnnkit.network.evaluation import Evaluation as Evaluation
from dnnkit.numerical import check_gradients as check_gradients
from dnnkit.numerical import gradient_descent as gradient_descent
from dnnkit.numerical import numerical_diff as numerical_diff
from dnnkit.numerical import numerical_gradient as numerical_gradient
from dnnkit.optimizers import SGD as SGD
from dnnkit.optimizers import Adam as Adam
from dnnkit.optimizers import AdamW as AdamW
from dnnkit.optimizers import RMSprop as RMSprop
from dnnkit.seeds import reset_seed as reset_seed
from dnnkit.tables.encoder import TabularEncoder as TabularEncoder
from dnnkit.training.history import History as History
from dnnkit.utils import set_random_seed as set_random_seed
from dnnkit.utils import to_categorical as to_categorical
from dnnkit.warming import warm_up as warm_up
