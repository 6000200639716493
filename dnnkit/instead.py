"""What to use in place of Keras features that dnnkit does not have: a table, consulted when a name is not found.

For a name that is not in the table, the nearest existing name is suggested. As in Python, a missing attribute is an
`AttributeError`, an unknown argument a `TypeError`.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import NoAttribute, UnknownArgument
from dnnkit.registry import did_you_mean

PACKAGE = "dnnkit"

DENSE_ONLY = "dnnkit trains dense networks: Flatten() the samples, and use Dense layers, or a framework that has {name}"
OWN_LAYER = "write a custom layer, about 10 lines: docs/extending.md"
LOOP = "write the loop: for x, y in batches: net.train_step(x, y); or fit the pieces one after the other"
COMPILED = "leave it out: training is always compiled"
NUMPY = "arrays are NumPy arrays: use NumPy"
NO_PENALTY = "penalties apply to parameters, dk.Dense(8, kernel_regularizer=...); for others write a custom loss"
CALLED_IN = (
    "a layer has no inputs and outputs outside a network: use net.get_layer(name).{name} of a dk.Model; "
    "dk.Model(net.inputs, value) predicts its values"
)
PYTHON_LOOP = "data is fed by one process, from arrays: leave it out"
ALL_AT_ONCE = "arrays are evaluated as a whole: pass x[:n], y[:n]"
IN_LAYER = "set it for the network: dk.Sequential(layers, dtype='float64')"
NO_NAME = "leave it out: metrics are called by their names, functions by their __name__"
SEED = "leave it out: initial weights follow from dk.Sequential(layers, seed=...)"


def _each(names: str, words: str) -> dict[str, str]:
    return {name: words.format(name=name) for name in names.split()}


ATTRIBUTES: dict[str, dict[str, str]] = {
    "dnnkit": {
        "Functional": "use dk.Model(inputs, outputs)",
        **_each("Variable constant function GradientTape", NUMPY),
        "applications": "dnnkit has no pretrained image models; use their features as input of a dense network",
        "mixed_precision": "networks are float32 or float64: dk.Sequential(layers, dtype='float32')",
        "distribute": "one process trains a network, on as many threads as help: num_threads=...",
        "preprocessing": "read and scale data with NumPy; dk.datasets has some data sets",
        "saving": "use net.save(folder) and dk.load(folder)",
        "keras": "import dnnkit as keras: its names are in dnnkit itself",
    },
    "layers": {
        **_each(
            "Conv1D Conv2D Conv3D Conv2DTranspose DepthwiseConv2D SeparableConv2D MaxPooling1D MaxPooling2D "
            "AveragePooling2D GlobalAveragePooling2D GlobalMaxPooling2D UpSampling2D ZeroPadding2D LSTM GRU SimpleRNN "
            "RNN Bidirectional TimeDistributed ConvLSTM2D Attention MultiHeadAttention SpatialDropout2D",
            DENSE_ONLY,
        ),
        **_each("Maximum Minimum Dot", "use Add, Subtract, Multiply, Average or Concatenate"),
        **_each(
            "RandomFlip RandomRotation RandomZoom RandomCrop Resizing CenterCrop", "transform the images with NumPy"
        ),
        **_each("Lambda Masking Permute RepeatVector", OWN_LAYER),
        **_each("GaussianDropout AlphaDropout ActivityRegularization UnitNormalization", OWN_LAYER),
        "GroupNormalization": "use dk.LayerNormalization, dk.RMSNormalization or dk.BatchNormalization",
        **_each(
            "StringLookup IntegerLookup Hashing Discretization TextVectorization",
            "make integer classes from 0 on with NumPy, np.unique(x, return_inverse=True), and use dk.Embedding or "
            "dk.OneHot",
        ),
    },
    "optimizers": {
        **_each(
            "Adadelta Ftrl Lamb Adafactor Muon LossScaleOptimizer",
            "use dk.Adam, or write the rule, about 10 lines: docs/extending.md",
        ),
        "legacy": "use dk.optimizers itself",
    },
    "initializers": {
        **_each(
            "Orthogonal Identity TruncatedNormal STFT",
            "use dk.initializers.GlorotUniform or HeNormal, or write one: a frozen dataclass of Initializer with "
            "__call__(rng, shape)",
        ),
    },
    "callbacks": {
        "BackupAndRestore": "use fit(..., checkpoint=folder), which resumes bit for bit",
        "ProgbarLogger": "use fit(verbose=1)",
        "RemoteMonitor": "write a Callback with on_epoch_end(epoch, logs)",
        "SwapEMAWeights": "leave it out: with use_ema=True, validation and predictions use the averages, and the "
        "trained weights are kept",
    },
    "utils": {
        **_each("Sequence PyDataset", LOOP),
        "model_to_dot": "use net.plot('net.svg'), or let a notebook show net.plot()",
        **_each(
            "pad_sequences timeseries_dataset_from_array split_dataset image_dataset_from_directory "
            "text_dataset_from_directory get_file",
            "prepare data with NumPy",
        ),
        **_each(
            "register_keras_serializable get_custom_objects custom_object_scope",
            "use dk.register(kind, name, thing), or dk.load(folder, custom_objects={{...}})",
        ),
    },
    "models": {
        **_each("model_from_json model_from_config", "use dk.load(folder)"),
    },
    "datasets": {
        **_each(
            "boston_housing california_housing cifar10 cifar100 imdb reuters",
            "load them yourself, as NumPy arrays; dnnkit has digits, mnist, fashion_mnist and circles",
        ),
    },
    "activations": {
        **_each("get serialize deserialize", "activations are given by name everywhere: activation='relu'"),
    },
    "schedules": {
        **_each(
            "LearningRateSchedule",
            "subclass dk.schedules.Schedule as a dataclass with __call__(step)",
        ),
    },
    "network": {
        **_each("fit_generator evaluate_generator predict_generator", LOOP),
        **_each("train_function make_train_function test_function predict_function run_eagerly jit_compile", COMPILED),
        "predict_on_batch": "use net.predict(x)",
        "predict_classes": "use net.predict(x).argmax(axis=1), or > 0.5 for a single output",
        "predict_proba": "use net.predict(x)",
        "reset_states": "there is no state between batches: leave it out",
        "reset_metrics": "metrics start over with every call: leave it out",
        "metrics_names": "use list(net.evaluate(x, y).keys())",
        "losses": "penalties are included in the reported loss",
        "add_loss": "write a custom loss: docs/extending.md",
        "add_metric": "pass a function: compile(metrics=[function])",
        "add_weight": "parameters belong to layers: docs/extending.md",
        "output_shape": "use net.predict(x).shape[1:], or net.summary()",
        "call": "use net(x) or net.predict(x)",
        "built": "use net.is_built",
        "get_config": "use net.save(folder), which writes architecture.json; dk.clone_model(net) makes another",
        "from_config": "use dk.load(folder), or dk.clone_model(net)",
        "to_json": "use net.save(folder), which writes architecture.json",
        "to_yaml": "use net.save(folder), which writes architecture.json",
        "quantize": "networks are float32 or float64",
        "stateless_call": "a network holds its parameters: net.set_weights(...), then net.predict(x)",
    },
    "layer": {
        **_each(
            "weights kernel bias trainable_weights variables trainable_variables non_trainable_weights "
            "non_trainable_variables",
            "a layer is a description without weights, which belong to a network: net.layers[0].weights, or "
            "net.get_layer(name).{name}",
        ),
        **_each("output input", CALLED_IN),
        "call": "call the layer on a symbolic value, layer(x), or use forward of a custom layer",
        "build": "use net.build(input_shape)",
        "add_weight": "declare it in parameters(): docs/extending.md",
        "get_config": "use dataclasses.asdict(layer)",
        "losses": NO_PENALTY,
    },
    "history": {
        "validation_data": "pass it to net.evaluate",
        "model": "use the network that fit was called on",
        "params": "use history.epoch and history.plan",
        "on_epoch_end": "History is not a callback in dnnkit: fit returns it",
    },
}
"""Kind of owner: attribute: what to use instead."""
ATTRIBUTES["dnnkit"] |= ATTRIBUTES["layers"]

ARGUMENTS: dict[str, dict[str, str]] = {
    "compile": {
        **_each("run_eagerly jit_compile steps_per_execution auto_scale_loss experimental_run_tf_function", COMPILED),
        "weighted_metrics": "metrics are weighted like the loss: pass them as metrics=",
        "sample_weight_mode": "sample_weight has one number per sample: leave it out",
    },
    "fit": {
        **_each("workers use_multiprocessing max_queue_size", PYTHON_LOOP),
        **_each("validation_steps", "validation data is evaluated as a whole: pass less of it"),
        **_each("validation_batch_size", "it would affect only memory: leave it out"),
        "nb_epoch": "use epochs=...",
        "generator": LOOP,
    },
    "evaluate": {**_each("workers use_multiprocessing max_queue_size", PYTHON_LOOP), "steps": ALL_AT_ONCE},
    "predict": {
        **_each("workers use_multiprocessing max_queue_size", PYTHON_LOOP),
        "steps": "arrays are predicted as a whole: pass x[:n]",
    },
    "TensorBoard": {
        "write_graph": "net.summary() and net.inspect() show the network",
        "write_images": "net.parameters holds the numbers, histogram_freq= writes their distributions",
        "write_steps_per_second": "history.seconds holds the seconds per epoch",
        "profile_batch": "net.inspect() measures the parts of a step",
        **_each("embeddings_freq embeddings_metadata", "embeddings are not supported"),
    },
    "summary": {
        **_each("positions expand_nested show_trainable layer_range", "leave it out"),
    },
    "Layer": {
        **_each("dtype dtype_policy autocast", IN_LAYER),
        "activity_regularizer": NO_PENALTY,
        **_each(
            "gamma_regularizer beta_regularizer gamma_constraint beta_constraint embeddings_constraint",
            "leave it out: kernels, biases, embeddings and slopes can have penalties",
        ),
        **_each("renorm virtual_batch_size fused synchronized", "leave it out: moments are of the whole batch"),
        "mask_zero": "leave it out: class 0 is a class like the others",
        "shared_axes": "leave it out: each feature has its own slope",
        "invert": "leave it out: scale predictions back with NumPy",
        **_each("batch_size batch_input_shape batch_shape", "set fit(batch_size=...); use input_shape="),
        "weights": "use net.get_layer(name).set_weights(...) once the network is built",
        "input_length": "use input_shape=",
        "noise_shape": "each element is dropped independently: leave it out",
        "seed": "leave it out: masks follow from dk.Sequential(layers, seed=...)",
        "output_dim": "use units",
        "init": "use kernel_initializer=",
        "lora_rank": "train the whole layer",
    },
    "Input": {
        **_each("batch_size batch_shape", "set fit(batch_size=...); leave it out"),
        "dtype": "data may have any dtype, and bytes are read as they are: leave it out",
        "input_shape": "use shape=",
        "sparse": "pass sparse.toarray(): zeros cost almost nothing here",
        "tensor": "pass data to fit and predict",
    },
    "Optimizer": {
        "lr": "use learning_rate=",
        "decay": "use a schedule: learning_rate=dk.schedules.ExponentialDecay(...)",
        "centered": "leave it out",
        "ema_overwrite_frequency": "assign it when you want, in a callback: net.set_parameters(net.averages)",
        "jit_compile": COMPILED,
        "loss_scale_factor": "networks are float32 or float64: leave it out",
        "gradient_accumulation_steps": "set it for the network: net.compile(..., gradient_accumulation_steps=4)",
        "name": "leave it out",
    },
    "Adam": {"weight_decay": "use dk.AdamW(weight_decay=...)"},
    "RMSprop": {"momentum": "leave it out, or use dk.Adam, which has momentum", "weight_decay": "use dk.AdamW"},
    "Loss": {
        "reduction": "the loss of a batch is the mean over rows; dk.losses.SumSquaredError sums",
        "name": "leave it out: it is reported as loss",
        "axis": "outputs are on the last axis: leave it out",
        "dtype": IN_LAYER,
    },
    "Initializer": {"seed": SEED},
    "RandomUniform": {"minval": "use low=", "maxval": "use high="},
    "RandomNormal": {"mean": "the mean is 0: leave it out"},
    "VarianceScaling": {"mode": "use average=True for fan_avg", "distribution": "use uniform=True or False"},
    "Schedule": {"name": "leave it out"},
    "CosineDecay": {
        "warmup_target": "the learning rate rises to initial_learning_rate: leave it out",
    },
}
"""Call, or class and its bases: argument: what to use instead."""


def no_attribute(owner: str, name: str, kind: str, names: Callable[[], Iterable[str]]) -> NoAttribute:
    """Return the error for a missing attribute; `names()` returns the existing ones."""
    return NoAttribute(_Missing(owner, name, kind, names))


@dataclass(frozen=True)
class _Missing:
    """The error's message, formatted when it is read."""

    owner: str
    name: str
    kind: str
    names: Callable[[], Iterable[str]]

    def __str__(self) -> str:
        if (use := ATTRIBUTES.get(self.kind, {}).get(self.name)) is not None:
            return f"{self.owner} has no {self.name!r}: {use}"
        if self.owner == PACKAGE and (places := _in_modules(self.name)):
            return f"{self.owner} has no {self.name!r}: use {' or '.join(places)}"
        near = did_you_mean(self.name, [each for each in self.names() if not each.startswith("_")])
        return f"{self.owner} has no attribute {self.name!r}{f': {near.strip()}' if near else ''}"

    __repr__ = __str__

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return str, (str(self),)


