"""Calls as programs for Keras 3 make them, with `keras` meaning dnnkit; each runs as written.

For a call that does not work, the reason follows `!`: the call then has to be an error that says what to use instead.
docs/from-keras.md publishes these.
"""

from dataclasses import dataclass

SET_UP = """
import copy, pickle
import numpy as np
import dnnkit as keras
from dnnkit import layers, losses, metrics, optimizers, callbacks, initializers, activations, utils, models
from dnnkit.layers import Dense, Dropout, Flatten, Input
from dnnkit.models import Sequential

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 6)).astype("float32")
images = rng.integers(0, 256, (64, 4, 4), np.uint8)
labels = rng.integers(0, 3, 64)
one_hot = np.eye(3)[labels]
binary = rng.integers(0, 2, 64)
values = x @ rng.normal(size=6)

def classifier(loss="sparse_categorical_crossentropy", metrics=("accuracy",), optimizer="adam"):
    model = keras.Sequential([layers.Input((6,)), Dense(8, activation="relu", name="hidden"), Dropout(0.1),
                              Dense(3, activation="softmax", name="out")])
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    return model

def detector(loss="binary_crossentropy", metrics=("accuracy",)):
    model = keras.Sequential([Dense(8, activation="relu"), Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss=loss, metrics=list(metrics))
    return model

def regressor(loss="mse", metrics=(), optimizer="adam"):
    model = keras.Sequential([Dense(8, activation="relu"), Dense(1)])
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    return model

class Ends(callbacks.Callback):
    seen = []
    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(f"epoch {epoch}")
    def on_train_end(self, logs=None):
        self.seen.append("train")

class Batches(callbacks.Callback):
    seen = []
    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(f"batch {batch}")

class Tests(callbacks.Callback):
    seen = []
    def on_test_end(self, logs=None):
        self.seen.append("test")

model = classifier()
history = model.fit(x, labels, epochs=2, verbose=0, validation_split=0.25)
"""

