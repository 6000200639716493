"""An autoencoder of digits with a bottleneck of two numbers: `python examples/autoencoder.py [--epochs 200]`.

64 pixels are compressed to two numbers and restored. The output of the layer "code" is a map of the digits. How well it
separates them is measured by a vote of the five nearest training digits, and compared with the first two principal
components of the same data. The encoder is a network of the autoencoder's layers and shares their weights. G. Hinton,
R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313, 2006.
"""

import argparse
import time
from typing import Any

import numpy as np

import dnnkit as dk


def autoencoder(seed: int = 0) -> dk.Sequential:
    """Return a network 64-64-32-2-32-64-64."""
    net = dk.Sequential(
        [
            dk.Input((8, 8)),
            dk.Rescaling(1 / 16),
            dk.Flatten(),
            dk.Dense(64, activation="gelu"),
            dk.Dense(32, activation="gelu"),
            dk.Dense(2, name="code"),
            dk.Dense(32, activation="gelu"),
            dk.Dense(64, activation="gelu"),
            dk.Dense(64, activation="sigmoid"),
        ],
        seed=seed,
    )
    net.compile(dk.Adam(2e-3), "mean_squared_error")
    return net


def voted(codes: Any, labels: Any, known: Any, known_labels: Any, voters: int = 5) -> float:
    """Return the accuracy of a k-nearest-neighbour vote."""
    distances = ((codes[:, None] - known[None]) ** 2).sum(-1)
    nearest = known_labels[np.argsort(distances, axis=1)[:, :voters]]
    return float(np.mean([np.bincount(votes).argmax() == label for votes, label in zip(nearest, labels, strict=True)]))


def main(epochs: int = 200) -> dict[str, float]:
    """Train, and print how well the codes separate the digits."""
    (x, labels), (x_test, labels_test) = dk.datasets.digits.load_data()
    pixels, pixels_test = (each.reshape(len(each), -1) / 16 for each in (x, x_test))
    net = autoencoder()
    encoder = dk.Model(net.input, net.get_layer("code").output)
    start = time.perf_counter()
    net.fit(x, pixels, batch_size=32, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    mean = pixels.mean(axis=0)
    axes = np.linalg.svd(pixels - mean, full_matrices=False)[2][:2]
    codes, codes_test = encoder.predict(x), encoder.predict(x_test)
    linear, linear_test = (pixels - mean) @ axes.T, (pixels_test - mean) @ axes.T
    found = {
        "error of the autoencoder": float(np.mean((net.predict(x_test) - pixels_test) ** 2)),
        "error of two principal components": float(np.mean((linear_test @ axes + mean - pixels_test) ** 2)),
        "digits known by their codes": voted(codes_test, labels_test, codes, labels),
        "digits known by two principal components": voted(linear_test, labels_test, linear, labels),
    }
    for name, value in found.items():
        print(f"{name:42} {value:.3f}")
    print(f"trained for {epochs} epochs in {seconds:.1f} s")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    main(parser.parse_args().epochs)
