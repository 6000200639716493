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


PROGRAMS = {
    "MNIST": MNIST,
    "MNIST with ReduceLROnPlateau": PLATEAU,
    "regression": REGRESSION,
    "imbalanced": IMBALANCED,
    "multi-label": MULTI_LABEL,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs(backend: Backend, program: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend.name == STRICT:
        pytest.skip("trains by the formulas that NumPy trains by, but slowly")
    monkeypatch.chdir(tmp_path)
    start = "import dnnkit\ndnnkit.utils.set_random_seed(3)\n"
    exec(compile(start + PROGRAMS[program], "<program>", "exec"), dict(DATA))
