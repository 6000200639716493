"""Whole programs for Keras, line by line: only `import keras` became `import dnnkit as keras`."""

from typing import Any

import numpy as np
import pytest

from dnnkit.backends import Backend
from tests.conftest import STRICT

rng = np.random.default_rng(1)
prototypes = rng.integers(0, 256, (10, 28, 28))
LABELS = rng.integers(0, 10, 700)
IMAGES = np.clip(prototypes[LABELS] + rng.normal(0, 60, (700, 28, 28)), 0, 255).astype("uint8")
TABLE = rng.normal(size=(400, 8)).astype("float32")
PRICES = TABLE @ rng.normal(size=8) + np.where(rng.uniform(size=400) < 0.05, 30.0, 0.0)  # with outliers
RARE = (TABLE[:, 0] + TABLE[:, 1] > 2).astype("float64")
TAGS = (TABLE @ rng.normal(size=(8, 3)) > 0).astype("float32")
DATA = {"np": np, "images": IMAGES, "labels": LABELS, "table": TABLE, "prices": PRICES, "rare": RARE, "tags": TAGS}

MNIST = """
import dnnkit as keras
from dnnkit import layers

num_classes = 10
x_train, x_test = images[:600].astype("float32") / 255, images[600:].astype("float32") / 255
x_train = x_train.reshape(600, 784)
x_test = x_test.reshape(100, 784)
y_train = keras.utils.to_categorical(labels[:600], num_classes)
y_test = keras.utils.to_categorical(labels[600:], num_classes)

model = keras.Sequential()
model.add(layers.Dense(64, activation="relu", input_shape=(784,)))
model.add(layers.Dropout(0.2))
model.add(layers.Dense(64, activation="relu"))
model.add(layers.Dropout(0.2))
model.add(layers.Dense(num_classes, activation="softmax"))
model.summary()
model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.RMSprop(), metrics=["accuracy"])
history = model.fit(
    x_train, y_train, batch_size=64, epochs=8, verbose=1, validation_data=(x_test, y_test),
    callbacks=[
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint("best.keras", monitor="val_accuracy", save_best_only=True),
        keras.callbacks.CSVLogger("training.csv"),
    ],
)
score = model.evaluate(x_test, y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])
best = keras.models.load_model("best.keras")
assert score[1] > 0.9
assert best.evaluate(x_test, y_test, verbose=0)[1] >= max(history.history["val_accuracy"]) - 1e-9
"""

PLATEAU = MNIST.replace(
    '        keras.callbacks.CSVLogger("training.csv"),\n',
    '        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_lr=1e-5, verbose=1),\n',
)

REGRESSION = """
import dnnkit as keras
from dnnkit import layers

model = keras.Sequential([keras.Input(shape=(8,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.Huber(delta=1.0), metrics=["mae", "mse"])
history = model.fit(table[:300], prices[:300], epochs=40, validation_split=0.2, verbose=0)
loss, mae, mse = model.evaluate(table[300:], prices[300:], verbose=0)
assert np.isclose(mae, np.abs(model.predict(table[300:], verbose=0).flatten() - prices[300:]).mean(), rtol=1e-4)
model.compile("adam", "mae")
model.fit(table, prices, epochs=2, verbose=0)
assert history.history["val_mae"][-1] < history.history["val_mae"][0]
"""

IMBALANCED = """
import dnnkit as keras

model = keras.Sequential([
    keras.layers.Dense(16, activation="relu"),
    keras.layers.Dropout(0.1),
    keras.layers.Dense(1, activation="sigmoid"),
])
metrics = [keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.Precision(name="precision"),
           keras.metrics.Recall(name="recall"), keras.metrics.AUC(name="auc")]
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01), loss=keras.losses.BinaryCrossentropy(),
              metrics=metrics)
weight = (1 / rare.mean()) * (len(rare) / 2) / len(rare)
model.fit(table[:300], rare[:300], batch_size=64, epochs=30, verbose=0, class_weight={0: 0.5, 1: weight},
          validation_data=(table[300:], rare[300:]))
found = model.evaluate(table[300:], rare[300:], verbose=0, return_dict=True)
predicted = model.predict(table[300:], verbose=0).flatten() > 0.5
assert np.isclose(found["recall"], predicted[rare[300:] == 1].mean())
assert found["auc"] > 0.9
"""

MULTI_LABEL = """
import dnnkit as keras
from dnnkit.layers import Dense

model = keras.models.Sequential()
model.add(Dense(32, input_dim=8, activation="relu"))
model.add(Dense(tags.shape[1], activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["acc"])
history = model.fit(table[:300], tags[:300], 16, 30, verbose=0, validation_data=(table[300:], tags[300:]))
loss, acc = model.evaluate(table[300:], tags[300:], verbose=0)
assert acc == history.history["val_acc"][-1]
assert acc > 0.8
yhat = (model.predict(table[300:]) > 0.5).astype("int32")
assert np.isclose((yhat == tags[300:]).mean(), acc)
"""

