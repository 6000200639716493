"""A regression from two inputs of different kinds: `python examples/two_inputs.py [--epochs 60]`.

The power that a device draws depends on eight sensor readings and on its mode, one of five; the mode determines how the
readings count. Each input has separate layers before both are joined; a model without the mode shows what it adds. The
data are synthetic, with noise of 0.1.
"""

import argparse
from typing import Any

import numpy as np

import dnnkit as dk

READINGS, MODES, NOISE = 8, 5, 0.1


def data(count: int, seed: int) -> tuple[dict[str, Any], Any]:
    """Return ({"sensors": (N, 8), "mode": one-hot (N, 5)}, power (N, 1))."""
    weights = np.random.default_rng(123).normal(size=(MODES, READINGS)) / np.sqrt(READINGS)
    rng = np.random.default_rng(seed)
    sensors, mode = rng.normal(size=(count, READINGS)), rng.integers(0, MODES, count)
    power = np.tanh((sensors * weights[mode]).sum(1)) + 0.3 * mode + NOISE * rng.normal(size=count)
    return {"sensors": sensors, "mode": np.eye(MODES)[mode]}, power[:, None]


def both(seed: int = 0) -> dk.Model:
    """Sensors and mode -> power."""
    sensors, mode = dk.Input((READINGS,), name="sensors"), dk.Input((MODES,), name="mode")
    seen = dk.Dense(48, activation="gelu")(sensors)
    known = dk.Dense(16, activation="gelu")(mode)
    met = dk.Dense(48, activation="gelu")(dk.Concatenate()([seen, known]))
    return dk.Model([sensors, mode], dk.Dense(1, name="power")(met), seed=seed)


def alone(seed: int = 0) -> dk.Model:
    """Sensors -> power."""
    sensors = dk.Input((READINGS,), name="sensors")
    hidden = dk.Dense(48, activation="gelu")(dk.Dense(48, activation="gelu")(sensors))
    return dk.Model(sensors, dk.Dense(1, name="power")(hidden), seed=seed)


def main(epochs: int = 60) -> dict[str, float]:
    """Train both, and print their errors on held-out data."""
    (x, y), (x_test, y_test) = data(4000, 1), data(1000, 2)
    found = {}
    for name, net in (("sensors and mode", both()), ("sensors alone", alone())):
        given, given_test = ({each: samples[each] for each in net.input_names} for samples in (x, x_test))
        net.compile(dk.Adam(3e-3), "mean_squared_error")
        net.fit(given, y, batch_size=64, epochs=epochs, verbose=0)
        found[name] = float(np.sqrt(net.evaluate(given_test, y_test)["loss"]))
        print(f"{name:17} root mean squared error {found[name]:.3f}")
    print(f"{'noise':17} {'':23} {NOISE:.3f}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    main(parser.parse_args().epochs)