def _in_modules(name: str) -> list[str]:
    """Return where the package's public modules have the name, such as dk.optimizers.Lion."""
    places = vars(sys.modules[PACKAGE])["_PLACES"]  # not dir(), whose estimators need packages that may be missing
    modules = {each: import_module(f"{PACKAGE}.{each}") for each, home in sorted(places.items()) if home == PACKAGE}
    return [f"dk.{each}.{name}" for each, module in modules.items() if _offers(module, name)]


def _offers(module: ModuleType, name: str) -> bool:
    """Whether a module has something of this package under a public name."""
    found = None if name.startswith("_") else getattr(module, name, None)
    home = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", PACKAGE)
    return found is not None and home.startswith(PACKAGE)


class _Absent:
    """A class attribute that raises the table's message; users may still assign the attribute."""

    def __init__(self, name: str, kind: str) -> None:
        self._name, self._kind = name, kind

    def __get__(self, owner: Any, of: type) -> Any:
        raise no_attribute(f"a {of.__name__}", self._name, self._kind, lambda: dir(of))


def add_missing(owner: type, kind: str) -> None:
    """Make the class's attributes in the table raise their messages.

    Uses descriptors because `__getattr__` on a class slows down every attribute access, by 80 ns in Python 3.11.
    """
    for name in ATTRIBUTES[kind]:
        setattr(owner, name, _Absent(name, kind))


def refuse(call: str, given: Iterable[str], taken: Callable[..., Any]) -> None:
    """Raise `UnknownArgument` if there are keyword arguments that the call does not take."""
    for name in given:
        _refuse((call,), f"{call}()", name, taken)


def refuse_fields(kind: type, given: Mapping[str, Any]) -> None:
    """`refuse` for the constructor of a class, which may define `__init__`."""
    for name in given:
        taken = signature(kind).parameters.values()
        if not any(each.name == name or each.kind is each.VAR_KEYWORD for each in taken):
            _refuse(tuple(base.__name__ for base in kind.__mro__), kind.__name__, name, kind)


def _refuse(places: tuple[str, ...], what: str, name: str, taken: Callable[..., Any]) -> None:
    for place in places:
        if (use := ARGUMENTS.get(place, {}).get(name)) is not None:
            raise UnknownArgument(f"{what} takes no argument {name!r}: {use}")
    near = did_you_mean(name, signature(taken).parameters)
    raise UnknownArgument(f"{what} takes no argument {name!r}{f': {near.strip()}' if near else ''}")
