"""What a save describes: NumPy scalars as plain numbers, arrays in a custom class as arrays."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError
from dnnkit.saves.serialization import describe, rebuild


@dataclass(frozen=True)
class Table(dk.schedules.Schedule):
    """Rates from an array; a tuple would not do, because it is multiplied."""

    rates: np.ndarray
    factor: float = 1.0

    def __call__(self, step):
        return (self.rates * self.factor)[step % len(self.rates)]


@dataclass(frozen=True)
class WithoutBase:
    """A class whose numbers dnnkit does not inspect."""

    number: object


@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(3), np.bool_(True), np.array(0.5), np.longdouble(0.5)])
def test_numpys_numbers_are_plain_ones(number):
    described = json.loads(json.dumps(describe(WithoutBase(number))))
    assert rebuild(described, {"WithoutBase": WithoutBase}) == WithoutBase(number)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "uint64"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (0,)])
def test_arrays_come_back_as_arrays(dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    again = rebuild(json.loads(json.dumps(describe(array))), {})
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again.reshape(shape), array)


@pytest.mark.parametrize("thing", [np.array(["a"]), np.array([object()]), np.ma.masked, 1j, object()])
def test_values_that_are_not_numbers_are_rejected(thing):
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        describe(thing)


def test_a_network_with_a_schedule_of_an_array_is_saved_and_resumes(tmp_path):
    net = dk.Sequential([dk.Dense(1)], seed=0, backend="numpy")
    net.compile(dk.SGD(Table(np.array([0.1, 0.2]), np.float32(0.5))), "mean_squared_error")
    x = np.ones((4, 2))
    net.fit(x, x[:, :1], epochs=2, verbose=0)
    net.save(tmp_path / "run")
    again = dk.load(tmp_path / "run", backend="numpy", custom_objects={"Table": Table})
    assert [net.fit(x, x[:, :1], verbose=0)["loss"]] == [again.fit(x, x[:, :1], verbose=0)["loss"]]