CALLS = {
    "layers": r"""
layers.Dense(64)
layers.Dense(64, "relu")
layers.Dense(64, activation="relu", kernel_initializer="he_normal", bias_initializer="zeros")
layers.Dense(64, activation=activations.relu)
layers.Dense(64, activation=None, use_bias=False)
layers.Dense(units=10, activation="softmax", name="predictions")
layers.Dense(64, input_shape=(784,))
layers.Dense(64, input_dim=784)
layers.Dense(8, kernel_initializer=initializers.HeNormal())
layers.Dense(8, kernel_initializer=initializers.RandomNormal(stddev=0.01))
layers.Dense(8, trainable=False)
layers.Activation("relu")
layers.Activation(activations.tanh)
layers.Dropout(0.5)
layers.Dropout(rate=0.5, name="drop")
layers.Flatten()
layers.Flatten(input_shape=(28, 28))
layers.Rescaling(1.0 / 255)
layers.Rescaling(scale=1.0 / 127.5, offset=-1)
layers.ReLU()
layers.Softmax()
layers.ELU(alpha=1.0)
layers.LeakyReLU(negative_slope=0.1)
layers.Input(shape=(784,))
keras.Input((28, 28))
keras.layers.Dense(3)
keras.Sequential([layers.Dense(8, kernel_regularizer="l2")]).build((4,))
layers.Dense(8, kernel_regularizer=keras.regularizers.L2(1e-4), bias_regularizer=keras.regularizers.L1(1e-5))
layers.Dense(8, kernel_regularizer=keras.regularizers.L1L2(l1=1e-5, l2=1e-4))
layers.Dense(8, kernel_constraint="non_neg")
layers.Dense(8, kernel_constraint=keras.constraints.MaxNorm(3))
layers.Dense(8, activity_regularizer="l2") ! penalties are of parameters
layers.BatchNormalization()
layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=True, scale=False)
layers.LayerNormalization(epsilon=1e-6)
layers.RMSNormalization()
norm = layers.Normalization(); norm.adapt(x); Sequential([norm, Dense(3)]).predict(x).shape == (64, 3)
layers.Normalization(mean=0.0, variance=2.0)
layers.PReLU()
layers.GroupNormalization() ! layer, RMS and batch normalisation are there
layers.Conv2D(32, 3) ! networks are dense
layers.MaxPooling2D() ! networks are dense
layers.LSTM(32) ! networks are dense
layers.Embedding(1000, 16)
Sequential([layers.Embedding(input_dim=3, output_dim=4), Flatten(), Dense(2)]).predict(labels[:, None]).shape == (64, 2)
Sequential([layers.CategoryEncoding(3, output_mode="one_hot"), Dense(2)]).predict(labels[:, None]).shape == (64, 2)
layers.StringLookup() ! class numbers are made with NumPy
layers.Concatenate()
layers.Add()
layers.Multiply(name="gate")
layers.Maximum() ! Add, Subtract, Multiply, Average and Concatenate are there
layers.Reshape((2, 3))
layers.Reshape((-1, 2))
layers.GaussianNoise(0.1)
layers.Lambda(lambda t: t * 2) ! a layer of one's own
""",
    "models": r"""
keras.Sequential([Dense(8), Dense(3)])
keras.models.Sequential([Dense(8), Dense(3)])
Sequential([Input(shape=(6,)), Dense(8), Dense(3)])
Sequential([Dense(8, input_shape=(6,)), Dense(3)])
Sequential([Dense(8, input_dim=6), Dense(3)])
Sequential(name="mlp")
Sequential([Dense(3)], name="mlp").name == "mlp"
m = Sequential(); m.add(Input(shape=(6,))); m.add(Dense(8, activation="relu")); m.add(Dense(3))
m.pop(); m.add(Dense(5, activation="softmax"))
m.layers[0].units == 8 and len(m.layers) == 2
Sequential([Dense(3)]).build((None, 6))
Sequential([Dense(3)]).build(input_shape=(None, 6))
model.summary()
model.summary(line_length=100)
model.summary(print_fn=lambda text: None)
model.layers
model.layers[0].units == 8
[layer.name for layer in model.layers][::2] == ["hidden", "out"]
model.get_layer("hidden").units == 8
model.get_layer(index=0).name == "hidden"
model.get_layer(name="out").get_weights()[0].shape == (8, 3)
model.count_params() == 83
model.layers[0].count_params() == 56
model.optimizer
model.loss
keras.models.clone_model(model).count_params() == 83
copy.deepcopy(model).predict(x).shape == (64, 3)
pickle.loads(pickle.dumps(model)).predict(x).shape == (64, 3)
repr(model), repr(history), repr(model.layers[0])
model.trainable = False; assert not model.layers[0].trainable; model.trainable = True
model.layers[0].trainable
type("Own", (keras.Model,), {"call": lambda self, x: x})() ! what `call` does is written by calling layers
model.inputs
model.layers[0].output
model.get_config() ! net.save writes architecture.json
model.to_json() ! net.save writes architecture.json
""",
    "functional": r"""
inputs = keras.Input(shape=(6,)); h = layers.Dense(8, activation="relu")(inputs); outputs = layers.Dense(3)(h)
keras.Model(inputs=inputs, outputs=outputs, name="mlp").name == "mlp"
f = keras.Model(inputs, outputs); f.compile(optimizer="adam", loss="mse"); f.fit(x, one_hot, epochs=1, verbose=0)
f.predict(x, verbose=0).shape == (64, 3)
f(x).shape == (64, 3)
inputs.shape == (None, 6) and h.shape[-1] == 8
layers.concatenate([h, inputs]).shape == (None, 14)
layers.Concatenate(axis=-1)([h, inputs]).shape == (None, 14)
layers.add([h, layers.Dense(8)(h)]); layers.multiply([h, h]); layers.subtract([h, h]); layers.average([h, h])
layers.Add()([h, h]); h + h; h * h; h - h
h * 2.0 ! a layer computes with symbolic values: Rescaling(2.0)
h[:, :2] ! layers alone compute with symbolic values
keras.Model(inputs=f.inputs, outputs=f.layers[0].output).predict(x, verbose=0).shape == (64, 8)
keras.Model(inputs=f.input, outputs=f.get_layer("dense").output)
shared = Dense(4); a, b = Input((6,), name="a"), Input((6,), name="b"); two = keras.Model([a, b], shared(a) + shared(b))
two.count_params() == 28
two.predict([x, x], verbose=0); two.predict({"a": x, "b": x}, verbose=0)
two.predict((x, x), verbose=0); two([x, x])
heads = keras.Model(inputs, [Dense(3, "softmax", name="kind")(h), Dense(1, name="value")(h)])
heads.compile("adam", loss=["sparse_categorical_crossentropy", "mse"], loss_weights=[1.0, 0.2])
heads.compile("adam", loss={"kind": "sparse_categorical_crossentropy", "value": "mse"}, metrics={"kind": ["accuracy"]})
heads.fit(x, [labels, values], epochs=1, verbose=0); heads.fit(x, {"kind": labels, "value": values}, verbose=0)
history = heads.fit(x, {"kind": labels, "value": values}, epochs=2, validation_split=0.25, verbose=0)
{"loss", "kind_loss", "value_loss", "kind_accuracy", "val_kind_accuracy"} <= set(history.history)
heads.evaluate(x, [labels, values], verbose=0, return_dict=True)["value_loss"] > 0
[part.shape for part in heads.predict(x, verbose=0)] == [(64, 3), (64, 1)]
heads.fit(x, [labels, values], class_weight={0: 2.0}, verbose=0) ! classes of several outputs are not the same
heads.fit(x, [labels, values], sample_weight={"kind": np.ones(64)}, verbose=0)
heads.fit(x, [labels, values], class_weight={"kind": {0: 2.0}}, verbose=0)
named = keras.Model({"in": inputs}, {"kind": h}); named.predict({"in": x}, verbose=0)["kind"].shape == (64, 8)
outer = keras.Model(a, f(a)); outer.layers[-1].get_weights()[0].shape == (6, 8)
outer2 = keras.Sequential([f, Dense(1)]); outer2.predict(x, verbose=0).shape == (64, 1)
f.save("functional.keras"); isinstance(keras.models.load_model("functional.keras"), keras.Model)
isinstance(keras.models.clone_model(heads), keras.Model)
heads.summary()
heads.output_names == ["kind", "value"] and two.input_names == ["a", "b"]
f.trainable = False; f.trainable = True
""",
    "compile": r"""
classifier(optimizer="adam")
classifier(optimizer="Adam")
classifier(optimizer=optimizers.Adam(learning_rate=1e-3))
classifier(loss="sparse_categorical_crossentropy")
classifier(loss="SparseCategoricalCrossentropy")
classifier(loss=losses.SparseCategoricalCrossentropy())
classifier(loss=losses.CategoricalCrossentropy())
regressor(loss="mse")
regressor(loss="MSE")
regressor(loss="mean_squared_error")
regressor(loss=losses.MeanSquaredError())
detector(loss=losses.BinaryCrossentropy())
detector(loss="binary_crossentropy")
regressor(loss="mae")
regressor(loss="mean_absolute_error")
regressor(loss=losses.MeanAbsoluteError())
regressor(loss="huber")
regressor(loss=losses.Huber(delta=1.0))
regressor(loss="log_cosh")
regressor(loss=losses.LogCosh())
regressor(loss="poisson")
regressor(loss=losses.Poisson())
detector(loss="hinge", metrics=[])
detector(loss=losses.SquaredHinge(), metrics=[])
classifier(loss="kl_divergence")
classifier(loss=losses.KLDivergence())
detector(loss=losses.BinaryFocalCrossentropy())
detector(loss=losses.BinaryCrossentropy(label_smoothing=0.1))
classifier(loss=losses.CategoricalCrossentropy(label_smoothing=0.1))
classifier(loss=losses.CategoricalCrossentropy(from_logits=False))
m = Sequential([Dense(3)]); m.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True))
m = Sequential([Dense(1)]); m.compile("adam", losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
m = Sequential([Dense(3)]); m.compile(loss="mse")
classifier(metrics=["acc"])
classifier(metrics=["sparse_categorical_accuracy"])
classifier(loss="categorical_crossentropy", metrics=["categorical_accuracy"])
detector(metrics=["binary_accuracy"])
classifier(metrics=[metrics.SparseCategoricalAccuracy()])
classifier(loss="categorical_crossentropy", metrics=[metrics.CategoricalAccuracy(name="acc")])
detector(metrics=[metrics.BinaryAccuracy(threshold=0.3)])
detector(metrics=[metrics.AUC()])
detector(metrics=["AUC"])
detector(metrics=["accuracy", metrics.Precision(), metrics.Recall()])
detector(metrics=[metrics.Precision(name="precision"), metrics.AUC(name="auc")])
regressor(metrics=["mae"])
regressor(metrics=["mae", "mse"])
regressor(metrics=[metrics.RootMeanSquaredError()])
regressor(metrics=[metrics.R2Score()])
regressor(metrics=[metrics.MeanAbsoluteError(name="mae")])
classifier(loss="categorical_crossentropy", metrics=[metrics.TopKCategoricalAccuracy(k=2)])
regressor(metrics=[lambda y_true, y_pred: np.mean(np.abs(y_true - y_pred), axis=1)])
classifier(optimizer=optimizers.SGD(learning_rate=0.1, momentum=0.9, nesterov=True))
classifier(optimizer="rmsprop")
classifier(optimizer=optimizers.RMSprop(learning_rate=1e-3, rho=0.9))
classifier(optimizer=optimizers.AdamW(learning_rate=1e-3, weight_decay=4e-3))
classifier(optimizer=optimizers.Adam(1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7))
classifier(optimizer=optimizers.Adam(global_clipnorm=1.0))
classifier(optimizer=optimizers.Adam(optimizers.schedules.ExponentialDecay(1e-2, decay_steps=100, decay_rate=0.9)))
classifier(optimizer=optimizers.SGD(optimizers.schedules.CosineDecay(0.1, decay_steps=100)))
classifier(optimizer=optimizers.SGD(optimizers.schedules.PiecewiseConstantDecay([10, 20], [0.1, 0.01, 0.001])))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=False) ! training is compiled
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=True) ! training is compiled
classifier(optimizer=optimizers.Adam(clipnorm=1.0))
classifier(optimizer=optimizers.Adam(clipvalue=0.5))
classifier(optimizer=optimizers.Adam(amsgrad=True))
classifier(optimizer=optimizers.Adam(use_ema=True, ema_momentum=0.99))
classifier(optimizer=optimizers.Nadam())
classifier(optimizer=optimizers.Adagrad(learning_rate=0.01, initial_accumulator_value=0.1))
classifier(optimizer=optimizers.Adamax(weight_decay=1e-4))
classifier(optimizer=optimizers.Lion(learning_rate=1e-4, beta_1=0.9, beta_2=0.99))
optimizers.AdamW(weight_decay=0.01).exclude_from_weight_decay(var_names=["bias"])
optimizers.Adam(lr=1e-3) ! of Keras 1: learning_rate=
optimizers.Adam(use_ema=True, ema_overwrite_frequency=10) ! net.set_parameters(net.averages) where it is wanted
optimizers.Ftrl() ! Adam, or a rule of one's own
""",
    "fit": r"""
model.fit(x, labels, verbose=0)
model.fit(x, labels, 32, 2, 0)
model.fit(x, labels, batch_size=16, epochs=2, verbose=0)
model.fit(x, labels, batch_size=None, verbose=0)
model.fit(x=x, y=labels, verbose=0)
model.fit(x, labels[:, None], verbose=0)
model.fit(x, labels.astype("float32"), verbose=0)
model.fit(x, labels.astype("uint8"), verbose=0)
model.fit(x, labels.astype("int64"), verbose=0)
model.fit(x, labels, verbose=2)
model.fit(x, labels, validation_split=0.25, verbose=0)
model.fit(x, labels, validation_data=(x, labels), verbose=0)
model.fit(x, labels, validation_data=(x, labels, np.ones(64)), verbose=0)
model.fit(x, labels, validation_data=(x, labels), validation_freq=2, epochs=4, verbose=0)
model.fit(x, labels, shuffle=False, verbose=0)
model.fit(x, labels, class_weight={0: 1.0, 1: 2.0, 2: 1.0}, verbose=0)
model.fit(x, labels, sample_weight=np.ones(64), verbose=0)
model.fit(x, labels, initial_epoch=1, epochs=3, verbose=0)
model.fit(x, labels, steps_per_epoch=4, epochs=2, verbose=0)
model.fit(x, labels, verbose=0, callbacks=[])
regressor().fit(x, values, verbose=0)
regressor().fit(x, values[:, None], verbose=0)
detector().fit(x, binary, verbose=0)
detector().fit(x, binary == 1, verbose=0)
detector().fit(x, binary, class_weight={0: 1, 1: 3}, verbose=0)
classifier("categorical_crossentropy").fit(x, one_hot, verbose=0)
classifier("categorical_crossentropy").fit(x, utils.to_categorical(labels), verbose=0)
m = Sequential([Input((4, 4)), layers.Rescaling(1 / 255), Flatten(), Dense(3, "softmax")]); m.compile("adam", "mse")
m.fit(images, one_hot, verbose=0)
history.history["loss"][-1]
history.history["val_accuracy"]
history.epoch == [0, 1]
sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
model.train_on_batch(x, labels)
loss, accuracy = model.train_on_batch(x, labels)
model.train_on_batch(x, labels, return_dict=True)["accuracy"]
model.train_on_batch(x, labels, sample_weight=np.ones(64))
model.train_on_batch(x, labels, class_weight={0: 1.0, 1: 2.0})
float(regressor().train_on_batch(x, values))
model.stop_training = True
model.optimizer.learning_rate = 1e-4
model.fit(((x[:8], labels[:8]) for _ in range(2))) ! data are arrays; a loop over train_step takes pieces
model.fit(x, labels, workers=4, use_multiprocessing=True) ! of Keras 2: one process feeds the training
model.fit(x, labels, validation_data=(x, labels), validation_steps=2) ! validation data are evaluated whole
model.fit_generator(None) ! of Keras 1: data are arrays; a loop over train_step takes pieces
""",
    "evaluate and predict": r"""
loss, accuracy = model.evaluate(x, labels)
loss, accuracy = model.evaluate(x, labels, verbose=0)
score = model.evaluate(x, labels, verbose=0); score[0], score[1]
print(f"{model.evaluate(x, labels)[1]:.3f}")
model.evaluate(x, labels, 16)
model.evaluate(x, labels, batch_size=16, verbose=1)
model.evaluate(x, labels, return_dict=True)["accuracy"]
model.evaluate(x, labels, sample_weight=np.ones(64))
print(f"{regressor().evaluate(x, values):.3f}")
model.test_on_batch(x, labels)
model.test_on_batch(x, labels, return_dict=True)
model.predict(x).argmax(axis=1)
model.predict(x, verbose=0)
model.predict(x, batch_size=16)
model.predict(x, 16, 1)
model.predict(x[:1])[0]
model(x).shape == (64, 3)
model(x, training=False)
np.argmax(model(x), axis=-1)
(detector().predict(x) > 0.5).astype("int32")
model.evaluate(x, labels, steps=2) ! arrays are evaluated whole
model(x, training=True) ! predictions drop nothing
model.predict_on_batch(x) ! net.predict(x) is that
model.predict_classes(x) ! of Keras 1: predict and argmax
""",
    "weights": r"""
model.get_weights()
model.set_weights(model.get_weights())
classifier().set_weights(model.get_weights())
model.layers[0].get_weights()
w, b = model.layers[0].get_weights()
model.layers[0].set_weights([w * 0.5, b])
model.get_layer("out").set_weights([np.zeros((8, 3)), np.zeros(3)])
len(model.weights) == 4
[weight.shape for weight in model.weights][0] == (6, 8)
model.weights[0].numpy()
model.weights[0].name == "kernel"
model.weights[0].path.endswith("hidden/kernel")
model.layers[0].weights[0].assign(np.zeros((6, 8)))
model.layers[0].kernel.numpy()
np.asarray(model.layers[0].bias)
len(model.trainable_weights) == 4
len(model.trainable_variables) == 4
sum(np.prod(weight.shape) for weight in model.trainable_weights) == model.count_params()
len(model.non_trainable_weights) == 0
model.layers[0].add_weight(shape=(2,)) ! a layer of one's own says them in parameters
""",
    "callbacks": r"""
model.fit(x, labels, validation_split=0.25, verbose=0, callbacks=[callbacks.EarlyStopping(patience=2)])
callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
callbacks.EarlyStopping(monitor="val_accuracy", mode="max", min_delta=0.001)
callbacks.ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True)
callbacks.CSVLogger("log.csv")
callbacks.TerminateOnNaN()
model.fit(x, labels, verbose=0, callbacks=[callbacks.CSVLogger("log.csv"), callbacks.TerminateOnNaN()])
keras.callbacks.Callback()
callbacks.EarlyStopping("val_loss", 0, 3)
callbacks.EarlyStopping(monitor="val_loss", patience=3, verbose=1)
callbacks.EarlyStopping(start_from_epoch=5)
callbacks.EarlyStopping(baseline=0.5)
callbacks.ModelCheckpoint("best.keras", verbose=1)
callbacks.ModelCheckpoint(filepath="best.weights.h5", save_weights_only=True)
callbacks.CSVLogger("log.csv", append=True)
callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=2, min_lr=1e-5)
callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
model.fit(x, labels, verbose=0, validation_split=0.25, callbacks=[callbacks.ReduceLROnPlateau(patience=1)])
model.fit(x, labels, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 1e-3)])
model.fit(x, labels, verbose=0, callbacks=[Ends()]); assert Ends.seen == ["epoch 0", "train"]
model.fit(x, labels, verbose=0, callbacks=[Batches()]); assert Batches.seen == ["batch 0", "batch 1"]
model.evaluate(x, labels, callbacks=[Tests()]); assert Tests.seen
callbacks.BackupAndRestore("backup") ! fit(checkpoint=folder) is that
callbacks.RemoteMonitor() ! a Callback of one's own
""",
    "initializers, activations, optimizers": r"""
initializers.GlorotUniform()
initializers.HeUniform()
initializers.LecunNormal()
initializers.Zeros(), initializers.Ones(), initializers.Constant(0.1)
initializers.RandomNormal(stddev=0.05)
initializers.RandomUniform()
initializers.VarianceScaling(scale=2.0)
activations.relu(np.array([-1.0, 2.0]))
activations.softmax(np.array([[1.0, 2.0]]))
activations.sigmoid(0.0)
activations.gelu, activations.elu, activations.selu, activations.softplus, activations.softsign, activations.swish
layers.Dense(3, activation="swish")
layers.Dense(3, activation="leaky_relu")
optimizers.schedules.ExponentialDecay(0.1, 100, 0.96, staircase=True)(100)
optimizers.schedules.CosineDecay(0.1, 100, alpha=0.1)(50)
optimizers.schedules.CosineDecayRestarts(0.1, 100, t_mul=2.0, m_mul=0.9)(250)
optimizers.schedules.PolynomialDecay(0.1, 100, end_learning_rate=0.01, power=0.5)(50)
optimizers.schedules.InverseTimeDecay(0.1, 100, decay_rate=0.5)(50)
initializers.HeNormal(seed=0) ! weights follow from the network's seed
initializers.RandomUniform(minval=-0.05, maxval=0.05) ! the bounds are called low and high
initializers.RandomNormal(mean=0.0, stddev=0.05) ! the mean is 0
initializers.VarianceScaling(2.0, mode="fan_in", distribution="uniform") ! average= and uniform= say it
initializers.Orthogonal() ! GlorotUniform, or one of one's own
""",
    "files and tools": r"""
model.save("model.keras")
keras.models.load_model("model.keras").predict(x)
models.load_model("model.keras", compile=False)
keras.models.save_model(model, "other.keras")
model.save_weights("w.weights.h5")
model.load_weights("w.weights.h5")
utils.to_categorical(labels)
utils.to_categorical(labels, num_classes=3)
keras.utils.to_categorical([0, 2, 1], 3).shape == (3, 3)
keras.utils.set_random_seed(812)
utils.normalize(x)
keras.datasets.mnist.load_data
keras.datasets.fashion_mnist.load_data
keras.datasets.cifar10.load_data() ! read other data as NumPy arrays
keras.utils.plot_model(model, to_file="model.png", show_shapes=True)
keras.utils.Sequence() ! data are arrays; a loop over train_step takes pieces
model.export("exported") ! the path says the format: "net.onnx", "net.h" for C, or "net.py"
keras.mixed_precision.set_global_policy("mixed_float16") ! networks are float32 or float64
keras.applications.VGG16() ! there are no trained image models
""",
}
"""Program part -> its calls, one per line; they share the results of the lines before them."""


@dataclass(frozen=True)
class Call:
    """A line of a program, and the reason why it does not work; "" if it does."""

    part: str
    code: str
    reason: str = ""


def calls() -> list[Call]:
    """Return all of them, in order."""
    found = []
    for part, lines in CALLS.items():
        for line in lines.strip().splitlines():
            code, _, reason = line.partition(" ! ")
            found.append(Call(part, code.strip(), reason.strip()))
    return found