TICKETS = """
import dnnkit as keras
from dnnkit import layers

num_tags, num_departments = 5, 3
title_input = keras.Input(shape=(8,), name="title")
body_input = keras.Input(shape=(8,), name="body")
tags_input = keras.Input(shape=(num_tags,), name="tags")
title_features = layers.Dense(16, activation="relu")(title_input)
body_features = layers.Dense(16, activation="relu")(body_input)
x = layers.concatenate([title_features, body_features, tags_input])
priority_pred = layers.Dense(1, activation="sigmoid", name="priority")(x)
department_pred = layers.Dense(num_departments, activation="softmax", name="department")(x)
model = keras.Model(
    inputs=[title_input, body_input, tags_input],
    outputs={"priority": priority_pred, "department": department_pred},
)
model.compile(
    optimizer=keras.optimizers.RMSprop(1e-2),
    loss={
        "priority": keras.losses.BinaryCrossentropy(),
        "department": keras.losses.CategoricalCrossentropy(),
    },
    metrics={"department": ["accuracy"]},
    loss_weights={"priority": 1.0, "department": 0.2},
)
title_data, body_data = table, table[::-1].copy()
tags_data = np.random.default_rng(0).integers(2, size=(400, num_tags)).astype("float32")
priority_targets = (table[:, :1] > 0).astype("float32")
dept_targets = keras.utils.to_categorical((table[:, 1] > 0).astype(int) + (table[:, 2] > 0), num_departments)
history = model.fit(
    {"title": title_data, "body": body_data, "tags": tags_data},
    {"priority": priority_targets, "department": dept_targets},
    epochs=15, batch_size=32, validation_split=0.2, verbose=0,
    callbacks=[keras.callbacks.EarlyStopping(monitor="val_department_accuracy", patience=15, restore_best_weights=True),
               keras.callbacks.ModelCheckpoint("best.keras", monitor="val_department_accuracy", save_best_only=True)],
)
found = model.predict([title_data, body_data, tags_data], verbose=0)
assert (found["department"].argmax(axis=1) == dept_targets.argmax(axis=1)).mean() > 0.85
assert ((found["priority"] > 0.5) == priority_targets).mean() > 0.85
best = keras.models.load_model("best.keras")
inputs = [title_data, body_data, tags_data]
values = best.evaluate(inputs, [priority_targets, dept_targets], verbose=0, return_dict=True)
assert set(values) == {"loss", "priority_loss", "department_loss", "department_accuracy"}
"""

RESIDUAL = """
import dnnkit as keras
from dnnkit import layers

inputs = keras.Input(shape=(8,), name="table")
x = layers.Dense(16, activation="relu")(inputs)
for _ in range(2):
    block = layers.Dense(16, activation="relu")(x)
    block = layers.Dropout(0.1)(block)
    block = layers.Dense(16)(block)
    x = layers.Activation("relu")(layers.add([x, block]))
outputs = layers.Dense(1)(x)
model = keras.Model(inputs, outputs, name="toy_resnet")
model.summary()
keras.utils.plot_model(model, "mini_resnet.png", show_shapes=True)
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=keras.losses.Huber(), metrics=["mae"])
history = model.fit(table[:300], prices[:300], batch_size=32, epochs=10, validation_split=0.2, verbose=0)
assert history.history["val_mae"][-1] < history.history["val_mae"][0]
"""

AUTOENCODER = """
import dnnkit as keras
from dnnkit import layers

encoder_input = keras.Input(shape=(8,), name="row")
x = layers.Dense(16, activation="tanh")(encoder_input)
encoder_output = layers.Dense(3)(x)
encoder = keras.Model(encoder_input, encoder_output, name="encoder")
decoder_input = keras.Input(shape=(3,), name="encoded_row")
x = layers.Dense(16, activation="tanh")(decoder_input)
decoder_output = layers.Dense(8)(x)
decoder = keras.Model(decoder_input, decoder_output, name="decoder")
autoencoder_input = keras.Input(shape=(8,), name="row")
encoded = encoder(autoencoder_input)
decoded = decoder(encoded)
autoencoder = keras.Model(autoencoder_input, decoded, name="autoencoder")
autoencoder.compile("adam", "mse")
history = autoencoder.fit(table, table, epochs=20, verbose=0)
assert history.history["loss"][-1] < 0.8 * history.history["loss"][0]
codes = encoder.predict(table, verbose=0)
assert np.allclose(decoder.predict(codes, verbose=0), autoencoder.predict(table, verbose=0), rtol=1e-4, atol=1e-5)
features = keras.Model(inputs=encoder.inputs, outputs=[layer.output for layer in encoder.layers])
assert [part.shape for part in features(table)] == [(400, 16), (400, 3)]
assert np.allclose(features(table)[1], codes, rtol=1e-4, atol=1e-5)
"""


PROGRAMS = {
    "MNIST": MNIST,
    "MNIST with ReduceLROnPlateau": PLATEAU,
    "regression": REGRESSION,
    "imbalanced": IMBALANCED,
    "multi-label": MULTI_LABEL,
    "several inputs and outputs": TICKETS,
    "residual": RESIDUAL,
    "models within models": AUTOENCODER,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs(backend: Backend, program: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend.name == STRICT:
        pytest.skip("trains by the formulas that NumPy trains by, but slowly")
    monkeypatch.chdir(tmp_path)
    start = "import dnnkit\ndnnkit.utils.set_random_seed(3)\n"
    exec(compile(start + PROGRAMS[program], "<program>", "exec"), dict(DATA))
