"""Settings: NumPy scalars become Python numbers where they are passed, and invalid ones are rejected there."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import schedules
from dnnkit.errors import ConfigurationError
from dnnkit.initializers import Constant, RandomNormal, RandomUniform, VarianceScaling
from dnnkit.losses import BinaryCrossentropy, CategoricalCrossentropy
from dnnkit.optimizers import Optimizer
from dnnkit.settings import plain

NAN, INFINITE = float("nan"), float("inf")


class OfAnotherLibrary:
    """An array without axes, as CuPy and others have them."""

    shape = ()

    def item(self) -> float:
        return 0.25


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.uint8(3), 3),
        (np.array(3), 3),
        (np.array(0.5, np.float32), 0.5),
        (np.bool_(True), True),
        (OfAnotherLibrary(), 0.25),
        ("relu", "relu"),
        (None, None),
    ],
)
def test_plain_numbers_are_pythons(given, expected):
    assert plain(given) == expected
    assert type(plain(given)) is type(expected)


def test_arrays_with_axes_or_a_mask_are_not_converted():
    array = np.ones(1)
    assert plain(array) is array
    assert plain(np.ma.masked) is np.ma.masked


@pytest.mark.parametrize(
    ("given", "plain_one"),
    [
        (lambda n: dk.Rescaling(n(0.25), n(-1)), dk.Rescaling(0.25, -1.0)),
        (lambda n: dk.Dense(n(3).astype(int)), dk.Dense(3)),
        (lambda n: dk.Dense(3, use_bias=n(0).astype(bool)), dk.Dense(3, use_bias=False)),
        (lambda n: dk.Dropout(n(0.25)), dk.Dropout(0.25)),
        (
            lambda n: dk.SGD(n(0.5), momentum=n(0.25), nesterov=n(1).astype(bool)),
            dk.SGD(0.5, momentum=0.25, nesterov=True),
        ),
        (lambda n: dk.Adam(n(0.5), global_clipnorm=n(2)), dk.Adam(0.5, global_clipnorm=2.0)),
        (lambda n: Constant(n(0.5)), Constant(0.5)),
        (lambda n: CategoricalCrossentropy(epsilon=n(0.5)), CategoricalCrossentropy(epsilon=0.5)),
        (
            lambda n: schedules.CosineDecay(n(0.5), n(8).astype(int), n(0.25), n(2).astype(int)),
            schedules.CosineDecay(0.5, 8, 0.25, 2),
        ),
        (
            lambda n: schedules.PiecewiseConstantDecay(np.array([2, 4]), [n(1), n(0.5), n(0.25)]),
            schedules.PiecewiseConstantDecay((2, 4), (1.0, 0.5, 0.25)),
        ),
        (
            lambda n: schedules.PiecewiseConstantDecay([n(2).astype(int)], np.array([1, 0.5], np.float32)),
            schedules.PiecewiseConstantDecay((2,), (1.0, 0.5)),
        ),
    ],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array])
def test_numbers_of_any_type_are_stored_as_plain_ones(given, plain_one, kind):
    made = given(kind)
    assert made == plain_one
    for value in vars(made).values():
        for number in value if isinstance(value, tuple) else (value,):
            assert not isinstance(number, np.generic | np.ndarray)


def test_a_number_assigned_to_an_optimizer_is_checked_too():
    optimizer = dk.Adam()
    optimizer.learning_rate = np.float32(0.5)
    assert type(optimizer.learning_rate) is float
    with pytest.raises(ConfigurationError, match=r"Adam\(learning_rate=nan\): expected a finite number, 0 or more"):
        optimizer.learning_rate = NAN
    with pytest.raises(ConfigurationError, match=r"Adam\(beta_1=1.0\)"):
        optimizer.beta_1 = 1.0
    assert optimizer == dk.Adam(0.5)
    optimizer.note = "not a setting"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "make",
    [
        lambda: dk.Rescaling(NAN),
        lambda: dk.Rescaling(1.0, INFINITE),
        lambda: dk.Rescaling(np.ones(3)),  # type: ignore[arg-type]
        lambda: dk.Rescaling("1"),  # type: ignore[arg-type]
        lambda: dk.Dense(np.float32(3)),  # type: ignore[arg-type]
        lambda: dk.Dense(3, use_bias="no"),  # type: ignore[arg-type]
        lambda: dk.Dropout(NAN),
        lambda: dk.Dropout("a"),  # type: ignore[arg-type]
        lambda: dk.SGD(NAN),
        lambda: dk.SGD([0.1]),  # type: ignore[arg-type]
        lambda: dk.SGD(lambda step: 0.1),  # type: ignore[arg-type]
        lambda: dk.SGD(10**400),
        lambda: dk.SGD(momentum=1.5),
        lambda: dk.SGD(nesterov="yes"),  # type: ignore[arg-type]
        lambda: dk.SGD(global_clipnorm=0.0),
        lambda: dk.RMSprop(rho=1.0),
        lambda: dk.RMSprop(epsilon=0.0),
        lambda: dk.Adam(beta_1=1),
        lambda: dk.Adam(beta_2=1.0),
        lambda: dk.Adam(epsilon=-1e-8),
        lambda: dk.AdamW(weight_decay=-1.0),
        lambda: RandomNormal(-1.0),
        lambda: RandomUniform(1.0, 0.0),
        lambda: VarianceScaling(-2.0),
        lambda: Constant(NAN),
        lambda: BinaryCrossentropy(from_logits="no"),  # type: ignore[arg-type]
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.ExponentialDecay(0.1, 1, NAN),
        lambda: schedules.ExponentialDecay(NAN, 1, 0.5),
        lambda: schedules.CosineDecay(0.1, 0),
        lambda: schedules.CosineDecay(0.1, 1, warmup_steps=-1),
        lambda: schedules.PiecewiseConstantDecay([5, 3], [0.1, 0.2, 0.3]),  # type: ignore[arg-type]
        lambda: schedules.PiecewiseConstantDecay([NAN], [0.1, 0.2]),  # type: ignore[arg-type]
        lambda: schedules.PiecewiseConstantDecay([5], [0.1, -0.2]),  # type: ignore[arg-type]
        lambda: schedules.PiecewiseConstantDecay(5, [0.1, 0.2]),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_value_is_rejected_when_given(make):
    with pytest.raises(ConfigurationError, match="expected"):
        make()


class Rising(schedules.Schedule):
    """A custom schedule whose return value is not checked."""

    def __init__(self, *rates) -> None:
        self.rates = rates

    def __call__(self, step):
        return self.rates[step]


@pytest.mark.parametrize("rate", [NAN, INFINITE, -0.1, None, "a", 1j])
def test_an_unusable_learning_rate_is_rejected_with_its_step(rate):
    with pytest.raises(ConfigurationError, match=r"the schedule .*Rising.* gives .* for step 2: expected a finite"):
        dk.SGD(Rising(0.1, np.float32(0.2), rate)).hyperparameters(0, 3)


def test_a_schedule_that_overflows_says_when():
    optimizer: Optimizer = dk.SGD(schedules.ExponentialDecay(0.1, 1, 10.0))
    assert optimizer.hyperparameters(0, 300).learning_rates[299] == pytest.approx(1e298)
    with pytest.raises(ConfigurationError, match="gives inf for step 309"):
        optimizer.hyperparameters(0, 400)
